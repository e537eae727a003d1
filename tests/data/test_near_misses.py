"""Near misses of captions: what each rule makes, what it leaves alone, and what may be true of the sound."""

import csv
import json

import pytest

from askaudio.config.schema import NEAR_MISS_KINDS
from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.data.near_misses import KINDS, Vocabulary, near_misses, read_siblings, sure_near_misses

ORDER = [
    ("A dog barks, then a car passes", "A car passes, then a dog barks"),
    ("a horn followed by rain", "rain followed by a horn"),
    ("Birds sing and a dog barks, then a car passes.", "A car passes, then birds sing and a dog barks."),
    ("first the slam of a door, then a fat bass note", "first a fat bass note, then the slam of a door"),
    ("A bell rings and then a door is shut", "A door is shut and then a bell rings"),
    ("A woman laughs, followed shortly by a loud crash", "A loud crash, followed shortly by a woman laughs"),
    ("After a dog barks, a bell rings", "After a bell rings, a dog barks"),
    ("a cow moos and afterwards a train passes", "a train passes and afterwards a cow moos"),
    ("a siren wails until a door slams", "a door slams until a siren wails"),
    ("gunshots preceded by footsteps", "footsteps preceded by gunshots"),
]
NO_ORDER = [
    "A dog barks and a bell rings",  # together: the other order means the same
    "A dog barks while a bell rings",
    "Rain after that",
    "A man coughs then sneezes",  # "sneezes then a man coughs" is no sentence
    "An engine starts before it stalls",
    "Two men speak one after another",
    "book pages, synth bass",
    "A dog barks, then whines, then a door shuts",
]
UNSURE_ORDER = [
    "A dog barks, then a dog growls",  # may well have growled before
    "A man speaks followed by a man speaking again",
    "wind in the background, then a bell rings",
    "A bell rings repeatedly, then a cow moos",
    "A woman talks, then a bell rings, then a woman talks",
    "A man speaks and then a crowd cheers",
]
ATTRIBUTE = [
    ("A loud bell rings", "A quiet bell rings"),
    ("a high-pitched tone", "a low-pitched tone"),
    ("A man speaks", "A woman speaks"),
    ("A child laughs", "An adult laughs"),
    ("An adult laughs", "A child laughs"),
    ("a man clears his throat", "a woman clears her throat"),
    ("A bell rings in the distance", "A bell rings nearby"),
    ("A bell rings nearby", "A bell rings in the distance"),
    ("A bell rings nearby and a cow moos", "A bell rings in the distance and a cow moos"),
    ("Distant thunder", "Nearby thunder"),
    ("a dog barks quickly", "a dog barks slowly"),
    ("An intermittent beep", "A continuous beep"),
    ("a train approaches", "a train recedes"),
    ("music in the background", "music in the foreground"),
    ("An adult female speaks", None),
    ("Someone flips a light switch", None),
    ("A bell rings", None),
    ("A pump runs at a constant speed", None),
    ("a door opens and closes", None),
    ("A man and a woman speak", None),
]
UNSURE_ATTRIBUTE = [
    "A big dog barks",  # nobody hears the size for sure
    "A man speaks while people talk",
    "A tone gets louder",
    "a metal door is hit",
    "A bell rings in the distance and a dog barks far away",
]
COUNT = [
    (
        "a bell rings twice",
        ("a bell rings once", "a bell rings three times", "a bell rings four times", "a bell rings five times"),
    ),
    ("Two dogs bark", ("Three dogs bark", "Four dogs bark", "Five dogs bark")),
    ("3 knocks on wood", ("2 knocks on wood", "4 knocks on wood", "5 knocks on wood")),
    ("A dog barks", ("Three dogs bark", "Four dogs bark", "Five dogs bark")),
    ("A dog barks and whines", ("Three dogs bark and whine", "Four dogs bark and whine", "Five dogs bark and whine")),
    ("A dog is barking", ("Three dogs are barking", "Four dogs are barking", "Five dogs are barking")),
    ("a car horn honks", ("three car horns honk", "four car horns honk", "five car horns honk")),
    (
        "a small child laughing",
        ("three small children laughing", "four small children laughing", "five small children laughing"),
    ),
    ("rain, then a sheep bleats", tuple(f"rain, then {n} sheep bleat" for n in ("three", "four", "five"))),
    ("a bell rings eight times", ("a bell rings four times", "a bell rings 12 times")),
    ("Water runs into a sink", None),
    ("A stream flows", None),
    ("two-way radio", None),
    ("two or three dogs bark", None),
    ("the second bell rings", None),
    ("at once a door shuts", None),
    ("ten seconds of rain", None),
]
UNSURE_COUNT = [
    "An engine idles",  # several engines sound like one
    "about three dogs bark",
    "A dog barks and another dog growls",
    "someone types on a keyboard and a keyboard clicks",
    "six clicks",
]
NEGATION = [
    ("birds sing with a dog barking", "birds sing without any dog barking"),
    ("A dog barks and a bell rings.", "A dog barks and no bell rings."),
    ("A dog barks", "No dog barks"),
    ("Rain falls", "No rain falls"),
    ("a bell followed by some loud applause", "a bell followed by no loud applause"),
    ("a bell while a group of people sings", "a bell while no people sings"),
    ("A cat meows, several cows moo", "A cat meows, no cows moo"),
    ("Someone sneezes", None),
    ("A man coughs and sneezes", "No man coughs and sneezes"),
    ("It rains", None),
    ("A crowd is clapping and shouting", None),
    ("a bell rings before a door shuts", "no bell rings before a door shuts"),
]
UNSURE_NEGATION = [
    "a sound",
    "no dog, a bell",
    "A dog barks, then the dog growls",
    "birds sing without wind and a bell rings",
    "A beep stops and a cow moos",
]
LABEL_KEPT = [  # the other sound must not be another word for one of the caption
    ("A man speaks", "a person speaks"),
    ("A man speaks", "someone is talking"),
    ("A dog barks", "a puppy is barking"),
    ("A car passes", "a vehicle drives by"),
    ("Water runs from a faucet", "a river flows"),
    ("A bell rings", "wind blows"),  # may be there unmentioned
    ("A bell rings", "a sound occurs"),
    ("A crowd cheers", "people applaud"),
    ("A gun is fired", "an explosion occurs"),
    ("Someone types", "a keyboard is clicking"),
    ("A siren wails", "an alarm is beeping"),
    ("Footsteps on gravel", "someone walks on snow"),
]
VOCABULARY = Vocabulary.of(["A bell rings", "rain falls on a tin roof", "loud thunder", "a cow mooing"])


def one(text, kind, **settings):
    """The near miss of a kind, or None."""
    found = [m for m in near_misses(text, settings.pop("vocabulary", VOCABULARY), **settings) if m.kind == kind]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(("text", "expected"), ORDER)
def test_sounds_in_turn_are_exchanged(text, expected):
    assert one(text, "order") == (expected, "order", False)


def test_before_and_after_are_exchanged_as_often_as_the_sounds_are():
    made = {one("A dog barks before a bell rings", "order", seed=seed).text for seed in range(8)}
    assert made == {"A dog barks after a bell rings", "A bell rings before a dog barks"}


@pytest.mark.parametrize("text", NO_ORDER)
def test_sounds_without_an_order_have_no_other_order(text):
    assert one(text, "order") is None


@pytest.mark.parametrize(("text", "expected"), ATTRIBUTE)
def test_an_attribute_becomes_its_opposite(text, expected):
    found = one(text, "attribute")
    assert (found and found.text) == expected
    assert not found or not found.may_be_true


@pytest.mark.parametrize(("text", "expected"), COUNT)
def test_a_number_becomes_a_clearly_other_number(text, expected):
    found = {m and m.text for m in (one(text, "count", seed=seed) for seed in range(30))}
    assert found == ({None} if expected is None else set(expected))


@pytest.mark.parametrize(("text", "expected"), NEGATION)
def test_a_sound_is_denied(text, expected):
    found = one(text, "negation")
    assert (found and found.text) == expected
    assert not found or not found.may_be_true


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("order", text) for text in UNSURE_ORDER),
        *(("attribute", text) for text in UNSURE_ATTRIBUTE),
        *(("count", text) for text in UNSURE_COUNT),
        *(("negation", text) for text in UNSURE_NEGATION),
    ],
)
def test_what_may_be_true_is_marked(kind, text):
    assert one(text, kind).may_be_true


@pytest.mark.parametrize(("text", "other"), LABEL_KEPT)
def test_no_sound_is_exchanged_for_one_that_may_be_there(text, other):
    made = {m.text for seed in range(20) if (m := one(text, "label", vocabulary=Vocabulary.of([other]), seed=seed))}
    assert not any(other.lower() in text.lower() for text in made)


def test_a_sound_is_exchanged_for_a_phrase_of_the_same_form():
    made = {one("A dog barks, then two gunshots", "label", seed=seed).text for seed in range(40)}
    assert "A bell rings, then two gunshots" in made
    assert "A dog barks, then loud thunder" in made
    assert "A rooster crows, then two gunshots" in made
    assert not any("cow mooing" in text for text in made)  # a gerund does not take the place of a clause
    assert one("Two men talk", "label", vocabulary=None).text in {
        f"Two men {verb}"
        for verb in ("sing", "laugh", "cough", "sneeze", "snore", "whistle", "burp", "scream", "whisper")
    }


def test_sibling_classes_of_an_ontology(tmp_path):
    rows = [
        {"id": "/a", "name": "Tools", "child_ids": ["/b", "/c"]},
        {"id": "/b", "name": "Jackhammer", "child_ids": []},
        {"id": "/c", "name": "Zipper (clothing), fastener", "child_ids": []},
    ]
    (tmp_path / "classes.json").write_text(json.dumps(rows))
    assert read_siblings(tmp_path / "classes.json") == {
        "jackhammer": ("zipper",),
        "zipper": ("jackhammer",),
    }
    vocabulary = Vocabulary.of([], tmp_path / "classes.json")
    assert one("a jackhammer nearby", "label", vocabulary=vocabulary).text == "a zipper nearby"
    (tmp_path / "classes.json").write_text('[{"id": 1}]')
    with pytest.raises(DataError, match="like AudioSet's ontology"):
        read_siblings(tmp_path / "classes.json")


def test_audioset_classes_can_be_read(shared):
    siblings = read_siblings(shared / "data" / "captions" / "audioset_ontology" / "ontology.json")
    assert "meow" in siblings["purr"]
    assert len(siblings) > 500


def test_the_same_seed_makes_the_same_texts():
    text = "Two dogs bark loudly, then a man speaks with a bell ringing"
    assert near_misses(text, VOCABULARY, seed=3) == near_misses(text, VOCABULARY, seed=3)
    assert len({tuple(near_misses(text, VOCABULARY, seed=seed)) for seed in range(10)}) > 3
    assert [m.kind for m in near_misses(text, VOCABULARY)] == list(KINDS)
    assert [m.kind for m in near_misses(text, VOCABULARY, kinds=("count", "order"))] == ["order", "count"]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="unknown kind of near miss 'tense'"):
        near_misses("a bell", kinds=("tense",))
    assert KINDS == NEAR_MISS_KINDS


@pytest.mark.parametrize("text", ["", " ", ".", "?!", "123", "\n", "a", "and", "then then then", "with with a", "é ü"])
def test_odd_captions_do_not_fail(text):
    assert all(m.text != text for m in near_misses(text, VOCABULARY))


def test_what_another_caption_of_the_clip_says_is_no_near_miss():
    captions = (Caption("a#0", "A dog barks"), Caption("a#1", "No dog barks"), Caption("a#2", "a thud"))
    given = {"near_misses": [[], [], [["count", "two thuds"], ["order", "x"]]]}
    found = sure_near_misses(Manifest("m", (Clip("a", "a.wav", captions, extra=given),)), ("negation", "count"))
    assert [kind for kind, _ in found["a#0"]] == ["count"]
    assert found["a#2"] == [("count", "two thuds")]  # the manifest's own, of the kinds asked for
    bad = Clip("a", "a.wav", captions, extra={"near_misses": ["x"]})
    with pytest.raises(DataError, match="near_misses must hold for each caption a list"):
        sure_near_misses(Manifest("m", (bad,)))


def audiocaps(shared):
    with (shared / "data" / "captions" / "audiocaps" / "v1" / "test.csv").open(newline="") as file:
        return [row["caption"] for row in csv.DictReader(file)]


def clotho(shared):
    with (shared / "data" / "captions" / "clotho" / "clotho_captions_evaluation.csv").open(newline="") as file:
        return [row[f"caption_{k}"] for row in csv.DictReader(file) for k in range(1, 6)]


@pytest.mark.parametrize(
    ("read", "shares"),
    [
        (audiocaps, {"order": 0.11, "attribute": 0.4, "count": 0.3, "negation": 0.75, "label": 0.8}),
        (clotho, {"order": 0.03, "attribute": 0.25, "count": 0.12, "negation": 0.65, "label": 0.75}),
    ],
)
def test_shares_of_real_captions_with_a_near_miss(shared, read, shares):
    captions = read(shared)[::4]
    vocabulary = Vocabulary.of(captions)
    made = [near_misses(text, vocabulary) for text in captions]
    for kind, share in shares.items():
        found = sum(any(m.kind == kind and not m.may_be_true for m in of_caption) for of_caption in made)
        assert found / len(captions) > share, kind
    for text, of_caption in zip(captions, made, strict=True):
        assert all(m.text.lower() != text.lower() for m in of_caption)
        same_words = [sorted(m.text.lower()) == sorted(text.lower()) for m in of_caption if m.kind == "order"]
        assert all(same_words) or "before" in text.lower() or "after" in text.lower()
