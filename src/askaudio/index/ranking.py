"""How every engine turns candidates into a ranking: exact scores, ties by smaller id.

Scores are sums of products in float64, rounded to float32, one row at a time. So the same pair of vectors has the same
score in every engine, in any batch and at any place in memory. A float32 matrix product differs in its last bits,
because its order of summation depends on the shape; it only selects candidates here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from askaudio.core.types import FloatArray, IntArray
from askaudio.index.entries import Entry, Match, match_of

# a float32 product of rows of length 1 is off by less than D * 2**-24, here for D up to 2048
MARGIN_F32 = 1.3e-4
# half precision rounds each number by at most 2**-11 of it, so a product of unit rows by at most 2**-11 in all
MARGIN_F16 = 2.0**-11 + MARGIN_F32


def unit_rows(x: FloatArray) -> FloatArray:
    """Scale rows (..., D) to length 1. Rows of length 1 +- 1e-6 stay bit for bit, so copies of copies do not drift."""
    x = np.asarray(x, dtype=np.float32)
    norms = np.sqrt(np.sum(np.square(x, dtype=np.float64), axis=-1, keepdims=True))
    divisor = np.where((np.abs(norms - 1.0) <= 1e-6) | (norms == 0.0), 1.0, norms)
    return (x / divisor).astype(np.float32)


def exact_scores(query: FloatArray, vectors: FloatArray) -> FloatArray:
    """Cosines of one query (D,) with rows (K, D) of length 1 -> (K,) float32."""
    return np.sum(vectors * query.astype(np.float64), axis=-1).astype(np.float32)


def best_rows(approximate: FloatArray, top_k: int, margin: float) -> IntArray:
    """Rows that may be among the top_k by exact score, given approximate scores.

    Args:
        approximate: (N,) scores, each less than ``margin`` away from the exact one.
        top_k: Number of rows of the final ranking.
        margin: Bound of the error. Both the k-th row and its rival may be off by it, in opposite directions, so all
            rows within twice the margin below the k-th best are kept, ties included.

    Returns:
        (M,) row numbers, M >= min(top_k, N), in no order.
    """
    if len(approximate) <= top_k:
        return np.arange(len(approximate), dtype=np.int64)
    kth = np.partition(approximate, len(approximate) - top_k)[len(approximate) - top_k]
    return np.flatnonzero(approximate >= kth - 2 * margin).astype(np.int64)


def rank(scores: FloatArray, ids: list[str], top_k: int) -> list[int]:
    """Positions of the best top_k by (higher score, smaller id).

    Args:
        scores: (N,) score of each item.
        ids: Ids of the N items.
        top_k: Largest number of positions.
    """
    return sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:top_k]


def rank_fetched(query: FloatArray, top_k: int, fetch: Callable[[int], list[Entry]]) -> list[Match]:
    """Exact ranking from a database that returns the nearest entries by scores of its own precision.

    The database may cut off entries that tie with the last one it returns. So more are fetched until the worst exact
    score lies clearly below the k-th one: then no entry that was left out can belong to the first top_k.

    Args:
        query: (D,) of length 1.
        top_k: Largest number of matches.
        fetch: Called with a number n; returns the n nearest entries, fewer if the collection holds fewer.
    """
    count = 2 * top_k + 20
    while True:
        entries = fetch(count)
        if not entries:
            return []
        scores = exact_scores(query, np.stack([e.vector for e in entries]))
        order = rank(scores, [e.entry_id for e in entries], top_k)
        if len(entries) < count or scores.min() < scores[order[-1]] - 2 * MARGIN_F32:
            return [match_of(entries[i], float(scores[i])) for i in order]
        count *= 4


def best_first(matches: Iterable[Match]) -> list[Match]:
    """Matches sorted by (higher score, smaller entry_id)."""
    return sorted(matches, key=lambda match: (-match.score, match.entry_id))


def first_of_each_clip(matches: Iterable[Match], each: int) -> list[Match]:
    """Matches in their order, at most ``each`` of every recording."""
    seen: dict[str, int] = {}
    kept = []
    for match in matches:
        seen[match.clip_id] = seen.get(match.clip_id, 0) + 1
        if seen[match.clip_id] <= each:
            kept.append(match)
    return kept
