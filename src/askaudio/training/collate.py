"""Pairs -> one batch of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from askaudio.training.dataset import Pair

Inputs = Tensor | tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs.

    Attributes:
        audio: What the audio side takes: features (B, A), or (log-mels or a tower's frames (B, F, T), lengths (B,)).
        text: Features of the captions (B, C), or their token ids (B, L) with -1 where a row has ended.
        ids: (B,) int64 identities; pairs with one identity are positives of each other.
        entries: (B,) int64 numbers of the pairs in the data set.
        near: (B, R, C) features of near misses of the captions; None in a training without.
        n_near: (B,) number of each caption's near misses, the first rows of ``near``.
    """

    audio: Inputs
    text: Tensor
    ids: Tensor
    entries: Tensor
    near: Tensor | None = None
    n_near: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``; ids and entries stay on the CPU, where they are looked up."""
        audio = self.audio
        moved = (audio[0].to(device), audio[1].to(device)) if isinstance(audio, tuple) else audio.to(device)
        near, n_near = (None if x is None else x.to(device) for x in (self.near, self.n_near))
        return Batch(moved, self.text.to(device), self.ids, self.entries, near, n_near)

    def __len__(self) -> int:
        return len(self.ids)


def collate(pairs: Sequence[Pair]) -> Batch:
    """Stack B pairs."""
    near = [p.near for p in pairs if p.near is not None]
    return Batch(
        audio=stack_audio([p.audio for p in pairs]),
        text=stack_texts([p.text for p in pairs]),
        ids=torch.tensor([p.identity for p in pairs]),
        entries=torch.tensor([p.entry for p in pairs]),
        near=torch.from_numpy(np.stack(near)) if near else None,
        n_near=torch.tensor([p.n_near for p in pairs]) if near else None,
    )


def stack_texts(rows: Sequence[npt.NDArray[Any]] | npt.NDArray[Any]) -> Tensor:
    """Stack B inputs of the text side.

    Args:
        rows: Features (C,) each, or token ids (L_i,) each, with -1 where a row has ended.

    Returns:
        (B, C), or (B, L) without the columns that no row fills.
    """
    if rows[0].dtype.kind == "f":
        return torch.from_numpy(np.stack(list(rows)))
    longest = max(int((row >= 0).sum()) for row in rows)
    out = np.full((len(rows), longest), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        kept = row[:longest]
        out[number, : len(kept)] = kept
    return torch.from_numpy(out)


def stack_audio(arrays: Sequence[npt.NDArray[Any]]) -> Inputs:
    """Stack B inputs of the audio side.

    Args:
        arrays: Features (A,) each, or log-mels or frames (F, T_i) each.

    Returns:
        (B, A); or (B, F, T), zeros after a clip's end, with the number of real frames of each (B,).
    """
    if arrays[0].ndim == 1:
        return torch.from_numpy(np.stack(arrays).astype(np.float32, copy=False))  # (B, A)
    frames = [a.shape[1] for a in arrays]
    out = np.zeros((len(arrays), arrays[0].shape[0], max(frames)), dtype=np.float32)  # (B, F, T)
    for row, array in enumerate(arrays):
        out[row, :, : array.shape[1]] = array
    return torch.from_numpy(out), torch.tensor(frames)
