"""Pairs -> one batch of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from askaudio.data.dataset import Pair


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs.

    Attributes:
        audio: (B, ...) float32 input of the audio tower: (B, 384) features or (B, F, T) log-mels.
        text: (B, ...) float32 input of the text tower.
        positives: (B, B) bool, True where text j describes audio i: same clip, or the same wording.
        entries: (B,) int64 numbers of the pairs in the data set.
        clip_ids: B clip ids.
    """

    audio: Tensor
    text: Tensor
    positives: Tensor
    entries: Tensor
    clip_ids: tuple[str, ...]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on ``device``."""
        moved = (t.to(device, non_blocking=True) for t in (self.audio, self.text, self.positives, self.entries))
        return Batch(*moved, clip_ids=self.clip_ids)

    def __len__(self) -> int:
        return len(self.clip_ids)


def collate(pairs: Sequence[Pair], same_text: bool = True) -> Batch:
    """Stack pairs.

    Args:
        pairs: B pairs.
        same_text: Equal wordings are positives of each other; False: only captions of one clip.
    """
    first: dict[str, int] = {}
    clips = torch.tensor([first.setdefault(p.clip_id, len(first)) for p in pairs])
    positives = clips[:, None] == clips  # (B, B)
    if same_text:
        wording = torch.tensor([p.text_id for p in pairs])
        positives |= wording[:, None] == wording
    return Batch(
        audio=torch.from_numpy(stack_audio([p.audio for p in pairs])),
        text=torch.from_numpy(np.stack([p.text for p in pairs])),
        positives=positives,
        entries=torch.tensor([p.entry for p in pairs]),
        clip_ids=tuple(p.clip_id for p in pairs),
    )


def stack_audio(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Stack B inputs; log-mels (F, T_i) of different lengths are repeated in time to the longest.

    Repeating keeps a short sound's average over time nearly the same, padding with silence would not.
    """
    if arrays[0].ndim == 2:
        longest = max(a.shape[1] for a in arrays)
        arrays = [a if a.shape[1] == longest else a[:, np.arange(longest) % a.shape[1]] for a in arrays]
    return np.stack(arrays).astype(np.float32, copy=False)
