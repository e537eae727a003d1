"""Captions split into phrases: what joins sounds, what stays one phrase, and spans of real captions."""

import csv
from itertools import pairwise

import pytest

from askaudio.data.phrases import split_phrases, without_phrases

SPLIT = [
    ("A dog barks", "A dog barks"),
    ("A dog barks and a bell rings.", "A dog barks|and:a bell rings"),
    ("A man speaks while birds sing", "A man speaks|while:birds sing"),
    ("rain, thunder, and wind", "rain|and:thunder|and:wind"),
    ("A horn followed closely by a crash", "A horn|then:a crash"),
    ("An engine runs, and then a door is shut", "An engine runs|then:a door is shut"),
    ("A siren wails before people shout", "A siren wails|then:people shout"),
    ("A siren wails after people shout", "A siren wails|after:people shout"),
    ("After people shout, a siren wails", "people shout|then:a siren wails"),
    ("Before a siren wails, people shout", "a siren wails|after:people shout"),
    ("As rain falls, a car drives by", "rain falls|while:a car drives by"),
    ("A train passes and a moment later kids shout", "A train passes|then:kids shout"),
    ("a bell, and after that a drum", "a bell|then:a drum"),
    ("Birds sing. A dog barks.", "Birds sing|and:A dog barks"),
    ("a fan hums with traffic in the background", "a fan hums|while:traffic in the background"),
    ("a hum is accompanied by clicks", "a hum|while:clicks"),
    ("a knife in front of street music", "a knife|while:street music"),
    ("first a beep, then a click", "a beep|then:a click"),
    ("a man coughs, then sneezes", "a man coughs|then:sneezes"),
]
ONE_PHRASE = [
    "a loud, high-pitched beep",
    "a loud and sharp crack",
    "a saw moves back and forth",
    "kids shout and laugh",
    "the clanking of pots and pans",
    "a man speaks with a deep voice",
    "someone strikes a rock with a pickaxe",
    "a car honks as it passes",
    "it sounds as if a pump runs",
    "footsteps get louder and louder",
    "two people walk one after another",
    "a glass filled with water is hit",
    "a dog barks, loudly",
    "a bell rings over and over again",
    "rain falls on grass and on a roof",
]


def spelled(caption):
    return "|".join((f"{p.relation}:" if p.relation else "") + p.text for p in split_phrases(caption))


@pytest.mark.parametrize(("caption", "expected"), SPLIT)
def test_joined_sounds_are_split(caption, expected):
    assert spelled(caption) == expected


@pytest.mark.parametrize("caption", ONE_PHRASE)
def test_joined_words_of_one_sound_are_not(caption):
    assert [p.text for p in split_phrases(caption)] == [caption]


def test_phrases_are_left_out_with_the_words_that_join_them():
    text = "A dog barks, then a car passes and rain falls."
    a, b, c = split_phrases(text)
    assert without_phrases(text, []) == text
    assert without_phrases(text, [a]) == "A car passes and rain falls."
    assert without_phrases(text, [b]) == "A dog barks, then rain falls."
    assert without_phrases(text, [c]) == "A dog barks, then a car passes."
    assert without_phrases(text, [a, b]) == "Rain falls."
    assert without_phrases(text, [a, b, c]) == ""


def test_real_captions_have_one_to_three_phrases_with_exact_spans(shared):
    captions = shared / "data" / "captions"
    with (captions / "audiocaps" / "v1" / "test.csv").open(newline="") as file:
        texts = [row["caption"] for row in csv.DictReader(file)][::5]
    with (captions / "clotho" / "clotho_captions_evaluation.csv").open(newline="") as file:
        texts += [row[f"caption_{k}"] for row in csv.DictReader(file) for k in (1, 3)][::2]
    counts = []
    for text in texts:
        phrases = split_phrases(text)
        counts.append(len(phrases))
        assert [p.text for p in phrases] == [text[p.start : p.stop] for p in phrases]
        assert all(one.stop <= other.start for one, other in pairwise(phrases))
        assert phrases[0].relation == "" and all(p.relation for p in phrases[1:])
    assert min(counts) == 1 and sum(1 <= n <= 3 for n in counts) > 0.9 * len(counts)
    assert 1.6 < sum(counts) / len(counts) < 2.6
