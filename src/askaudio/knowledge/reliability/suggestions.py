"""Suggest another text for pairs that are probably wrong: the text of the reliable pair that fits the sound best.

The text of a sound is predicted from the other clips in the two ways of `estimate.py` (neighbors, ridge regression),
each pair weighted by its reliability. The suggestion is the reliable pair of another clip whose text is nearest to the
prediction. It is a hint for a person who listens, not a caption to train on: with 40 % of the captions exchanged,
training on repaired pairs was not better (`benchmarks/LOG.md`). Cost: one (n, N) product for n sounds, and
five ridge regressions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.knowledge.base.neighbors import nearest
from askaudio.knowledge.reliability.crossfit import crossfit, folds_of, standardise
from askaudio.knowledge.reliability.estimate import predict


def suggest(
    audio: Tensor,
    text: Tensor,
    codes: Tensor,
    posterior: Tensor,
    rows: Tensor,
    *,
    k: int = 32,
    temperature: float = 0.1,
) -> Tensor:
    """Rows whose text fits the sounds of the given rows best.

    Args:
        audio: (N, Da) raw audio features, as given to ``estimate_reliability``.
        text: (N, Dt) raw text features.
        codes: (N,) integer clip codes.
        posterior: (N,) reliability of each pair, in [0, 1].
        rows: (n,) rows in question.
        k: Neighbors per prediction.
        temperature: Sharpness of the neighbor weights.

    Returns:
        (n,) a row of another clip for each, among those of posterior 0.5 and more; -1 where there is none.
    """
    audio, text = standardise(audio), standardise(text)
    score, near = nearest(audio[rows], audio, k, query_codes=codes[rows], key_codes=codes)  # (n, k)
    by_neighbors = predict(text, score, near, posterior, temperature)  # (n, Dt)
    centre = text.mean(dim=0)
    by_ridge = crossfit(audio - audio.mean(dim=0), text - centre, folds_of(codes), posterior)[rows] + centre
    fit = (by_neighbors + F.normalize(by_ridge, dim=1)) @ text.T  # (n, N)
    barred = (posterior < 0.5)[None, :] | (codes[rows][:, None] == codes[None, :])
    best = fit.masked_fill(barred, float("-inf")).max(dim=1)
    return torch.where(best.values > float("-inf"), best.indices, -1)
