"""Relevance: from clips, owners, dicts; transposed; refused where it makes no sense."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from askaudio.core.errors import DataError
from askaudio.evaluation.relevance import Relevance


@dataclass
class FakeCaption:
    caption_id: str
    text: str


@dataclass
class FakeClip:
    clip_id: str
    texts: tuple = ()
    label: str = ""
    group: str = ""
    captions: list = field(default_factory=list)

    def __post_init__(self):
        self.captions = [FakeCaption(f"{self.clip_id}#{k}", t) for k, t in enumerate(self.texts)]


CLIPS = [
    FakeClip("a", ("a dog barks", "a bark"), label="dog_bark", group="r1"),
    FakeClip("b", ("a dog barks",), label="dog_bark", group="r1"),
    FakeClip("c", ("rain",), label="rain"),
    FakeClip("d"),
]


def test_by_caption_every_caption_owns_one_clip():
    r = Relevance.from_clips(CLIPS)
    assert r.query_ids == ("a#0", "a#1", "b#0", "c#0")
    assert r.gallery_ids == ("a", "b", "c", "d")
    assert r.items.tolist() == [0, 0, 1, 2]
    assert r.query_units == ("r1", "r1", "r1", "c")
    assert r.texts["a#1"] == "a bark"


def test_by_text_equal_texts_are_one_query_for_all_their_clips():
    r = Relevance.from_clips(CLIPS, by="text")
    assert r.query_ids == ("a dog barks", "a bark", "rain")
    assert r.relevant("a dog barks") == {"a": 1.0, "b": 1.0}


def test_by_label_labels_are_asked_as_words():
    r = Relevance.from_clips(CLIPS, by="label")
    assert r.texts == {"dog_bark": "dog bark", "rain": "rain"}
    assert r.counts.tolist() == [2, 1]


def test_transposed_twice_is_the_same_without_distractors():
    r = Relevance.from_clips(CLIPS, by="text")
    back = r.transposed().transposed()
    assert r.transposed().query_ids == ("a", "b", "c")
    assert r.transposed().relevant("a") == {"a dog barks": 1.0, "a bark": 1.0}
    assert {q: back.relevant(q) for q in back.query_ids} == {q: r.relevant(q) for q in r.query_ids}


def test_the_fingerprint_is_equal_in_any_order_and_differs_for_another_gallery():
    one = Relevance.from_dict({"q": {"a": 1}, "p": {"b": 1}}, ["a", "b", "c"])
    other = Relevance.from_dict({"p": {"b": 1}, "q": {"a": 1}}, ["c", "b", "a"])
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != Relevance.from_dict({"q": {"a": 1}, "p": {"b": 1}}, ["a", "b"]).fingerprint
    assert one.fingerprint != Relevance.from_dict({"q": {"a": 2}, "p": {"b": 1}}, ["a", "b", "c"]).fingerprint


def test_grade_zero_is_no_judgement():
    assert Relevance.from_dict({"q": {"a": 100, "b": 0}}, ["a", "b"]).relevant("q") == {"a": 100.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Relevance.from_clips([]), "no query"),
        (lambda: Relevance.from_dict({"q": []}, ["a"]), "1 queries have no relevant item.*first: q"),
        (lambda: Relevance.from_dict({"q": ["x"]}, ["a"]), "'x' is not in the gallery"),
        (lambda: Relevance.from_dict({"q": {"a": 101}}), "at most 100"),
        (lambda: Relevance.from_dict({"q": {"a": -1}}), "above 0"),
        (lambda: Relevance.from_dict({"q": {"a": float("nan")}}), "grades must"),
        (lambda: Relevance.from_dict({"q": ["a"]}, ["a", "a"]), "gallery id 'a' occurs twice"),
        (lambda: Relevance.from_clips([CLIPS[0], CLIPS[0]]), "occurs twice"),
        (lambda: Relevance.from_clips(CLIPS, by="sentence"), "caption, text or label"),
        (lambda: Relevance.from_owner([0, 3], 2), r"rows in 0\.\.1"),
        (lambda: Relevance.from_owner([[0]], 2), "shape"),
        (lambda: Relevance.from_owner([0, 1], 2, caption_ids=["only one"]), "1 caption ids for 2"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_owner_form_equals_clip_form():
    clips = Relevance.from_clips(CLIPS[:3])
    owner = Relevance.from_owner([0, 0, 1, 2], caption_ids=clips.query_ids, clip_ids=["a", "b", "c"])
    assert owner.fingerprint == clips.fingerprint
    assert np.array_equal(owner.indptr, clips.indptr)
