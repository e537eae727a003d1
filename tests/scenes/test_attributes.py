"""Attributes given to recordings: they are true of the sound, captions name them, and near misses change them."""

import numpy as np
import pytest

from askaudio.data.manifest import Manifest
from askaudio.scenes.attributes import bursts, give_attributes, with_attributes
from askaudio.scenes.event import Event
from askaudio.scenes.library import wordings_of
from askaudio.scenes.loudness import active_rms
from askaudio.scenes.near_miss import near_miss_set
from askaudio.scenes.source import Sound
from askaudio.scenes.wording import Choice, Wording, clause, noun
from mixed_scenes import mixed

RATE = 8000
DOG = Wording("dog", ("a barking dog", "barks"), ("a dog barks", "something barks"))


def tone(seconds):
    return np.sin(np.arange(int(seconds * RATE))).astype(np.float32)


def test_phrases_get_room_for_adjectives_behind_their_article():
    wording = with_attributes(DOG)
    event = Event("dog", 0, 1, {"loudness": "quiet", "count": "2"})
    named = frozenset(event.attributes)
    assert noun(event, wording, Choice(0, 0, named)) == "a quiet barking dog twice"
    assert clause(event, wording, Choice(0, 0, named)) == "a quiet dog barks twice"
    assert clause(event, wording, Choice(1, 0, frozenset({"count"}))) == "something barks twice"
    assert noun(event, wording, Choice(0, 0, frozenset())) == "a barking dog"


@pytest.mark.parametrize(("pauses_s", "expected"), [((), 1), ((0.2,), 2), ((0.02,), 1), ((0.3, 0.3), 3)])
def test_bursts_are_counted_by_their_pauses(pauses_s, expected):
    parts = [tone(0.2)]
    for pause in pauses_s:
        parts += [np.zeros(int(pause * RATE), dtype=np.float32), tone(0.2)]
    assert bursts(np.concatenate(parts), RATE) == expected


def test_attributes_are_true_of_the_sound():
    drawn = [give_attributes(Sound(tone(1), repeats=2), True, np.random.default_rng(k), 4.0, RATE) for k in range(40)]
    assert {sound.attributes["count"] for sound in drawn} == {"2"}
    assert {sound.gain_db for sound in drawn if sound.attributes.get("loudness") == "quiet"} == {-9.0}
    assert {sound.gain_db for sound in drawn if sound.attributes.get("loudness") == "loud"} == {3.0}
    far = [sound for sound in drawn if sound.attributes.get("distance") == "far"]
    assert far
    assert all(RATE < len(sound.samples) <= 4 * RATE for sound in far)  # its reverberation follows the sound
    assert all(active_rms(sound.samples[RATE : 2 * RATE], RATE) > 0 for sound in far)
    assert any(set(sound.attributes) == {"count"} for sound in drawn)
    assert "count" not in give_attributes(Sound(tone(1)), False, np.random.default_rng(0), 4.0, RATE).attributes


def test_scenes_of_recordings_have_near_misses_of_attributes_and_counts(recordings, phrases):
    scenes = mixed(recordings, phrases, {"train": 40}, attributes=True)
    clips = Manifest("scenes", tuple(scene.clip for scene in scenes))
    assert any("count" in event["attributes"] for clip in clips for event in clip.extra["events"])
    _, lists = near_miss_set(clips, wordings_of(clips, phrases))
    assert {"order", "attribute", "count", "negation", "label"} == {kind for found in lists for kind, _ in found}


def test_scenes_without_attributes_are_as_before(recordings, phrases):
    plain, same = mixed(recordings, phrases), mixed(recordings, phrases, attributes=False)
    assert plain.about() == same.about()
    assert "attributes" not in plain.about()["source"]
    assert all(event["attributes"] == {} for scene in plain for event in scene.clip.extra["events"])
