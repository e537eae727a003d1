"""Hard-negative success against loops, query forms."""

import numpy as np
import pytest

from askaudio.core.errors import DataError
from askaudio.evaluation.hard_negatives import (
    NearMissTexts,
    delta_rank,
    hard_negative_success,
    score_near_misses,
)
from askaudio.evaluation.query_forms import FORMS, score_forms
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run


def test_success_and_delta_rank_equal_loops(rng):
    scores = rng.integers(0, 6, size=(12, 15)).astype(np.float32)  # many ties
    ids = [f"q{i}" for i in range(12)], [f"c{i}" for i in range(15)]
    run = Run.from_matrix(scores, *ids)
    right = Relevance.from_dict({f"q{i}": [f"c{i}"] for i in range(12)}, ids[1])
    wrong = Relevance.from_dict({f"q{i}": [f"c{i + 1}", f"c{i + 2}"] for i in range(0, 12, 2)}, ids[1])
    expected, gaps = [], []
    for i in range(0, 12, 2):
        own = scores[i, i]
        rank = 1 + sum(scores[i, j] >= own for j in range(15) if j != i)  # ties against the right one
        intruder = min(1 + sum(scores[i] > scores[i, j]) for j in (i + 1, i + 2))  # ties for the wrong one
        expected.append(float(rank <= 4 and intruder > 4))
        gaps.append(intruder - rank)
    assert hard_negative_success(run, right, wrong, 4).tolist() == expected
    assert delta_rank(run, right, wrong).tolist() == gaps
    assert 0 < sum(expected) < 6


def test_strange_negatives_are_refused():
    run = Run.from_matrix(np.eye(2), ["q0", "q1"], ["a", "b"])
    right = Relevance.from_dict({"q0": ["a"], "q1": ["b"]}, ["a", "b"])
    with pytest.raises(DataError, match="same queries and gallery"):
        hard_negative_success(run, right, Relevance.from_dict({"q9": ["a"]}, ["a", "b"]), 1)
    with pytest.raises(DataError, match="same queries and gallery"):
        hard_negative_success(run, right, Relevance.from_dict({"q0": ["a"]}, ["a"]), 1)


@pytest.fixture
def scenes(rng):
    """Twenty clips with two captions each; a near miss of kind "order" for each first caption."""
    audio = rng.normal(size=(20, 32))
    text = np.repeat(audio, 2, axis=0) + 0.2 * rng.normal(size=(40, 32))
    made = NearMissTexts.of([[("order", f"near {q}")] if q % 2 == 0 else [] for q in range(40)])
    return audio, text, made, Relevance.from_owner(np.repeat(np.arange(20), 2))


def test_a_system_that_hears_order_is_not_fooled(scenes, rng):
    audio, text, made, relevance = scenes
    far = rng.normal(size=(20, 32))
    score = score_near_misses(audio, text, far, made, relevance, k=2).kinds["order"]
    assert score.n == 20
    assert score.preferred == 1.0
    assert score.success == score.hit_rate == 1.0
    assert score.rank_loss > 3


def test_a_bag_of_words_is_fooled(scenes):
    audio, text, made, relevance = scenes
    report = score_near_misses(audio, text, text[made.query], made, relevance, k=5)  # near miss = same vector
    score = report.kinds["order"]
    assert score.preferred == 0.0  # a tie counts against the system
    assert score.hit_rate == 1.0
    assert score.success == 0.0
    assert score.rank_loss == 0.0
    assert "HNSR@5" in report.table("markdown")
    assert report.to_json()["kinds"]["order"]["n"] == 20


def test_kinds_are_scored_apart(scenes, rng):
    audio, text, _, relevance = scenes
    made = NearMissTexts.of([[("order", "x"), ("count", "y")]] + [[]] * 39)
    assert (made.texts, made.kinds, made.query.tolist()) == (("x", "y"), ("order", "count"), [0, 0])
    kinds = score_near_misses(audio, text, rng.normal(size=(2, 32)), made, relevance).kinds
    assert list(kinds) == ["order", "count"]


def test_near_misses_that_do_not_fit_are_refused(scenes, rng):
    audio, text, made, relevance = scenes
    with pytest.raises(DataError, match="3 near-miss embeddings for 20"):
        score_near_misses(audio, text, rng.normal(size=(3, 32)), made, relevance)


def test_query_forms():
    made = {name: form("A dog barks, then a bell rings.") for name, form in FORMS.items()}
    assert made == {
        "key words": "dog barks bell rings",
        "question": "Do you have a recording of a dog barks, then a bell rings?",
        "command": "Find me the sound of this: a dog barks, then a bell rings.",
    }
    assert FORMS["key words"]("it is") == "it is"
    assert FORMS["command"]("DTMF tones") == "Find me the sound of this: DTMF tones."


def test_forms_are_scored_side_by_side(scenes, rng):
    audio, text, _, relevance = scenes
    report = score_forms(audio, {"caption": text, "noise": rng.normal(size=(40, 32))}, relevance)
    assert report.forms["caption"]["R@1"] == 1.0
    assert report.forms["noise"]["R@1"] < 0.5
    assert "noise" in report.table()
    assert set(report.to_json()) == {"caption", "noise"}
