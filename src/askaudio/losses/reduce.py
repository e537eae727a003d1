"""From one loss per pair to one number, and from a reliability to a bias: the two small steps that all losses share."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_RELIABILITY = 1e-4  # log 0 would be minus infinity: a pair of reliability 0 keeps this trace in a denominator


def weighted_mean(per_pair: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of (B,) losses, or sum(w * l) / max(sum(w), 1) with weights (B,) in [0, 1].

    Without the floor of 1, a batch of unreliable pairs would weigh as much as a reliable batch.
    """
    if weights is None:
        return per_pair.mean()
    weights = weights.to(per_pair.dtype)
    return (weights * per_pair).sum() / weights.sum().clamp_min(1.0)


def log_reliability(reliability: Tensor, dtype: torch.dtype) -> Tensor:
    """Reliability (n,) in [0, 1] -> its log (n,), no lower than log ``LEAST_RELIABILITY``."""
    return reliability.detach().to(dtype).clamp_min(LEAST_RELIABILITY).log()


def working(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 where it is so already: a softmax in half precision loses its small terms."""
    return x if x.dtype == torch.float64 else x.float()
