"""Metrics against slow loops over all orders of ties, and against pytrec-eval where it has the metric."""

from itertools import pairwise, permutations
from math import log2

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.core.errors import ConfigError
from askaudio.evaluation.metrics import aggregate, greater_is_better, parse_metric, per_query
from askaudio.evaluation.ranks import ranks_from_scores, ranks_of
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run
from askaudio.evaluation.scores import DenseScores

NAMES = ("R@1", "R@3", "R@10", "R@2-fraction", "mAP@3", "mAP", "MRR", "MRR@2", "nDCG@3", "nDCG", "MeanR")


def slow(metric, order, grades):
    """A metric of one query from a full order of gallery rows (None = not retrieved) and grades by row."""
    kind, k, fraction = ("first", None, False) if metric == "MeanR" else parse_metric(metric)
    k = k or len(order)
    found = [(rank, grades[i]) for rank, i in enumerate(order, start=1) if i is not None and grades.get(i, 0) > 0]
    inside = [(rank, g) for rank, g in found if rank <= k]
    if kind == "first":
        return found[0][0] if found else len(order)
    if kind == "R":
        return len(inside) / len(grades) if fraction else float(bool(inside))
    if kind == "mAP":
        return sum(nth / rank for nth, (rank, _) in enumerate(inside, start=1)) / len(grades)
    if kind == "MRR":
        return 1 / inside[0][0] if inside else 0.0
    ideal = sum(g / log2(n + 1) for n, g in enumerate(sorted(grades.values(), reverse=True)[:k], start=1))
    return sum(g / log2(rank + 1) for rank, g in inside) / ideal


@st.composite
def one_query(draw):
    n, graded = draw(st.integers(1, 6)), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.choice(np.array([-np.inf, 0.0, 0.5, 1.0], dtype=np.float32), n)
    grades = {i: g for i, g in enumerate(rng.choice([0.0, 40.0, 100.0] if graded else [0.0, 1.0], n).tolist()) if g}
    return scores, grades or {0: 1.0}


def orders_of(scores):
    """Every full order that agrees with the scores; items not retrieved leave empty places at the end."""
    listed = [i for i in range(len(scores)) if scores[i] > -np.inf]
    for p in permutations(listed):
        if all(scores[a] >= scores[b] for a, b in pairwise(p)):
            yield [*p, *[None] * (len(scores) - len(listed))]


@settings(max_examples=150, deadline=None)
@given(one_query(), st.sampled_from(NAMES))
def test_both_tie_rules_equal_loops_over_all_orders(query, metric):
    scores, grades = query
    relevance = Relevance.from_dict(
        {"q": {f"c{i}": g for i, g in grades.items()}}, [f"c{i}" for i in range(len(scores))]
    )
    ranks = ranks_from_scores(DenseScores(scores[None]), relevance)
    values = [slow(metric, order, grades) for order in orders_of(scores)]
    lost = all(np.isneginf(scores[i]) for i in grades)
    if metric == "MeanR" and lost:
        values = [float(len(scores))]
    worst = max(values) if metric == "MeanR" else min(values)
    assert per_query(ranks, metric, "expected")[0] == pytest.approx(np.mean(values))
    assert per_query(ranks, metric, "pessimistic")[0] == pytest.approx(worst)


TREC = {
    "success_1": "R@1", "success_5": "R@5", "success_10": "R@10",
    "recall_5": "R@5-fraction", "recall_10": "R@10-fraction",
    "map_cut_5": "mAP@5", "map_cut_10": "mAP@10", "map": "mAP", "recip_rank": "MRR",
    "ndcg_cut_5": "nDCG@5", "ndcg_cut_10": "nDCG@10", "ndcg": "nDCG",
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 30))
def test_equal_to_trec_eval(seed, graded, depth):
    rng = np.random.default_rng(seed)
    n_queries, n_gallery = 6, 30
    # all scores differ: trec_eval breaks ties by document name
    scores = rng.permuted(np.tile(np.arange(n_gallery, dtype=np.float32), (n_queries, 1)), axis=1)
    judged = {
        f"q{q}": {
            f"c{i}": int(rng.integers(1, 101)) if graded else 1
            for i in rng.choice(n_gallery, rng.integers(1, 8), replace=False)
        }
        for q in range(n_queries)
    }
    lists = {f"q{q}": {f"c{i}": float(scores[q, i]) for i in np.argsort(-scores[q])[:depth]} for q in range(n_queries)}
    measures = {"success.1,5,10", "recall.5,10", "map_cut.5,10", "map", "recip_rank", "ndcg_cut.5,10", "ndcg"}
    theirs = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(lists)
    relevance = Relevance.from_dict(judged, [f"c{i}" for i in range(n_gallery)])
    ranks = ranks_of(Run.from_dict(lists), relevance)
    for their_name, our_name in TREC.items():
        expected = [theirs[q][their_name] for q in relevance.query_ids]
        assert per_query(ranks, our_name) == pytest.approx(expected, abs=1e-6), our_name


def test_the_two_audio_to_text_definitions_differ_as_published():
    # five captions of one clip, one of them first, the others last: any-of-n says 100, fraction says 20
    scores = np.array([[9, 0, 0, 0, 0, 5, 5, 5, 5, 5]], dtype=np.float32)
    relevance = Relevance.from_dict({"clip": [f"t{i}" for i in range(5)]}, [f"t{i}" for i in range(10)])
    ranks = ranks_from_scores(DenseScores(scores), relevance)
    assert per_query(ranks, "R@1")[0] == 1.0
    assert per_query(ranks, "R@1-fraction")[0] == 0.2
    assert per_query(ranks, "mAP@10")[0] == pytest.approx((1 / 1 + 2 / 7 + 3 / 8 + 4 / 9 + 5 / 10) / 5)
    assert per_query(ranks, "MRR@10")[0] == 1.0


def test_captions_shared_by_clips_cannot_all_be_first(rng):
    # one text for two clips: at best one of the two queries finds its clip first, the tie counts against it
    audio = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
    relevance = Relevance.from_owner([0, 1, 2, 3])
    run = Run.from_embeddings(audio, audio, relevance.query_ids, relevance.gallery_ids)
    assert per_query(ranks_of(run, relevance), "R@1").tolist() == [0, 0, 1, 1]
    assert per_query(ranks_of(run, relevance), "R@1", "expected").tolist() == [0.5, 0.5, 1, 1]


@pytest.mark.parametrize("name", ["R", "R@0", "recall@5", "mAP@5-fraction", "R@ 5", "", "mrr"])
def test_a_wrong_metric_name_is_refused(name):
    with pytest.raises(ConfigError, match="unknown metric"):
        parse_metric(name)


def test_median_rank_is_a_median_and_smaller_is_better():
    assert aggregate(np.array([1.0, 2.0, 100.0]), "t2a/MedR") == 2.0
    assert aggregate(np.array([1.0, 2.0, 3.0]), "t2a/MeanR") == 2.0
    assert not greater_is_better("t2a/MedR")
    assert greater_is_better("t2a/R@1")
