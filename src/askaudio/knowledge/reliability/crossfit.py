"""Predict each pair's other half from the pairs of other clips, by one linear map a side: out-of-fold ridge regression.

Neighbors see what is close; a linear map sees what all pairs together say, so its scores find wrong pairs that have
no good neighbor. Both work on features standardised per number, since frozen towers give numbers of very different
spread. The clips are dealt into ``FOLDS`` parts; a part is predicted from the others, so no caption of a clip helps
to predict the same clip.

Cost: ``FOLDS`` Gram matrices (N D^2) and solves (D^3) a side; 7,000 pairs of 384 numbers take 0.6 s of one core.

Source: cross-fitting (Chernozhukov et al. 2018), confident learning's out-of-fold scores (Northcutt et al. 2021).
Differs: continuous vectors in place of classes, both directions, and no threshold (`reliability.py` calibrates).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FOLDS = 5
RIDGE = 0.03  # penalty as a share of the Gram matrix's mean eigenvalue: RIDGE N / Ds mean|x|^2 on each direction


def standardise(features: Tensor) -> Tensor:
    """Rows of length 1, each number to mean 0 and variance 1, rows of length 1 again: (N, D) -> (N, D)."""
    x = F.normalize(features.detach().float(), dim=1)
    return F.normalize((x - x.mean(dim=0)) / (x.std(dim=0) + 1e-3), dim=1)  # a number that hardly varies stays small


def folds_of(codes: Tensor) -> Tensor:
    """Part of each row (N,), 0 to ``FOLDS`` - 1, by its clip's code: all captions of a clip are in one part."""
    return torch.unique(codes, return_inverse=True)[1] % FOLDS


def crossfit(source: Tensor, target: Tensor, fold: Tensor, weight: Tensor) -> Tensor:
    """Ridge regression of target on source; each part's rows from the map that the other parts give.

    Args:
        source: (N, Ds), centred.
        target: (N, Dt), centred.
        fold: (N,) part of each row.
        weight: (N,) how much each row counts.

    Returns:
        Predictions (N, Dt).
    """
    n, d = source.shape
    predicted = torch.empty(n, target.shape[1], dtype=source.dtype)
    for part in fold.unique().tolist():
        own, rest = fold == part, fold != part
        x, weighted = source[rest], source[rest] * weight[rest, None]  # (n', Ds)
        penalty = RIDGE * n / d * float(x.square().sum(dim=1).mean()) + 1e-9
        gram = x.T @ weighted + penalty * torch.eye(d, dtype=source.dtype)  # (Ds, Ds)
        predicted[own] = source[own] @ torch.linalg.solve(gram, weighted.T @ target[rest])
    return predicted


def ridge_scores(
    audio: Tensor, text: Tensor, codes: Tensor, partner: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """How well each pair is predicted, and how well mismatched pairs are.

    Args:
        audio: (N, Da) standardised features.
        text: (N, Dt) standardised features.
        codes: (N,) clip codes.
        partner: (N,) row whose text is the mismatched partner of each row.
        weight: (N,) reliability of each pair so far, in [0, 1].

    Returns:
        (N, 2) cosine of predicted and real text, of predicted and real audio; (N, 2) the same of mismatched pairs.
    """
    audio, text, fold = audio - audio.mean(dim=0), text - text.mean(dim=0), folds_of(codes)
    to_text, to_audio = crossfit(audio, text, fold, weight), crossfit(text, audio, fold, weight)
    real = (F.cosine_similarity(to_text, text), F.cosine_similarity(to_audio, audio))
    null = (F.cosine_similarity(to_text, text[partner]), F.cosine_similarity(to_audio[partner], audio))
    return torch.stack(real, dim=1), torch.stack(null, dim=1)
