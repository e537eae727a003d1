"""Bi-directional triplet loss: an anchor's own partner must beat its negatives by a margin.

    l_i = max over n (or sum over n) of  r_n max(0, margin + s_in - s_ii),   both ways, n outside the positives.

Source: Faghri et al. 2018 (arXiv 1707.05612), equations 5 (sum) and 6 (hardest).
Differs: pairs of one clip are never negatives; with several positives the worst of them is the one to be lifted.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from askaudio.core.errors import ConfigError
from askaudio.losses.positives import check_batch
from askaudio.losses.reduce import weighted_mean, working

Negatives = Literal["hardest", "all"]


def _one_way(score: Tensor, positives: Tensor, margin: float, negatives: Negatives, reliable: Tensor | None) -> Tensor:
    """Scores (B, B), anchors in rows -> one loss per anchor (B,)."""
    own = score.masked_fill(~positives, float("inf")).amin(dim=1, keepdim=True)  # (B, 1)
    violation = (margin + score - own).clamp_min(0.0).masked_fill(positives, 0.0)
    if reliable is not None:
        violation = violation * reliable[None, :]
    return violation.amax(dim=1) if negatives == "hardest" else violation.sum(dim=1)


def triplet(
    audio: Tensor,
    text: Tensor,
    margin: float = 0.2,
    negatives: Negatives = "hardest",
    positives: Tensor | None = None,
    weights: Tensor | None = None,
    reliability: Tensor | None = None,
) -> Tensor:
    """Triplet loss of a batch.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        margin: In units of cosine.
        negatives: "hardest" takes each anchor's worst negative, "all" sums over all of them.
        positives: (B, B) bool from ``same_clip``; None means the diagonal.
        weights: (B,) weight of each pair's loss.
        reliability: (B,) weight of each pair as somebody's negative.

    Returns:
        Scalar.
    """
    check_batch(audio, text, positives)
    if negatives not in ("hardest", "all"):
        raise ConfigError(f"negatives must be 'hardest' or 'all', got {negatives!r}")
    score = working(audio) @ working(text).T  # (B, B)
    if positives is None:
        positives = torch.eye(score.shape[0], dtype=torch.bool, device=score.device)
    reliable = None if reliability is None else reliability.detach().to(score.dtype)
    a2t = _one_way(score, positives, margin, negatives, reliable)
    t2a = _one_way(score.T, positives.T, margin, negatives, reliable)
    return weighted_mean((a2t + t2a) / 2, weights)


class Triplet(nn.Module):
    """``triplet`` as a module."""

    def __init__(self, margin: float = 0.2, negatives: Negatives = "hardest") -> None:
        super().__init__()
        self.margin = margin
        self.negatives: Negatives = negatives

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
    ) -> Tensor:
        """Compute ``triplet``, which documents the arguments, with the margin and negatives of the module."""
        return triplet(audio, text, self.margin, self.negatives, positives, weights, reliability)
