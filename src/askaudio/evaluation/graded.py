"""Graded relevance: ratings from 0 to 100 that people gave to (text, clip) pairs.

nDCG@k (``metrics``) reads the grades as they are; ``Relevance.at_least`` cuts them for the other metrics;
``pairwise_agreement`` asks only about pairs that were rated, so clips that nobody rated do no harm.

Source: ratings in percent for text-audio pairs, Xie et al., "Crowdsourcing and evaluating text-based audio retrieval
relevances" (DCASE 2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from askaudio.core.errors import DataError
from askaudio.evaluation.metrics import Values
from askaudio.evaluation.ranks import Ties, check_ties
from askaudio.evaluation.relevance import MAX_GRADE, Relevance
from askaudio.evaluation.run import Run

Ratings = dict[str, dict[str, float]]


def mean_ratings(rows: Iterable[tuple[str, str, float]]) -> Ratings:
    """Mean over raters of (query_id, clip_id, rating) rows -> ``{query_id: {clip_id: mean rating}}``.

    Raises:
        DataError: A rating outside 0..100.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for query, clip, rating in rows:
        if not 0 <= rating <= MAX_GRADE:
            raise DataError(f"rating of {query!r} and {clip!r} must be between 0 and 100, got {rating}")
        found.setdefault(query, {}).setdefault(clip, []).append(float(rating))
    return {q: {c: float(np.mean(r)) for c, r in clips.items()} for q, clips in found.items()}


def graded(ratings: Mapping[str, Mapping[str, float]], gallery_ids: Iterable[str]) -> Relevance:
    """Relevance whose grades are the ratings; a rating of 0 and a pair without a rating are the same."""
    return Relevance.from_dict(ratings, gallery_ids, kind="graded")


def pairwise_agreement(
    run: Run, ratings: Mapping[str, Mapping[str, float]], ties: Ties = "pessimistic"
) -> tuple[tuple[str, ...], Values]:
    """Share of a query's rated pairs with different ratings that the system puts in the right order.

    Args:
        run: Scores; a clip that was not retrieved stands below all others.
        ratings: Ratings of each query, zeros included.
        ties: Equal scores count nothing (``pessimistic``) or one half (``expected``).

    Returns:
        Ids of the queries that have two different ratings, and their shares (chance: one half).

    Raises:
        DataError: A query or clip that the run does not know, or no query with two different ratings.
    """
    check_ties(ties)
    rows = {q: i for i, q in enumerate(run.query_ids)}
    columns = {c: i for i, c in enumerate(run.gallery_ids)}
    ids, shares = [], []
    for query, clips in ratings.items():
        grade = np.array(list(clips.values()), dtype=np.float64)  # (n,)
        better = grade[:, None] > grade[None, :]  # (n, n)
        if not better.any():
            continue
        if query not in rows or any(c not in columns for c in clips):
            raise DataError(f"run {run.name}: query {query!r} or one of its rated clips is not in the run")
        score = run.scores.block(rows[query], rows[query] + 1)[0][[columns[c] for c in clips]]
        right = (score[:, None] > score[None, :]) + (0.5 if ties == "expected" else 0.0) * (
            score[:, None] == score[None, :]
        )
        ids.append(query)
        shares.append(float(right[better].mean()))
    if not ids:
        raise DataError("no query has two clips with different ratings")
    return tuple(ids), np.array(shares)
