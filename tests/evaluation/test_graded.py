"""Graded relevance: means over raters, cuts, agreement against a loop."""

import numpy as np
import pytest

from askaudio.core.errors import DataError
from askaudio.evaluation.evaluate import evaluate
from askaudio.evaluation.graded import graded, mean_ratings, pairwise_agreement
from askaudio.evaluation.run import Run

ROWS = [("q", "a", 100), ("q", "a", 80), ("q", "b", 30), ("q", "c", 0), ("p", "c", 60), ("p", "a", 10)]
POOL = ["a", "b", "c", "d"]


def test_raters_are_averaged():
    assert mean_ratings(ROWS) == {"q": {"a": 90.0, "b": 30.0, "c": 0.0}, "p": {"c": 60.0, "a": 10.0}}
    with pytest.raises(DataError, match="between 0 and 100, got 120"):
        mean_ratings([("q", "a", 120)])


def test_grades_and_cuts():
    ratings = mean_ratings(ROWS)
    assert graded(ratings, POOL).relevant("q") == {"a": 90.0, "b": 30.0}
    cut = graded(ratings, POOL).at_least(50)
    assert {q: cut.relevant(q) for q in cut.query_ids} == {"q": {"a": 1.0}, "p": {"c": 1.0}}
    assert cut.kind == "grade 50 or more"
    assert graded(ratings, POOL).at_least(90).query_ids == ("q",)
    with pytest.raises(DataError, match="no query to score"):
        graded(ratings, POOL).at_least(99)


def test_graded_ndcg_is_right_by_hand():
    run = Run.from_dict({"q": {"b": 3.0, "d": 2.0, "a": 1.0}, "p": {"c": 1.0, "a": 0.5}})
    report = evaluate(run, graded(mean_ratings(ROWS), POOL))
    by_hand = (30 / np.log2(2) + 90 / np.log2(4)) / (90 / np.log2(2) + 30 / np.log2(3))
    assert report.per_query("t2a/nDCG@10") == pytest.approx([by_hand, 1.0])


@pytest.mark.parametrize(("ties", "half"), [("pessimistic", 0.0), ("expected", 0.5)])
def test_agreement_equals_a_loop(rng, ties, half):
    clips = [f"c{i}" for i in range(9)]
    ratings = {f"q{q}": {c: float(rng.integers(0, 4) * 25) for c in clips[q:]} for q in range(4)}
    scores = rng.integers(0, 4, size=(4, 9)).astype(np.float32)
    run = Run.from_matrix(scores, list(ratings), clips)
    ids, shares = pairwise_agreement(run, ratings, ties)
    for query, share in zip(ids, shares, strict=True):
        row, won = scores[int(query[1])], []
        for a, rating_a in ratings[query].items():
            for b, rating_b in ratings[query].items():
                if rating_a > rating_b:
                    x, y = row[clips.index(a)], row[clips.index(b)]
                    won.append(1.0 if x > y else half if x == y else 0.0)
        assert share == pytest.approx(np.mean(won))


def test_agreement_needs_different_ratings_and_known_clips():
    run = Run.from_matrix(np.ones((1, 2)), ["q"], ["a", "b"])
    with pytest.raises(DataError, match="two clips with different ratings"):
        pairwise_agreement(run, {"q": {"a": 50.0, "b": 50.0}})
    with pytest.raises(DataError, match="is not in the run"):
        pairwise_agreement(run, {"q": {"a": 50.0, "z": 10.0}})
