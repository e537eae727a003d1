"""Expected metric values of one query with tied items in random order, in closed form.

A query is a list of tie groups of its relevant items, best first. A group has b better items, t tied ones and the
grades of its r relevant ones. A constant model is one group of all N items and so scores exactly chance.

Source: McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of
tied scores", ECIR 2008 (recall, average precision, reciprocal rank, nDCG); hit rate by the hypergeometric law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class TieGroup:
    """Relevant items of one score.

    Attributes:
        above: b, items with a higher score.
        tied: t, items with this score.
        grades: Grades of the r relevant items among them.
        relevant_above: Relevant items with a higher score.
    """

    above: int
    tied: int
    grades: tuple[float, ...]
    relevant_above: int

    @property
    def n_relevant(self) -> int:
        """Number r of relevant items."""
        return len(self.grades)

    def slots(self, k: int | None) -> int:
        """Number of tied items within the first k."""
        return self.tied if k is None else min(max(k - self.above, 0), self.tied)

    def ranks(self, k: int | None) -> np.ndarray:
        """Ranks b + 1 ... that the group fills within the first k."""
        return self.above + 1.0 + np.arange(self.slots(k))


def hit_rate(groups: list[TieGroup], k: int) -> float:
    """Chance that at least one relevant item is among the first k: 1 - C(t - r, m) / C(t, m)."""
    if not groups:
        return 0.0
    g = groups[0]
    i = np.arange(g.n_relevant)
    return float(1.0 - np.prod(np.maximum(g.tied - g.slots(k) - i, 0) / (g.tied - i)))


def found(groups: list[TieGroup], k: int) -> float:
    """Expected number of relevant items among the first k."""
    return sum(g.n_relevant * g.slots(k) / g.tied for g in groups)


def precision_sum(groups: list[TieGroup], k: int | None) -> float:
    """Expected sum over relevant items within k of the precision at their rank (average precision, undivided)."""
    total = 0.0
    for g in groups:
        rank = g.ranks(k)
        earlier = (g.n_relevant - 1) * (rank - g.above - 1) / max(g.tied - 1, 1)
        total += float(np.sum(g.n_relevant / g.tied * (g.relevant_above + 1 + earlier) / rank))
    return total


def reciprocal_rank(groups: list[TieGroup], k: int | None) -> float:
    """Expected 1 / rank of the first relevant item, 0 beyond k."""
    if not groups or not groups[0].slots(k):
        return 0.0
    g = groups[0]
    rank = g.ranks(k)
    x = rank[:-1] - g.above  # P(first at x + 1) / P(first at x) = (t - x - r + 1) / (t - x)
    steps = np.maximum(g.tied - x - g.n_relevant + 1, 0) / (g.tied - x)
    chance = g.n_relevant / g.tied * np.concatenate([[1.0], np.cumprod(steps)])
    return float(np.sum(chance / rank))


def discounted_gain(groups: list[TieGroup], k: int | None) -> float:
    """Expected sum of grade / log2(rank + 1) within k: every rank of a group carries the group's mean grade."""
    return sum(sum(g.grades) / g.tied * float(np.sum(1.0 / np.log2(g.ranks(k) + 1.0))) for g in groups)
