"""Loss of near misses: a clip must score its own caption above texts that differ from it in one fact.

Each near miss is a negative of its own clip alone, for another clip it says nothing:
softplus((s(audio, near) - s(audio, text)) / temperature), the logistic loss of the two scores. Cost: B R products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.losses.reduce import weighted_mean, working


def near_miss_loss(
    audio: Tensor,
    text: Tensor,
    near: Tensor,
    n_near: Tensor,
    temperature: float | Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean over all near misses of a batch; 0 where there are none.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1; row i describes audio i.
        near: (B, R, D) near misses of each text; those after the first ``n_near`` rows are not read.
        n_near: (B,) number of near misses of each text.
        temperature: Divides the cosines.
        weights: (B,) reliability of each pair in [0, 1]; a wrong caption says nothing of its near misses.

    Returns:
        Scalar.
    """
    audio, text, near = working(audio), working(text), working(near)
    own = (audio * text).sum(dim=1, keepdim=True)  # (B, 1)
    wrong = torch.einsum("bd,brd->br", audio, near)  # (B, R)
    real = torch.arange(near.shape[1], device=near.device) < n_near.to(near.device)[:, None]  # (B, R)
    counted = real.to(own.dtype) if weights is None else real * weights.to(own.dtype)[:, None]
    return weighted_mean(F.softplus((wrong - own) / temperature), counted)
