"""Metrics per query from ranks: R@k in both definitions, mAP@k, MRR, nDCG@k, MedR, MeanR.

The functions take ``k``, the number of first items that count (None: all), and ``ties``: ``pessimistic`` counts equal
scores against the system, ``expected`` is the mean over their random order.

Names are ``R@10`` (any-of-n: hit if ANY relevant item is in the first k, what ML-ACT, LAION, WavCaps, GLAP and MTEB's
hit rate print), ``R@10-fraction`` (fraction: the share of the relevant items found, trec_eval's recall; with five
captions a clip R@1-fraction is at most 20 %), ``mAP@10``, ``mAP``, ``MRR``, ``MRR@10``, ``nDCG@10``, ``MedR`` and
``MeanR``.

mAP@k sums i / rank_i over the relevant items within k and divides by ALL relevant items (trec_eval's map_cut, ML-ACT,
MTEB), so with one relevant item it is MRR@k. nDCG has linear gain (the grade) and discount log2(rank + 1), as
trec_eval has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ConfigError
from askaudio.evaluation import ties as tie_values
from askaudio.evaluation.ranks import Ranks, Ties, check_ties
from askaudio.evaluation.ties import TieGroup

Values: TypeAlias = npt.NDArray[np.float64]
DEFAULT_METRICS = ("R@1", "R@5", "R@10", "mAP@10", "MRR", "nDCG@10", "MedR", "MeanR")
A2T_RULES = ("any-of-n", "fraction")
_NAME = re.compile(r"(R|mAP|MRR|nDCG)(?:@([1-9][0-9]*))?(-fraction)?")


def hit_rate(ranks: Ranks, k: int, ties: Ties = "pessimistic") -> Values:
    """(Q,) 1 where any relevant item is within the first k, else 0; a probability with ``ties="expected"``.

    Args:
        ranks: Ranks of the relevant items of Q queries.
        k: Number of first items that count.
        ties: ``"pessimistic"`` counts equal scores against the system; ``"expected"`` is the mean over their random
            order.
    """
    values = (ranks.pessimistic()[ranks.indptr[:-1]] <= min(k, ranks.n_gallery)).astype(np.float64)
    return _with_ties(ranks, values, ties, lambda groups: tie_values.hit_rate(groups, k))


def recall(ranks: Ranks, k: int, ties: Ties = "pessimistic") -> Values:
    """(Q,) share of the relevant items that are within the first k.

    Args:
        ranks: Ranks of the relevant items of Q queries.
        k: Number of first items that count.
        ties: ``"pessimistic"`` counts equal scores against the system; ``"expected"`` is the mean over their random
            order.
    """
    inside = _within(ranks, k)
    values = np.bincount(ranks.query, weights=inside, minlength=ranks.n_queries)
    return _with_ties(ranks, values, ties, lambda groups: tie_values.found(groups, k)) / ranks.counts


def average_precision(ranks: Ranks, k: int | None = None, ties: Ties = "pessimistic") -> Values:
    """(Q,) sum of i / rank_i over the relevant items within k, divided by the number of relevant items.

    Args:
        ranks: Ranks of the relevant items of Q queries.
        k: Number of first items that count; None counts all.
        ties: ``"pessimistic"`` counts equal scores against the system; ``"expected"`` is the mean over their random
            order.
    """
    nth = np.arange(len(ranks.above)) - ranks.indptr[:-1][ranks.query] + 1
    values = np.bincount(ranks.query, weights=_within(ranks, k) * nth / ranks.pessimistic(), minlength=ranks.n_queries)
    return _with_ties(ranks, values, ties, lambda groups: tie_values.precision_sum(groups, k)) / ranks.counts


def reciprocal_rank(ranks: Ranks, k: int | None = None, ties: Ties = "pessimistic") -> Values:
    """(Q,) 1 / rank of the best relevant item, 0 beyond k or when it was not retrieved.

    Args:
        ranks: Ranks of the relevant items of Q queries.
        k: Number of first items that count; None counts all.
        ties: ``"pessimistic"`` counts equal scores against the system; ``"expected"`` is the mean over their random
            order.
    """
    first = ranks.pessimistic()[ranks.indptr[:-1]]
    limit = ranks.n_gallery if k is None else min(k, ranks.n_gallery)
    return _with_ties(
        ranks, np.where(first <= limit, 1.0 / first, 0.0), ties, lambda g: tie_values.reciprocal_rank(g, k)
    )


def ndcg(ranks: Ranks, k: int | None = None, ties: Ties = "pessimistic") -> Values:
    """(Q,) discounted gain of the grades within k over that of the ideal order.

    Args:
        ranks: Ranks of the relevant items of Q queries.
        k: Number of first items that count; None counts all.
        ties: ``"pessimistic"`` counts equal scores against the system; ``"expected"`` is the mean over their random
            order.
    """
    gain = _within(ranks, k) * ranks.grades / np.log2(ranks.pessimistic() + 1.0)
    certain = np.bincount(ranks.query, weights=gain, minlength=ranks.n_queries)
    values = _with_ties(ranks, certain, ties, lambda groups: tie_values.discounted_gain(groups, k))
    best_first = ranks.grades[np.lexsort((-ranks.grades, ranks.query))]
    nth = np.arange(len(best_first)) - ranks.indptr[:-1][ranks.query] + 1
    ideal = np.where(nth <= (k or len(nth)), best_first / np.log2(nth + 1.0), 0.0)
    return values / np.bincount(ranks.query, weights=ideal, minlength=ranks.n_queries)


def per_query(ranks: Ranks, metric: str, ties: Ties = "pessimistic") -> Values:
    """(Q,) values of a metric by name; for MedR and MeanR the rank of the best relevant item.

    Args:
        ranks: Ranks of the relevant items.
        metric: Name, for example ``R@10``.
        ties: Tie rule.

    Raises:
        ConfigError: Unknown metric or tie rule.
    """
    check_ties(ties)
    if metric in ("MedR", "MeanR"):
        return ranks.first(ties)
    kind, k, fraction = parse_metric(metric)
    if kind == "R":
        return (recall if fraction else hit_rate)(ranks, int(k or 0), ties)
    function = {"mAP": average_precision, "MRR": reciprocal_rank, "nDCG": ndcg}[kind]
    return function(ranks, k, ties)


def parse_metric(metric: str) -> tuple[str, int | None, bool]:
    """Kind, cut-off and whether R@k is the fraction, from a name such as ``R@10-fraction``.

    Raises:
        ConfigError: Not a metric name.
    """
    match = _NAME.fullmatch(metric)
    if not match or (match[3] and match[1] != "R") or (match[1] == "R" and not match[2]):
        raise ConfigError(
            f"unknown metric {metric!r}; write R@k, R@k-fraction, mAP@k, mAP, MRR, MRR@k, nDCG@k, nDCG, MedR or MeanR"
        )
    return match[1], int(match[2]) if match[2] else None, bool(match[3])


def aggregate(values: Values, metric: str) -> float:
    """One number for all queries: the mean, for MedR the median."""
    return float(np.median(values) if metric.endswith("MedR") else np.mean(values))


def greater_is_better(metric: str) -> bool:
    """False for MedR and MeanR, with or without a direction before them."""
    return not metric.endswith(("MedR", "MeanR"))


def _within(ranks: Ranks, k: int | None) -> npt.NDArray[np.bool_]:
    limit = ranks.n_gallery if k is None else min(k, ranks.n_gallery)
    return ranks.pessimistic() <= limit


def _with_ties(
    ranks: Ranks, values: npt.NDArray[Any], ties: Ties, expected: Callable[[list[TieGroup]], float]
) -> Values:
    """Replace the values of queries whose order depends on a tie by their expectation.

    Queries with equal tie groups share one computation: a constant model has the same groups for all queries.
    """
    check_ties(ties)
    if ties == "pessimistic":
        return values
    values = values.astype(np.float64)
    cached = lru_cache(maxsize=4096)(lambda groups: expected(list(groups)))
    for query in np.flatnonzero(ranks.mixed()):
        values[query] = cached(_groups_of(ranks, int(query)))
    return values


def _groups_of(ranks: Ranks, query: int) -> tuple[TieGroup, ...]:
    groups: list[TieGroup] = []
    grades: dict[tuple[int, int], list[float]] = {}
    for i in range(ranks.indptr[query], ranks.indptr[query + 1]):
        if ranks.above[i] < ranks.n_gallery:
            grades.setdefault((int(ranks.above[i]), int(ranks.tied[i])), []).append(float(ranks.grades[i]))
    seen = 0
    for (above, tied), own in grades.items():
        groups.append(TieGroup(above, tied, tuple(own), seen))
        seen += len(own)
    return tuple(groups)
