"""Captioned recordings as training batches of a Hugging Face ``ClapModel``, cut at fixed places.

Differs: the model's own extractor crops recordings longer than 10 s at random, in training and in inference. Here a
    recording is cut into fixed windows (``audio/windows.py``), and each goes through askaudio's log-mel, which equals
    the extractor's to 2e-3 dB on sounds that it does not crop.

Pair j of a clip is its window j and its caption j, both modulo their number, for as many pairs as there are windows or
captions, whichever are more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from askaudio.audio.decode import probe, stream_windows
from askaudio.data.manifest import Clip
from askaudio.knowledge.base.knowledge_base import Encode
from askaudio.models.hf_front_end import clap_front_end


class ClapPairs(Dataset[dict[str, Any]]):
    """Windows and captions of clips, decoded when an item is read.

    Args:
        clips: Each with at least one caption.
        extractor: The model's ``ClapFeatureExtractor``; only its settings are used.
        tokenizer: The model's tokenizer.
        max_tokens: Longer captions are cut.
    """

    def __init__(self, clips: Sequence[Clip], extractor: Any, tokenizer: Any, max_tokens: int = 77) -> None:
        self.front_end, self.tokenizer, self.max_tokens = clap_front_end(extractor), tokenizer, max_tokens
        self.clips = clips
        self._items = [(row, j) for row, clip in enumerate(clips) for j in range(self._turns(clip))]

    def _turns(self, clip: Clip) -> int:
        duration_s = clip.duration_s or probe(clip.path).duration_s or 0.0
        return max(len(clip.captions), math.ceil(duration_s / self.front_end.window_s))

    @property
    def ids(self) -> list[int]:
        """Number of each pair's clip, which is its id in ASK."""
        return [row for row, _ in self._items]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One pair: ``input_features`` (1, T, F), the caption, and the number of the clip."""
        row, j = self._items[index]
        clip, front_end = self.clips[row], self.front_end
        windows = list(stream_windows(clip.path, front_end.sample_rate_hz, front_end.window_s, front_end.hop_s))
        mel = front_end(windows[j % len(windows)].samples)  # (F, T)
        caption = clip.captions[j % len(clip.captions)].text
        return {"input_features": torch.from_numpy(mel).T[None].contiguous(), "caption": caption, "clip": row}

    def collate(self, pairs: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """A batch for ``ClapModel``; ``labels`` (B,) are the numbers of the clips."""
        texts = [pair["caption"] for pair in pairs]
        tokens = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )  # fmt: skip
        return {
            "input_features": torch.stack([pair["input_features"] for pair in pairs]),  # (B, 1, T, F)
            "is_longer": torch.zeros(len(pairs), 1, dtype=torch.bool),
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
            "labels": torch.tensor([pair["clip"] for pair in pairs]),
        }


def row_encoder(model: Any, pairs: ClapPairs, batch_size: int = 16) -> Encode:
    """The ``encode`` function of a knowledge base: embeds pairs with the current weights.

    Args:
        model: A ``ClapModel``.
        pairs: The training pairs.
        batch_size: Pairs per forward pass.

    Returns:
        ``encode(rows (n,)) -> (audio (n, D), text (n, D))`` on the CPU, without gradient, in evaluation mode.
    """

    @torch.no_grad()
    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        was_training = model.training
        model.eval()
        found = []
        for some in rows.split(batch_size):
            batch = pairs.collate([pairs[row] for row in some.tolist()])
            out = model(**{name: x.to(model.device) for name, x in batch.items() if name != "labels"})
            found.append((out.audio_embeds.cpu(), out.text_embeds.cpu()))
        model.train(was_training)
        return torch.cat([audio for audio, _ in found]), torch.cat([text for _, text in found])

    return encode
