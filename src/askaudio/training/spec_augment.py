"""Blank out stretches of time and bands of frequency in training.

Source: Park et al., "SpecAugment", 2019, without warping of time; two masks on each axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

MASKS = 2  # on each axis


def spec_augment(log_mel: Tensor, frames: Tensor, time: float, mels: float) -> Tensor:
    """Blank out random parts of spectrograms; a blank has the clip's own mean.

    Args:
        log_mel: (B, F, T), zeros after a clip's end.
        frames: Number of real frames of each clip (B,).
        time: Longest mask, as a share of a clip's frames.
        mels: Widest mask, as a share of the F bands.

    Returns:
        (B, F, T); zeros after a clip's end stay.
    """
    n_mels, longest = log_mel.shape[1:]
    real = torch.arange(longest, device=log_mel.device) < frames[:, None]  # (B, T)
    blank = _masks(frames.to(log_mel.dtype), longest, time)[:, None]  # (B, 1, T)
    bands = torch.full_like(frames, n_mels, dtype=log_mel.dtype)
    blank = blank | _masks(bands, n_mels, mels)[:, :, None]  # (B, F, T)
    mean = log_mel.sum((1, 2)) / (n_mels * frames)
    return torch.where(blank & real[:, None], mean[:, None, None].to(log_mel.dtype), log_mel)


def _masks(lengths: Tensor, size: int, share: float) -> Tensor:
    """(B, size) true in the masks of each row, which lie within its length (B,)."""
    draws = torch.rand(2, MASKS, len(lengths), device=lengths.device)
    widths = draws[0] * share * lengths  # (MASKS, B)
    starts = draws[1] * (lengths - widths)
    place = torch.arange(size, device=lengths.device)[None, None] + 0.5  # (1, 1, size)
    return ((place >= starts[..., None]) & (place < (starts + widths)[..., None])).any(0)
