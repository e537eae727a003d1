"""Soft labels from the similarity of captions: two clips whose captions say the same are no full negatives.

A frozen sentence encoder gives cosines between the batch's captions; a logistic curve turns them into relevances
y_ij = sigmoid(slope (cos_ij - center)) with 1 on the diagonal, and the batch is trained list-wise against them. A
static, text-only rival of a knowledge base.

Source: Xie et al. 2024 (arXiv 2412.01356): caption similarity -> logistic -> list-wise ranking loss.
Differs: slope and center are arguments; the list-wise loss is the two-way cross-entropy of ``soft_targets.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.core.errors import DataError
from askaudio.losses.reduce import working
from askaudio.losses.soft_targets import soft_target_loss


def caption_relevance(sentences: Tensor, slope: float = 12.0, center: float = 0.7) -> Tensor:
    """Sentence embeddings (B, Ds) of the captions -> relevances (B, B) in (0, 1], 1 on the diagonal, symmetric."""
    unit = F.normalize(working(sentences.detach()), dim=1)
    relevance = torch.sigmoid(slope * (unit @ unit.T - center))
    return torch.maximum(relevance, torch.eye(len(unit), dtype=relevance.dtype, device=relevance.device))


class TextSimilarityLoss(nn.Module):
    """Soft-label loss; the batch's sentence embeddings are set before each call.

    Args:
        temperature: Of the trained similarities.
        slope: Of the logistic curve.
        center: Cosine at which a caption counts one half.
    """

    def __init__(self, temperature: float = 0.07, slope: float = 12.0, center: float = 0.7) -> None:
        super().__init__()
        self.temperature = temperature
        self.slope = slope
        self.center = center
        self._sentences: Tensor | None = None

    def see(self, sentences: Tensor) -> None:
        """Give the frozen sentence embeddings (B, Ds) of the next batch's captions."""
        self._sentences = sentences

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
    ) -> Tensor:
        """See ``soft_target_loss``.

        Raises:
            DataError: ``see`` was not called for this batch.
        """
        if self._sentences is None or len(self._sentences) != len(audio):
            raise DataError("call loss.see(sentence_embeddings) with this batch's (B, Ds) captions before the loss")
        targets = caption_relevance(self._sentences, self.slope, self.center)
        self._sentences = None
        return soft_target_loss(audio, text, targets, self.temperature, positives, weights, reliability)
