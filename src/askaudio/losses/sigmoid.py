"""Sigmoid loss (SigLIP): every audio-text cell of a batch is a yes/no question of its own; no softmax, no competition.

    l_ij = -log sigmoid( z_ij (s_ij / temperature + bias) ),   z = +1 for positives, -1 for the rest,

and the loss is sum_ij l_ij / B.

Source: Zhai et al. 2023 (arXiv 2303.15343), algorithm 1.
Differs: several positives; a wrong cell counts by the reliability of the pair that the candidate comes from.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.losses.positives import check_batch
from askaudio.losses.reduce import weighted_mean, working


def sigmoid_loss(
    audio: Tensor,
    text: Tensor,
    temperature: float | Tensor = 0.1,
    bias: float | Tensor = -10.0,
    positives: Tensor | None = None,
    weights: Tensor | None = None,
    reliability: Tensor | None = None,
) -> Tensor:
    """Pairwise sigmoid loss of a batch.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        temperature: Divides the cosines.
        bias: Added to every logit; starts low because most cells are wrong.
        positives: (B, B) bool from ``same_clip``; None means the diagonal.
        weights: (B,) weight of each pair's loss.
        reliability: (B,) weight of each pair as somebody's negative.

    Returns:
        Scalar.
    """
    check_batch(audio, text, positives)
    logits = working(audio) @ working(text).T / temperature + bias  # (B, B)
    if positives is None:
        positives = torch.eye(logits.shape[0], dtype=torch.bool, device=logits.device)
    cells = -F.logsigmoid(torch.where(positives, logits, -logits))  # (B, B)
    a2t = t2a = cells
    if reliability is not None:
        reliable = reliability.detach().to(cells.dtype)
        a2t = cells * torch.where(positives, 1.0, reliable[None, :])
        t2a = cells * torch.where(positives, 1.0, reliable[:, None])
    return weighted_mean((a2t.sum(dim=1) + t2a.sum(dim=0)) / 2, weights)


class SigmoidLoss(nn.Module):
    """``sigmoid_loss`` with learned temperature and bias.

    Args:
        temperature: First temperature.
        bias: First bias.
        learn: Learn both.
    """

    def __init__(self, temperature: float = 0.1, bias: float = -10.0, learn: bool = True) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1.0 / temperature)), requires_grad=learn)
        self.bias = nn.Parameter(torch.tensor(float(bias)), requires_grad=learn)

    @property
    def temperature(self) -> Tensor:
        """Scalar temperature in use."""
        return (-self.log_scale.clamp(0.0, math.log(100.0))).exp()

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
    ) -> Tensor:
        """Compute ``sigmoid_loss``, which documents the arguments, with the temperature and bias of the module."""
        return sigmoid_loss(audio, text, self.temperature, self.bias, positives, weights, reliability)
