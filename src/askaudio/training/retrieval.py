"""From a model in training to embeddings: of a set to be scored, and of the entries of a knowledge base.

A clip's embedding is the mean over its windows' embeddings, scaled to length 1: what indexing does, so that a
validation score is the score that a user gets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from askaudio.core.types import FloatArray
from askaudio.evaluation.evaluate import evaluate_embeddings
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.report import Report
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.collate import stack_audio, stack_texts
from askaudio.training.dataset import PairDataset
from askaudio.training.stream import Sound

WINDOWS_AT_ONCE, TEXTS_AT_ONCE = 256, 1024  # encoded in one forward pass, by small towers and projections


@dataclass(frozen=True)
class RetrievalSet:
    """What a model is scored on.

    Attributes:
        audio: M arrays (W_i, ...): what the audio side takes, for each window of each clip; or M sounds.
        texts: (Q, C) features of the queries, or their token ids (Q, L).
        relevance: Which clips answer which query, in the same orders.
    """

    audio: Sequence[Any]
    texts: FloatArray
    relevance: Relevance


def embed_clips(model: DualEncoder, audio: Sequence[Any]) -> Tensor:
    """M clips, each an array (W_i, ...) of windows, or a ``Sound`` -> (M, D) rows of length 1, on the CPU."""
    tower = None if model.audio_ready else model.audio_tower
    total, _ = _of_clips(model.encode_audio, audio, model.log_logit_scale.device, _at_once(tower))
    return nn.functional.normalize(total, dim=-1)


def embed_texts(model: DualEncoder, texts: npt.NDArray[Any]) -> Tensor:
    """Features (Q, C) or token ids (Q, L) -> (Q, D) rows of length 1, on the CPU."""
    return _of_texts(model.encode_text, texts, model.log_logit_scale.device)


@torch.no_grad()
def tower_vectors(model: DualEncoder, audio: Sequence[Any]) -> Tensor:
    """The mean of a pretrained audio tower's vectors over the windows of each of M clips: (M, A)."""
    tower = model.audio_tower
    total, counts = _of_clips(_vectors(tower), audio, model.log_logit_scale.device, _at_once(tower))
    return total / counts


@torch.no_grad()
def text_vectors(model: DualEncoder, tokens: npt.NDArray[Any]) -> Tensor:
    """The pretrained text tower's vectors of Q texts, given as token ids (Q, L): (Q, C)."""
    run = _vectors(model.text_tower)
    device = model.log_logit_scale.device
    return _of_texts(lambda ids: run((ids.clamp(min=0), (ids >= 0).long())), tokens, device)


def _vectors(tower: Any) -> Callable[[Any], Tensor]:
    def run(inputs: Any) -> Tensor:
        was_training = tower.training
        tower.eval()
        found = tower(*inputs)
        tower.train(was_training)
        return found

    return run


def _at_once(tower: Any) -> int:
    """Windows in one forward pass; large towers say how many."""
    return int(getattr(tower, "windows_at_once", WINDOWS_AT_ONCE))


def _of_clips(
    encode: Callable[[Any], Tensor], audio: Sequence[Any], device: torch.device, at_once: int
) -> tuple[Tensor, Tensor]:
    """Sums over each clip's windows (M, C) and their numbers (M, 1), on the CPU."""
    total: Tensor | None = None
    counts = torch.zeros(len(audio), 1)
    waiting: list[npt.NDArray[Any]] = []
    owners: list[int] = []

    def run() -> None:
        nonlocal total
        inputs = stack_audio(waiting)
        moved = tuple(x.to(device) for x in inputs) if isinstance(inputs, tuple) else inputs.to(device)
        rows = encode(moved).float().cpu()
        total = rows.new_zeros(len(audio), rows.shape[1]) if total is None else total
        total.index_add_(0, torch.tensor(owners), rows)
        counts.index_add_(0, torch.tensor(owners), torch.ones(len(owners), 1))
        waiting.clear()
        owners.clear()

    for owner, windows in enumerate(_ahead(audio)):
        for window in windows:
            waiting.append(window)
            owners.append(owner)
            if len(waiting) == at_once:
                run()
    if waiting:
        run()
    assert total is not None  # each clip has a window
    return total, counts


def _ahead(audio: Sequence[Any]) -> Iterator[Sequence[npt.NDArray[Any]]]:
    """The windows of each clip; those of sounds that must be decoded come from threads, some clips ahead."""
    if not isinstance(audio[0], Sound):
        yield from audio
        return
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(audio), 4 * threads):  # a bound on what is decoded and not used yet
            yield from pool.map(list, audio[first : first + 4 * threads])


def _of_texts(encode: Callable[[Tensor], Tensor], texts: npt.NDArray[Any], device: torch.device) -> Tensor:
    rows = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        rows.append(encode(stack_texts(texts[start : start + TEXTS_AT_ONCE]).to(device)).float().cpu())
    return torch.cat(rows)


@torch.no_grad()
def score(model: DualEncoder, data: RetrievalSet, name: str = "model") -> Report:
    """Evaluate both directions; the model is in evaluation mode meanwhile and as before afterwards.

    Args:
        model: Model to evaluate.
        data: Clips, texts and their relevance.
        name: Name of the report.
    """
    was_training = model.training
    model.eval()
    audio, text = embed_clips(model, data.audio), embed_texts(model, data.texts)
    model.train(was_training)
    return evaluate_embeddings(audio.numpy(), text.numpy(), data.relevance, name=name)


def entry_encoder(model: DualEncoder, dataset: PairDataset) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The function that gives a knowledge base fresh embeddings of its (clip, caption) pairs.

    Returns:
        ``encode(rows (n,)) -> (audio (n, D), text (n, D))`` on the CPU, without gradient, in evaluation mode.
    """
    clips, texts = dataset.entry_clips, dataset.entry_texts()

    @torch.no_grad()
    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        was_training = model.training
        model.eval()
        chosen = rows.cpu().numpy()
        distinct, place = np.unique(clips[chosen], return_inverse=True)  # a clip with five captions is encoded once
        audio = embed_clips(model, [dataset.audio[row] for row in distinct])[torch.from_numpy(place)]
        text = embed_texts(model, texts[chosen])
        model.train(was_training)
        return audio, text

    return encode


def clip_encoder(model: DualEncoder, dataset: PairDataset) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The same for a base with one entry a clip: its text is the mean of its captions' embeddings, of length 1.

    Returns:
        ``encode(rows (n,)) -> (audio (n, D), text (n, D))``; rows count clips.
    """
    of_entries = entry_encoder(model, dataset)
    counts = torch.from_numpy(np.bincount(dataset.entry_clips))  # (M,) captions of each clip
    starts = counts.cumsum(0) - counts

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        n = counts[rows]
        owner = torch.repeat_interleave(torch.arange(len(rows)), n)  # (entries,)
        first = n.cumsum(0) - n
        entries = starts[rows][owner] + torch.arange(len(owner)) - first[owner]
        audio, text = of_entries(entries)
        total = text.new_zeros(len(rows), text.shape[1]).index_add_(0, owner, text)
        return audio[first], nn.functional.normalize(total, dim=-1)

    return encode
