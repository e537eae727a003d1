"""Attributes that can be given to any recording, so that they are true: loudness, distance, and how often it sounds."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.effects import far_away
from askaudio.scenes.loudness import fade, frame_power
from askaudio.scenes.source import Sound
from askaudio.scenes.wording import AttributeWords, Wording

GAIN_DB = {"quiet": -9.0, "loud": 3.0, "near": 0.0, "far": -7.0}
AT_MOST_ONE = ("loudness", "distance")  # a sound may be faint or far: one of the two or neither is drawn
VALUES = {"loudness": ("quiet", "loud"), "distance": ("near", "far")}
WORDS: dict[str, AttributeWords] = {
    "count": AttributeWords(
        {"1": ("once", "a single time"), "2": ("twice", "two times"), "3": ("three times",), "4": ("four times",)},
        tail=True,
    ),
    "loudness": AttributeWords({"quiet": ("quiet", "faint"), "loud": ("loud", "noisy")}),
    "distance": AttributeWords({"near": ("close by", "nearby"), "far": ("far away", "in the distance")}, tail=True),
}
_ARTICLE = re.compile(r"^(an?|the) (?=[^uh])")
_BURST_DB = -15.0  # a frame within this of the loudest belongs to a burst
_PAUSE_S = 0.08  # quieter for this long: the next burst is another one


def with_attributes(wording: Wording) -> Wording:
    """Phrases that have room for the attributes of this file: adjectives stand behind a first article."""
    return replace(
        wording,
        nouns=tuple(_ARTICLE.sub(r"\1 {adj} ", text) for text in wording.nouns),
        clauses=tuple(_ARTICLE.sub(r"\1 {adj} ", text) for text in wording.clauses),
        attributes={**wording.attributes, **WORDS},
    )


def give_attributes(
    sound: Sound, countable: bool, rng: np.random.Generator, max_duration_s: float, sample_rate_hz: int
) -> Sound:
    """The sound with drawn attributes, and changed so that they are true.

    Args:
        sound: A recording, cut or repeated.
        countable: One play of it is one event, so ``repeats`` is a count.
        rng: Source of every choice.
        max_duration_s: Largest length in seconds; a far sound's reverberation ends there.
        sample_rate_hz: Sample rate of the sound.
    """
    attributes = {"count": str(sound.repeats)} if countable else {}
    kept = int(rng.integers(len(AT_MOST_ONE) + 1))
    value = int(rng.integers(2))
    samples = sound.samples
    if kept < len(AT_MOST_ONE):
        name = AT_MOST_ONE[kept]
        attributes[name] = VALUES[name][value]
    if attributes.get("distance") == "far":
        tail_s = max_duration_s - len(samples) / sample_rate_hz
        samples = fade(far_away(samples, rng, sample_rate_hz, tail_s), sample_rate_hz)
    gain_db = sum(GAIN_DB[attributes[name]] for name in AT_MOST_ONE if name in attributes)
    return replace(sound, samples=samples, attributes=attributes, gain_db=gain_db)


def bursts(samples: FloatArray, sample_rate_hz: int) -> int:
    """Number of loud passages of a waveform (S,) that a pause divides."""
    power = frame_power(samples, sample_rate_hz)
    if not power.max() > 0:
        return 0
    loud = np.flatnonzero(power > power.max() * 10 ** (_BURST_DB / 10))
    frame_s = len(samples) / sample_rate_hz / len(power)
    return 1 + int((np.diff(loud) * frame_s > _PAUSE_S).sum())
