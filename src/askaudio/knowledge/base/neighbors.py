"""The K nearest entries of each row by cosine: exact, in pieces, an item's own clip left out.

Cost: one (Q, N) product in pieces of at most ``PIECE_CELLS`` scores, so memory does not grow with N x Q. For bases of
more than some hundred thousand entries leave neighbors out: ``FineGrainedInjection(k=0)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from askaudio.core.errors import DataError

PIECE_CELLS = 1 << 24  # scores held at once: 64 MiB in float32


def nearest(
    queries: Tensor,
    keys: Tensor,
    k: int,
    *,
    query_codes: Tensor | None = None,
    key_codes: Tensor | None = None,
    eligible: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Exact top-K by inner product; ties go to the smaller row.

    Args:
        queries: (Q, D).
        keys: (N, D) of any floating type.
        k: Number of neighbors; fewer may exist.
        query_codes: (Q,) clip code of each query; with ``key_codes`` no key of the same clip is returned.
        key_codes: (N,) clip code of each key; a code below 0 in ``query_codes`` matches nothing.
        eligible: (N,) bool: keys that may be returned.

    Returns:
        Scores (Q, k) in float32 or float64, best first, and rows (Q, k). Where fewer than k keys may be returned the
        score is minus infinity and the row 0.
    """
    if k < 1:
        raise DataError(f"k must be at least 1, got {k}")
    n = keys.shape[0]
    dtype = torch.float64 if keys.dtype == torch.float64 else torch.float32
    scores = torch.full((queries.shape[0], k), float("-inf"), dtype=dtype, device=keys.device)
    rows = torch.zeros(queries.shape[0], k, dtype=torch.long, device=keys.device)
    if n == 0 or queries.shape[0] == 0:
        return scores, rows
    table = keys.to(dtype)  # half-precision scores would be full of ties
    if query_codes is not None and key_codes is not None:
        query_codes, key_codes = query_codes.to(keys.device), key_codes.to(keys.device)
    piece = max(1, PIECE_CELLS // n)
    take = min(k, n)
    for start in range(0, queries.shape[0], piece):
        stop = min(start + piece, queries.shape[0])
        block = (queries[start:stop].to(table.dtype) @ table.T).to(dtype)  # (q, N)
        if query_codes is not None and key_codes is not None:
            block.masked_fill_(query_codes[start:stop, None] == key_codes[None, :], float("-inf"))
        if eligible is not None:
            block.masked_fill_(~eligible.to(keys.device)[None, :], float("-inf"))
        scores[start:stop, :take], rows[start:stop, :take] = _top(block, take)
    rows = torch.where(torch.isneginf(scores), 0, rows)
    return scores, rows


def _top(block: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Top-k of each row of (q, N), best first, equal scores in order of the row number."""
    value, column = torch.topk(block, k, dim=1)
    kth = value[:, -1:]
    crowded = ((block >= kth).sum(dim=1) > k) & ~torch.isneginf(kth[:, 0])  # tie at the last place: topk picks any
    for one in crowded.nonzero()[:, 0].tolist():
        order = torch.argsort(block[one], descending=True, stable=True)[:k]
        value[one], column[one] = block[one, order], order
    by_column = torch.argsort(column, dim=1, stable=True)
    value, column = value.gather(1, by_column), column.gather(1, by_column)
    by_value = torch.argsort(value, dim=1, descending=True, stable=True)
    return value.gather(1, by_value), column.gather(1, by_value)


def merge_top(scores: list[Tensor], rows: list[Tensor], k: int) -> tuple[Tensor, Tensor]:
    """Merge the top-K lists of several tables into the top-k of all; ties go to the smaller row.

    Args:
        scores: One (Q, K) tensor a table, best first, minus infinity where there is no neighbor.
        rows: One (Q, K) tensor a table. Rows are counted over all tables, and the list is in this order: ties are
            decided by the position in the list.
        k: Number of neighbors to keep.

    Returns:
        Scores (Q, k), best first, and rows (Q, k); the row is 0 where the score is minus infinity.
    """
    score, row = torch.cat(scores, dim=1), torch.cat(rows, dim=1)
    best = torch.argsort(score, dim=1, descending=True, stable=True)[:, :k]
    score, row = score.gather(1, best), row.gather(1, best)
    return score, torch.where(torch.isneginf(score), 0, row)


def neighbor_weights(score: Tensor, rows: Tensor, reliability: Tensor | None, temperature: float) -> Tensor:
    """Weights of neighbors, proportional to r_j exp(score_j / temperature), r_j being the neighbor's reliability.

    Args:
        score: (Q, K) cosines; minus infinity where there is no neighbor.
        rows: (Q, K) rows of the neighbors among the N entries.
        reliability: (N,) in [0, 1], raised to at least 1e-6; None means 1 for all.
        temperature: Divides the scores; smaller values put more weight on the nearest neighbors.

    Returns:
        (Q, K) weights; a row sums to 1, or to 0 without neighbors.
    """
    missing = torch.isneginf(score)
    logits = score.masked_fill(missing, -1e4) / temperature
    if reliability is not None:
        logits = logits + reliability[rows].to(logits.dtype).clamp_min(1e-6).log()
    weights = torch.softmax(logits, dim=1).masked_fill(missing, 0.0)
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)
