"""Optimal-transport loss: the batch is matched as a whole, and the plan's mass on the right pairs is pushed up.

The plan P is the entropic transport between audio and text with cost 1 - cosine (log-domain Sinkhorn, so that a small
epsilon does not underflow); the loss is the cross-entropy of P's rows and columns with the positives:
-log( B P_ii ) for single positives. Cost: ``iterations`` passes over a (B, B) array, differentiated through.

Source: Luo et al. 2024 (arXiv 2405.10084), equations 8-10; Cuturi 2013 (arXiv 1306.0895).
Differs: plain cosine instead of a learned Mahalanobis metric; full instead of partial transport.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from askaudio.losses.positives import check_batch
from askaudio.losses.reduce import log_reliability, weighted_mean, working


def log_sinkhorn(
    score: Tensor, epsilon: float, iterations: int, log_a: Tensor | None = None, log_b: Tensor | None = None
) -> Tensor:  # fmt: skip
    """Log of the entropic transport plan that favours high scores.

    Args:
        score: (n, m); minus the cost.
        epsilon: Entropy, in units of the score.
        iterations: Rounds; each fits the rows' sums, then the columns'.
        log_a: (n,) log of the target row sums; uniform by default.
        log_b: (m,) log of the target column sums; uniform by default.

    Returns:
        (n, m) log plan; its columns sum to exp(log_b) exactly, its rows to exp(log_a) in the limit.
    """
    n, m = score.shape
    log_a = torch.full((n,), -math.log(n), dtype=score.dtype, device=score.device) if log_a is None else log_a
    log_b = torch.full((m,), -math.log(m), dtype=score.dtype, device=score.device) if log_b is None else log_b
    kernel = score / epsilon
    g = torch.zeros_like(log_b)
    for _ in range(iterations):
        f = log_a - (kernel + g[None, :]).logsumexp(dim=1)  # (n,)
        g = log_b - (kernel + f[:, None]).logsumexp(dim=0)  # (m,)
    return kernel + f[:, None] + g[None, :]


def transport_loss(
    audio: Tensor,
    text: Tensor,
    epsilon: float = 0.05,
    iterations: int = 20,
    positives: Tensor | None = None,
    weights: Tensor | None = None,
    reliability: Tensor | None = None,
) -> Tensor:
    """Transport loss of a batch.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        epsilon: Entropy of the plan, in units of cosine; acts as a temperature.
        iterations: Sinkhorn rounds, at least 1.
        positives: (B, B) bool from ``same_clip``; the plan may put a pair's mass on any of its positives.
        weights: (B,) weight of each pair's loss.
        reliability: (B,) share of each pair in the plan's sums: an unreliable pair gets little mass.

    Returns:
        Scalar.
    """
    check_batch(audio, text, positives)
    score = working(audio) @ working(text).T  # (B, B)
    size = score.shape[0]
    share = torch.full((size,), -math.log(size), dtype=score.dtype, device=score.device)
    if reliability is not None:
        log_r = log_reliability(reliability, score.dtype)
        share = log_r - log_r.logsumexp(dim=0)
    plan = log_sinkhorn(score, epsilon, iterations, share, share)  # (B, B), log
    if positives is None:
        hit = plan.diagonal()
        rows = columns = hit
    else:
        kept = plan.masked_fill(~positives, torch.finfo(plan.dtype).min / 4)
        rows, columns = kept.logsumexp(dim=1), kept.logsumexp(dim=0)
    return weighted_mean(share - (rows + columns) / 2, weights)


class TransportLoss(nn.Module):
    """``transport_loss`` as a module."""

    def __init__(self, epsilon: float = 0.05, iterations: int = 20) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.iterations = iterations

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
    ) -> Tensor:
        """Compute ``transport_loss``, which documents the arguments, with the settings of the module."""
        return transport_loss(audio, text, self.epsilon, self.iterations, positives, weights, reliability)
