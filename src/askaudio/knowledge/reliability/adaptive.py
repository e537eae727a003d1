"""Neighbor weights that are estimated, not set by hand: the temperature and beta that tell right from mismatched best.

Neighbor weights are r_j exp( (a_i . A_j + beta t_i . T_j) / ((1 + beta) temperature) ). Mismatched pairs are known to
be wrong, so a good temperature is one at which the texts of a pair's audio neighbors predict its own text better than a
mismatched one, and the same from text to audio: largest (mean real - mean mismatched) / spread, both sides together.
beta is the ratio of the two sides' separations. Cost: two (n, N) products for a sample of n pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.neighbors import nearest, neighbor_weights
from askaudio.knowledge.base.shards import rows_at
from askaudio.knowledge.reliability.estimate import mismatched

TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.5)
BETAS = (0.0, 0.5, 1.0, 2.0)
SAMPLE = 512  # pairs that are looked at


@dataclass(frozen=True)
class NeighborSetting:
    """A temperature and a beta, and how well they separate real from mismatched pairs (in standard deviations)."""

    temperature: float
    beta: float
    separation: float


def separation(real: Tensor, null: Tensor) -> float:
    """Distance of two score samples (n,) in units of their pooled standard deviation."""
    spread = ((real.var() + null.var()) / 2).sqrt().clamp_min(1e-9)
    return float((real.mean() - null.mean()) / spread)


def fit_neighbor_setting(base: KnowledgeBase, reliability: Tensor | None = None, k: int = 16) -> NeighborSetting:
    """Choose temperature and beta on a sample of a base's pairs.

    For each side in turn the other side's neighbors predict it: audio neighbors a text, text neighbors an audio. Their
    separations at one temperature add up; beta is the ratio of the two sides' separations, so that the side
    whose neighbors predict better gets the larger weight.

    Args:
        base: N entries; at least 2 clips with audio are needed for anything but the defaults.
        reliability: (N,) reliabilities; None means 1.
        k: Neighbors per prediction.

    Returns:
        The setting; the middle of the grid where there is too little to judge by.
    """
    paired = base.index.has_audio.nonzero()[:, 0]
    if len(paired) < 4 * k:
        return NeighborSetting(0.1, 1.0, 0.0)
    rows = paired[:: max(1, len(paired) // SAMPLE)][:SAMPLE]
    partner = rows[mismatched(base.index.codes[rows])]
    audio, text = base.audio.float(), base.text.float()
    of_side = {
        "audio": _separations(audio, text, rows, partner, base, reliability, k),
        "text": _separations(text, audio, rows, partner, base, reliability, k),
    }
    sums = [a + t for a, t in zip(of_side["audio"], of_side["text"], strict=True)]
    best = max(range(len(TEMPERATURES)), key=sums.__getitem__)
    by_audio, by_text = max(of_side["audio"][best], 1e-6), max(of_side["text"][best], 0.0)
    beta = min(BETAS, key=lambda b: abs(b - by_text / by_audio))
    return NeighborSetting(TEMPERATURES[best], beta, sums[best] / 2)


def _separations(
    queries: Tensor,
    values: Tensor,
    rows: Tensor,
    partner: Tensor,
    base: KnowledgeBase,
    reliability: Tensor | None,
    k: int,
) -> list[float]:
    """Separation of real from mismatched partners at each temperature, predicting ``values`` over ``queries``."""
    codes, shard = base.index.codes, base.shard
    search = nearest if shard is None else shard.nearest
    score, near = search(
        rows_at(shard, queries, rows), queries, k,
        query_codes=codes[rows], key_codes=codes, eligible=base.index.has_audio,
    )  # fmt: skip
    known, right, wrong = (rows_at(shard, values, at) for at in (near, rows, partner))
    found = []
    for temperature in TEMPERATURES:
        weights = neighbor_weights(score, near, reliability, temperature)  # (n, K)
        predicted = torch.nn.functional.normalize((weights.unsqueeze(-1) * known).sum(dim=1), dim=1)
        found.append(separation((predicted * right).sum(1), (predicted * wrong).sum(1)))
    return found
