"""Hubs: clips that are near to many texts, and what a correction of the queries makes of them.

The correction is a setting of search (``encoders/tuning.py``) and no part of the protocol of published figures, so its
scores are reported beside the plain ones and never in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from askaudio.core.types import FloatArray, Json
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.scores import EmbeddingScores
from askaudio.evaluation.significance import Floats, bootstrap, interval, unit_rows

KS = (1, 5, 10)
_BLOCK = 512


@dataclass(frozen=True)
class HubReport:
    """Text-to-audio retrieval without and with the correction.

    Attributes:
        recall: R@k without and with, and the difference with its 95 % interval over clips: k -> five numbers.
        skewness: Of how often a clip is among the first ten, without and with.
        largest: Largest such number, without and with.
    """

    recall: dict[int, tuple[float, float, float, float, float]]
    skewness: tuple[float, float]
    largest: tuple[int, int]

    def table(self) -> str:
        """The figures as text."""
        rows = [f"{'hub correction':<16} {'plain':>8} {'corrected':>10}  difference (95 %)"]
        for k, (plain, corrected, gain, low, high) in self.recall.items():
            rows.append(f"{f'R@{k}':<16} {plain:8.1f} {corrected:10.1f}  {gain:+.1f} [{low:+.1f}, {high:+.1f}]")
        rows.append(f"{'skewness':<16} {self.skewness[0]:8.2f} {self.skewness[1]:10.2f}")
        rows.append(f"{'largest hub':<16} {self.largest[0]:8d} {self.largest[1]:10d}")
        return "\n".join(rows)

    def to_json(self) -> Json:
        """The figures as JSON."""
        return {
            "recall": {f"R@{k}": list(values) for k, values in self.recall.items()},
            "skewness": list(self.skewness),
            "largest": list(self.largest),
        }


def score_hubs(text: FloatArray, corrected: FloatArray, audio: FloatArray, relevance: Relevance) -> HubReport:
    """Compare two sets of queries for the same texts.

    Args:
        text: (Q, D), in the order of ``relevance.query_ids``.
        corrected: (Q, D) the same with the correction.
        audio: (N, D), in the order of ``relevance.gallery_ids``.
        relevance: Which clips are right.
    """
    ranks, often = zip(*(_ranks(queries, audio, relevance) for queries in (text, corrected)), strict=True)
    first = relevance.items[relevance.indptr[:-1]]  # (Q,) first right clip of each query
    units = unit_rows([relevance.gallery_ids[i] for i in first])
    recall = {}
    for k in KS:
        hits = [100.0 * (own <= k) for own in ranks]
        draws = bootstrap(hits, units, resamples=2000)
        plain, better = (float(hit.mean()) for hit in hits)
        recall[k] = (plain, better, better - plain, *interval(draws[:, 1] - draws[:, 0]))
    return HubReport(
        recall,
        (_skewness(often[0]), _skewness(often[1])),
        (int(often[0].max()), int(often[1].max())),
    )


def _ranks(queries: FloatArray, audio: FloatArray, relevance: Relevance) -> tuple[Floats, Floats]:
    """(Q,) rank of the first right clip, ties against it, and (N,) how often a clip is among the first ten."""
    scores = EmbeddingScores.of(queries, audio)
    ranks, often = np.zeros(len(queries)), np.zeros(len(audio))
    for start in range(0, len(queries), _BLOCK):
        block = scores.block(start, min(start + _BLOCK, len(queries)))
        for q, row in enumerate(block, start=start):
            right = relevance.items[relevance.indptr[q] : relevance.indptr[q + 1]]
            wrong = np.ones(len(row), bool)
            wrong[right] = False
            ranks[q] = 1 + np.count_nonzero(row[wrong] >= row[right].max())
            often[np.argsort(-row, kind="stable")[:10]] += 1
    return ranks, often


def _skewness(often: Floats) -> float:
    deviation = often.std()
    return float(((often - often.mean()) ** 3).mean() / deviation**3) if deviation else 0.0
