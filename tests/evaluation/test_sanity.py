"""Sanity figures against plain loops, and a sentence for every kind of damage."""

import csv

import numpy as np
import pytest

from askaudio.evaluation.evaluate import evaluate, evaluate_embeddings
from askaudio.evaluation.ranks import ranks_from_scores
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run
from askaudio.evaluation.sanity import check_texts, effective_rank, hubness_skew, mean_pair_cosine, warnings_of
from askaudio.evaluation.scores import DenseScores

OWNER = np.arange(60)


def healthy(rng):
    audio = rng.normal(size=(60, 16))
    return audio, audio + 0.3 * rng.normal(size=(60, 16))


def test_a_healthy_model_has_no_warning(rng):
    assert evaluate_embeddings(*healthy(rng), OWNER).warnings == ()


def test_mean_pair_cosine_equals_a_loop(rng):
    rows = rng.normal(size=(7, 5)) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i in range(7) for j in range(7) if i != j]
    assert mean_pair_cosine(rows) == pytest.approx(np.mean(pairs), abs=1e-6)
    assert mean_pair_cosine(rows[:1]) == 0.0


def test_effective_rank_counts_dimensions(rng):
    assert effective_rank(np.eye(12)) == pytest.approx(12)
    assert effective_rank(np.ones((30, 12))) == pytest.approx(1, abs=1e-3)
    assert effective_rank(np.zeros((30, 12))) == 0.0
    plane = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 40))
    assert 1.5 < effective_rank(plane) < 2.01
    assert effective_rank(rng.normal(size=(5000, 20))) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("side", ["audio", "text"])
def test_a_collapsed_tower_is_named(rng, side):
    audio, text = healthy(rng)
    flat = np.ones((60, 16)) + 0.01 * rng.normal(size=(60, 16))
    report = evaluate_embeddings(flat if side == "audio" else audio, flat if side == "text" else text, OWNER)
    assert any(f"all {side} embeddings are nearly one vector" in w for w in report.warnings)
    assert report.checks[f"{side} mean pair cosine"] > 0.99


def test_embeddings_in_a_plane_are_told(rng):
    audio, text = (rng.normal(size=(60, 2)) @ rng.normal(size=(2, 16)) for _ in range(2))
    assert any("fill only" in w for w in evaluate_embeddings(audio, text, OWNER).warnings)


def test_constant_scores_and_ties_are_told():
    relevance = Relevance.from_owner(np.arange(8))
    flat = evaluate(Run.from_matrix(np.ones((8, 8)), relevance.query_ids, relevance.gallery_ids), relevance)
    assert "8 of 8 t2a queries score every item the same" in flat.warnings
    tied = np.zeros((8, 8))
    tied[:, :2] = 1
    report = evaluate(Run.from_matrix(tied, relevance.query_ids, relevance.gallery_ids), relevance)
    assert "8 of 8 t2a queries are decided by ties; see the tie rule" in report.warnings


def test_a_hub_is_told(rng):
    relevance = Relevance.from_owner(np.arange(300))
    scores = rng.normal(size=(300, 300))
    ordinary = ranks_from_scores(DenseScores(scores.astype(np.float32)), relevance)
    assert ordinary.occurrences.sum() == 3000
    assert hubness_skew(ordinary) < 1.0
    scores[:, 7] += 100
    report = evaluate(Run.from_matrix(scores, relevance.query_ids, relevance.gallery_ids), relevance)
    assert report.checks["t2a largest hub"] == 1.0
    assert any("one item is among the first 10 of 100% of all queries" in w for w in report.warnings)


def test_empty_and_shared_texts_are_counted():
    texts = ["a dog", "", "a dog ", "rain", "  "]
    relevance = Relevance.from_owner(np.arange(5), texts=texts)
    checks = check_texts(relevance)
    assert checks == {"empty texts": 2, "texts shared by clips": 1, "queries with a shared text": 2}
    text = " ".join(warnings_of(checks, relevance))
    assert "2 of 5 query texts are empty" in text
    assert "1 texts belong to several clips (2 queries): a perfect R@1 is impossible" in text


def test_by_text_a_shared_text_is_no_fault():
    relevance = Relevance.from_dict({"a dog": ["x", "y"], "rain": ["z"]})
    assert check_texts(relevance) == {}  # no texts known
    named = Relevance(**{**vars(relevance), "texts": {"a dog": "a dog", "rain": "rain"}})
    assert check_texts(named)["texts shared by clips"] == 0


def test_the_shared_captions_of_audiocaps_come_out_as_published(shared):
    with (shared / "data" / "captions" / "audiocaps" / "v1" / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    clips = sorted({r["youtube_id"] for r in rows})
    place = {c: i for i, c in enumerate(clips)}
    owner = [place[r["youtube_id"]] for r in rows]
    relevance = Relevance.from_owner(owner, clip_ids=clips, texts=[r["caption"] for r in rows])
    checks = check_texts(relevance)
    assert (relevance.n_gallery, relevance.n_queries) == (975, 4875)
    assert checks["texts shared by clips"] == 71
    assert checks["queries with a shared text"] == 229
