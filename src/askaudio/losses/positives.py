"""Which pairs of a batch belong together: a mask that is used BEFORE the softmax, never as labels after it.

Two captions of one clip in a batch are both right for it. Counted as negatives they teach the opposite of the truth;
the mask takes them out of each other's denominators. Cost: B^2 truth values.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from askaudio.core.errors import DataError


def same_clip(ids: Sequence[Hashable] | Tensor) -> Tensor:
    """Mark the pairs of a batch that come from one clip.

    Args:
        ids: B clip ids (texts, or an integer tensor (B,)).

    Returns:
        Bool tensor (B, B), symmetric, True on the diagonal: audio i and text j belong together.
    """
    if not isinstance(ids, Tensor):
        first: dict[Hashable, int] = {}
        ids = torch.tensor([first.setdefault(one, len(first)) for one in ids], dtype=torch.long)
    return ids[:, None] == ids[None, :]


def check_batch(audio: Tensor, text: Tensor, positives: Tensor | None = None) -> None:
    """Refuse a batch whose two sides or whose mask do not fit together.

    Args:
        audio: (B, D) embeddings.
        text: (B, D) embeddings.
        positives: (B, B) bool mask of the pairs that match; None means the diagonal. The diagonal of a mask on a GPU is
            not checked, since reading it would wait for the GPU.

    Raises:
        DataError: ``audio`` and ``text`` are not both (B, D), or ``positives`` is not (B, B) bool with a True diagonal.
    """
    if audio.ndim != 2 or audio.shape != text.shape:
        raise DataError(
            f"expected audio and text embeddings of one shape (B, D), got {tuple(audio.shape)} and {tuple(text.shape)}"
        )
    if positives is None:
        return
    size = audio.shape[0]
    if positives.dtype != torch.bool or positives.shape != (size, size):
        raise DataError(
            f"positives must be a bool tensor ({size}, {size}), got {positives.dtype} {tuple(positives.shape)}; "
            "make it with: same_clip(ids)"
        )
    # a mask on a GPU is not read: that would wait for the GPU in every step
    if positives.device.type == "cpu" and not bool(positives.diagonal().all()):
        raise DataError("positives must hold True on its diagonal: every audio belongs to its own text")
