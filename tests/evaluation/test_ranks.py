"""Ranks against a slow loop; ties, blocks and permutations."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.core.errors import DataError
from askaudio.evaluation import ranks as ranks_module
from askaudio.evaluation.evaluate import evaluate_embeddings
from askaudio.evaluation.metrics import per_query
from askaudio.evaluation.ranks import ranks_from_scores, ranks_of
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run
from askaudio.evaluation.scores import DenseScores, EmbeddingScores


@st.composite
def problems(draw):
    """Small scores with many ties, some items not retrieved, graded relevance."""
    n_queries, n_gallery = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.choice(np.array([-np.inf, -1.0, 0.0, 0.5, 0.5, 1.0], dtype=np.float32), (n_queries, n_gallery))
    grades = rng.choice([0, 0, 1, 1, 50, 100], (n_queries, n_gallery))
    grades[np.arange(n_queries), rng.integers(0, n_gallery, n_queries)] = 1  # every query has an answer
    judged = {f"q{q}": {f"c{i}": g for i, g in enumerate(row) if g} for q, row in enumerate(grades.tolist())}
    return scores, Relevance.from_dict(judged, [f"c{i}" for i in range(n_gallery)])


def slow_pessimistic(row, grades):
    """Ranks of the relevant items of one query: worst order of ties, by sorting the whole list."""
    order = sorted(range(len(row)), key=lambda i: (-row[i], grades.get(i, 0.0)))
    return sorted(
        (place + 1 if row[i] > -np.inf else len(row) + 1) for place, i in enumerate(order) if grades.get(i, 0.0) > 0
    )


@settings(deadline=None)
@given(problems())
def test_ranks_equal_a_sorted_list(problem):
    scores, relevance = problem
    ranks = ranks_from_scores(DenseScores(scores), relevance)
    for q, query in enumerate(relevance.query_ids):
        grades = {relevance.gallery_ids.index(i): g for i, g in relevance.relevant(query).items()}
        got = ranks.pessimistic()[ranks.indptr[q] : ranks.indptr[q + 1]]
        assert got.tolist() == slow_pessimistic(scores[q], grades)


@settings(deadline=None)
@given(problems(), st.integers(1, 30))
def test_the_size_of_a_block_changes_nothing(problem, block_scores):
    scores, relevance = problem
    whole = ranks_from_scores(DenseScores(scores), relevance)
    with mock.patch.object(ranks_module, "BLOCK_SCORES", block_scores):
        parts = ranks_from_scores(DenseScores(scores), relevance)
    for name in ("above", "tied", "grades"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


@settings(max_examples=30, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_queries_and_gallery_changes_nothing(problem, random):
    scores, relevance = problem
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows), random.shuffle(columns)
    shuffled = Run.from_matrix(
        scores[rows][:, columns], [relevance.query_ids[i] for i in rows], [relevance.gallery_ids[i] for i in columns]
    )
    straight = ranks_from_scores(DenseScores(scores), relevance)
    for ties in ("pessimistic", "expected"):
        got = per_query(ranks_of(shuffled, relevance), "nDCG@3", ties)
        assert np.array_equal(got, per_query(straight, "nDCG@3", ties))


def test_embedding_scores_do_not_depend_on_the_block(rng):
    text, audio = rng.normal(size=(67, 48)).astype(np.float32), rng.normal(size=(131, 48)).astype(np.float32)
    scores = EmbeddingScores.of(text, audio)
    whole = scores.block(0, 67)
    assert np.array_equal(whole, np.concatenate([scores.block(i, i + 1) for i in range(67)]))
    assert np.array_equal(whole, scores.transposed().block(0, 131).T)


@pytest.mark.parametrize("vector", [np.ones(48), np.zeros(48), np.linspace(-1, 1, 48)])
def test_a_constant_model_scores_chance_or_worse(rng, vector):
    n_clips = 200
    audio = np.tile(vector, (n_clips, 1))
    text = rng.normal(size=(5 * n_clips, 48))
    owner = np.repeat(np.arange(n_clips), 5)
    hard = evaluate_embeddings(audio, text, owner)
    assert hard["t2a/R@10"] == 0.0
    assert hard["t2a/MedR"] == n_clips
    fair = evaluate_embeddings(audio, text, owner, ties="expected")
    assert fair["t2a/R@1"] == pytest.approx(1 / n_clips)
    assert fair["t2a/R@10"] == pytest.approx(10 / n_clips)
    assert fair["t2a/MedR"] == pytest.approx((n_clips + 1) / 2)
    both = evaluate_embeddings(audio, np.ones((5 * n_clips, 48)), owner, ties="expected")
    assert both["a2t/R@10"] == pytest.approx(1 - np.prod([(990 - i) / (1000 - i) for i in range(5)]))


def test_identical_clips_tie_exactly(rng):
    audio = np.repeat(rng.normal(size=(50, 33)).astype(np.float32), 2, axis=0)  # every clip twice
    ranks = ranks_from_scores(EmbeddingScores.of(audio, audio), Relevance.from_owner(np.arange(100)))
    assert (ranks.tied == 2).all()
    assert (ranks.above == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_by_query(bad):
    scores = np.zeros((3, 4), dtype=np.float32)
    scores[1, 2] = bad
    with pytest.raises(DataError, match="'q1' has a score that is NaN or infinite"):
        ranks_from_scores(DenseScores(scores), Relevance.from_owner([0, 1, 2], 4))


def test_embeddings_that_are_not_finite_are_refused():
    audio = np.ones((3, 4))
    audio[2, 1] = np.nan
    with pytest.raises(DataError, match="gallery embedding in row 2 is not finite"):
        evaluate_embeddings(audio, np.ones((3, 4)), [0, 1, 2])


def test_progress_reports_every_block(monkeypatch):
    monkeypatch.setattr(ranks_module, "BLOCK_SCORES", 12)
    seen = []
    ranks_from_scores(
        DenseScores(np.eye(6, dtype=np.float32)),
        Relevance.from_owner(np.arange(6)),
        progress=lambda done, total, note="": seen.append((done, total)),
    )
    assert seen == [(2, 6), (4, 6), (6, 6)]
