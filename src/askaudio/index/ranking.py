"""How every engine turns candidates into a ranking: exact scores, ties by smaller id.

Scores are sums of products in float64, rounded to float32, one row at a time: the same pair of vectors has the same
score in every engine, in any batch and at any place in memory (a float32 matrix product differs in its last bits).
"""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray, IntArray

# a float32 product of rows of length 1 is off by less than D * 2**-24, here for D up to 2048
MARGIN_F32 = 1.3e-4
# half precision rounds each number by at most 2**-11 of it, so a product of unit rows by at most 2**-11 in all
MARGIN_F16 = 2.0**-11 + MARGIN_F32


def unit_rows(x: FloatArray) -> FloatArray:
    """Rows of length 1; a row that has it to 1e-6 stays bit for bit, so that copies of copies do not drift."""
    x = np.asarray(x, dtype=np.float32)
    norms = np.sqrt(np.sum(np.square(x, dtype=np.float64), axis=-1, keepdims=True))
    divisor = np.where((np.abs(norms - 1.0) <= 1e-6) | (norms == 0.0), 1.0, norms)
    return (x / divisor).astype(np.float32)


def exact_scores(query: FloatArray, vectors: FloatArray) -> FloatArray:
    """Cosines of one query (D,) with rows (K, D) of length 1 -> (K,) float32."""
    return np.sum(vectors * query.astype(np.float64), axis=-1).astype(np.float32)


def best_rows(approximate: FloatArray, top_k: int, margin: float) -> IntArray:
    """Rows that may belong to the first top_k by exact score, given scores that are off by less than ``margin``.

    Args:
        approximate: (N,) scores.
        top_k: How many are wanted.
        margin: Bound of the error; all rows within twice of it below the k-th best are kept, ties included.

    Returns:
        (M,) row numbers, M >= min(top_k, N), in no order.
    """
    if len(approximate) <= top_k:
        return np.arange(len(approximate), dtype=np.int64)
    kth = np.partition(approximate, len(approximate) - top_k)[len(approximate) - top_k]
    return np.flatnonzero(approximate >= kth - 2 * margin).astype(np.int64)


def rank(scores: FloatArray, ids: list[str], top_k: int) -> list[int]:
    """Positions of the best top_k by (higher score, smaller id)."""
    return sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:top_k]
