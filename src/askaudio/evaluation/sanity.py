"""Sanity checks that run in every evaluation, with a warning in words for each finding.

They detect collapsed embeddings, constant scores, ties, hubs and empty or shared texts. A public benchmark has
published results of a text tower whose vectors are nearly equal (mean cosine .9993), and of 905 empty queries. The
checks cost a few milliseconds (the effective rank about 50 ms at D = 512).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from askaudio.core.functional import normalise_rows
from askaudio.evaluation.ranks import HUB_DEPTH, Ranks
from askaudio.evaluation.relevance import Relevance

COLLAPSED_COSINE = 0.9
COLLAPSED_RANK = 4.0
HUB_SKEW = 5.0
_RANK_ROWS = 2000
Checks = dict[str, float]


def mean_pair_cosine(rows: npt.ArrayLike) -> float:
    """Mean cosine of all pairs of different rows (N, D); near 1 all rows are nearly equal. Cost: O(N D)."""
    unit = normalise_rows(rows)
    if len(unit) < 2:
        return 0.0
    total = unit.sum(axis=0, dtype=np.float64)  # (D,)
    return float((total @ total - np.vdot(unit, unit)) / (len(unit) * (len(unit) - 1)))


def effective_rank(rows: npt.ArrayLike) -> float:
    """exp(entropy of the normalised singular values) of rows (N, D) scaled to length 1: dimensions in use.

    Computed on at most 2,000 rows, evenly spaced.

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007.
    """
    rows = np.asarray(rows)
    rows = rows[np.linspace(0, len(rows) - 1, _RANK_ROWS).astype(int)] if len(rows) > _RANK_ROWS else rows
    unit = normalise_rows(rows).astype(np.float64)
    small = unit.T @ unit if unit.shape[0] > unit.shape[1] else unit @ unit.T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(small), 0.0))
    if values.sum() == 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def hubness_skew(ranks: Ranks) -> float:
    """Skewness of how often gallery items are among the first ten; large if few items fill all answers.

    Source: Radovanovic, Nanopoulos and Ivanovic, "Hubs in space", JMLR 11, 2010.
    """
    counts = ranks.occurrences.astype(np.float64)
    spread = counts.std()
    return float(np.mean((counts - counts.mean()) ** 3) / spread**3) if spread > 0 else 0.0


def check_embeddings(audio: npt.ArrayLike, text: npt.ArrayLike) -> Checks:
    """Mean pair cosine and effective rank of both sides: audio (N, D), text (Q, D)."""
    sides = (("audio", audio), ("text", text))
    found = {f"{side} mean pair cosine": mean_pair_cosine(rows) for side, rows in sides}
    return found | {f"{side} effective rank": effective_rank(rows) for side, rows in sides}


def check_ranks(ranks: Mapping[str, Ranks]) -> Checks:
    """For each direction: constant and tied queries, hubness skewness, share of the largest hub."""
    found: Checks = {}
    for d, r in ranks.items():
        found[f"{d} queries with constant scores"] = r.n_constant
        found[f"{d} queries decided by a tie"] = int(r.mixed().sum())
        found[f"{d} hubness skewness"] = hubness_skew(r)
        found[f"{d} largest hub"] = float(r.occurrences.max() / r.n_queries)
    return found


def check_texts(relevance: Relevance) -> Checks:
    """Empty texts, and texts that several queries with different answers share; {} where no texts are known."""
    if not relevance.texts:
        return {}
    answers: dict[str, set[tuple[int, ...]]] = {}
    queries: dict[str, int] = {}
    for q, query in enumerate(relevance.query_ids):
        text = relevance.texts.get(query, query).strip()
        answers.setdefault(text, set()).add(tuple(relevance.items[relevance.indptr[q] : relevance.indptr[q + 1]]))
        queries[text] = queries.get(text, 0) + 1
    shared = [t for t, found in answers.items() if len(found) > 1 and t]
    return {
        "empty texts": queries.get("", 0),
        "texts shared by clips": len(shared),
        "queries with a shared text": sum(queries[t] for t in shared),
    }


def warnings_of(checks: Mapping[str, float], relevance: Relevance) -> list[str]:
    """One sentence for each check value that is out of range."""
    found: list[str] = []
    for side in ("audio", "text"):
        cosine, rank = checks.get(f"{side} mean pair cosine", 0.0), checks.get(f"{side} effective rank", np.inf)
        if cosine > COLLAPSED_COSINE:
            found.append(
                f"all {side} embeddings are nearly one vector (mean pair cosine {cosine:.4f}): collapsed tower?"
            )
        elif rank < min(COLLAPSED_RANK, relevance.n_gallery / 2):
            found.append(f"the {side} embeddings fill only {rank:.1f} dimensions (effective rank): collapsed tower?")
    for d, n_queries in (("t2a", relevance.n_queries), ("a2t", relevance.n_gallery)):
        constant, tied = (
            checks.get(f"{d} queries with constant scores", 0),
            checks.get(f"{d} queries decided by a tie", 0),
        )
        if constant:
            found.append(f"{constant:,.0f} of {n_queries:,} {d} queries score every item the same")
        elif tied > 0.01 * n_queries:
            found.append(f"{tied:,.0f} of {n_queries:,} {d} queries are decided by ties; see the tie rule")
        if checks.get(f"{d} hubness skewness", 0.0) > HUB_SKEW:
            share = checks[f"{d} largest hub"]
            found.append(f"{d} has hubs: one item is among the first {HUB_DEPTH} of {share:.0%} of all queries")
    if checks.get("empty texts"):
        found.append(
            f"{checks['empty texts']:.0f} of {relevance.n_queries:,} query texts are empty; they can only be misses"
        )
    if checks.get("texts shared by clips"):
        found.append(
            f"{checks['texts shared by clips']:.0f} texts belong to several clips "
            f"({checks['queries with a shared text']:.0f} queries): a perfect R@1 is impossible"
        )
    return found
