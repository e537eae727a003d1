"""From a model in training to embeddings: of a set to be scored, and of the entries of a knowledge base.

A clip's embedding is the mean over its windows' embeddings, scaled to length 1: what indexing does, so that a
validation score is the score that a user gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from askaudio.training.collate import stack_audio
from askaudio.training.dataset import PairDataset

WINDOWS_AT_ONCE, TEXTS_AT_ONCE = 256, 1024  # encoded in one forward pass


@dataclass(frozen=True)
class RetrievalSet:
    """What a model is scored on.

    Attributes:
        audio: M arrays (W_i, ...): what the audio side takes, for each window of each clip.
        texts: (Q, C) features of the queries.
        relevance: Which clips answer which query, in the same orders.
    """

    audio: Sequence[npt.NDArray[Any]]
    texts: FloatArray
    relevance: Relevance


def embed_clips(model: DualEncoder, audio: Sequence[npt.NDArray[Any]]) -> Tensor:
    """M clips, each an array (W_i, ...) of windows -> (M, D) rows of length 1, on the CPU."""
    device = model.log_logit_scale.device
    windows = [window for clip in audio for window in clip]
    rows = []
    for start in range(0, len(windows), WINDOWS_AT_ONCE):
        inputs = stack_audio(windows[start : start + WINDOWS_AT_ONCE])
        moved = tuple(x.to(device) for x in inputs) if isinstance(inputs, tuple) else inputs.to(device)
        rows.append(model.encode_audio(moved).cpu())
    owner = torch.repeat_interleave(torch.arange(len(audio)), torch.tensor([len(clip) for clip in audio]))
    found = torch.cat(rows)  # (sum of W_i, D)
    return nn.functional.normalize(found.new_zeros(len(audio), found.shape[1]).index_add_(0, owner, found), dim=-1)


def embed_texts(model: DualEncoder, texts: npt.NDArray[Any]) -> Tensor:
    """Features (Q, C) -> (Q, D) rows of length 1, on the CPU."""
    device = model.log_logit_scale.device
    pieces = [texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE)]
    return torch.cat([model.encode_text(torch.from_numpy(piece).to(device)).cpu() for piece in pieces])


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
