"""Soft labels from the similarity of captions: two clips whose captions say the same are not full negatives.

A frozen sentence encoder gives cosines between the batch's captions; a logistic curve turns them into relevances
y_ij = sigmoid(12 (cos_ij - 0.7)) with 1 on the diagonal, and the batch is trained list-wise against them. A static,
text-only baseline for a knowledge base.

Source: Xie et al. 2024 (arXiv 2412.01356): caption similarity -> logistic -> list-wise ranking loss.
Differs: the list-wise loss is the two-way cross-entropy of ``soft_targets.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.losses.reduce import working
from askaudio.losses.soft_targets import soft_target_loss

SLOPE = 12.0  # of the logistic curve
CENTER = 0.7  # cosine at which a caption counts one half


def caption_relevance(sentences: Tensor) -> Tensor:
    """Sentence embeddings (B, Ds) of the captions -> relevances (B, B) in (0, 1], 1 on the diagonal, symmetric."""
    unit = F.normalize(working(sentences.detach()), dim=1)
    relevance = torch.sigmoid(SLOPE * (unit @ unit.T - CENTER))
    return torch.maximum(relevance, torch.eye(len(unit), dtype=relevance.dtype, device=relevance.device))


class TextSimilarityLoss(nn.Module):
    """Loss against soft labels that come from the captions themselves.

    Args:
        temperature: Of the trained similarities.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
        *,
        sentences: Tensor,
    ) -> Tensor:
        """Compute ``soft_target_loss`` with targets from ``caption_relevance``.

        Args:
            audio: (B, D) rows of length 1.
            text: (B, D) rows of length 1.
            positives: (B, B) bool; a pair of one clip gets at least the target of the pair itself. None leaves the
                targets as they are.
            weights: (B,) weight of each pair's loss; None means 1.
            reliability: (B,) in [0, 1], weight of each pair in every denominator; None means 1.
            sentences: (B, Ds) frozen sentence embeddings of the batch's captions.
        """
        targets = caption_relevance(sentences)
        return soft_target_loss(audio, text, targets, self.temperature, positives, weights, reliability)
