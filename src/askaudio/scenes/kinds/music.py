"""Music: plucked string, piano, organ, flute, drum, cymbal, marimba; each a few notes of one melody."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import (
    Array,
    band,
    decay,
    envelope,
    filtered,
    harmonics,
    in_turn,
    modes,
    phase,
    shaped,
    white,
)
from askaudio.scenes.kinds.registry import COUNTS, Attributes, kind

_SCALE = np.array([0, 2, 4, 7, 9])  # major pentatonic, in semitones
_FEW = ("1", "2", "3", "4")


def _melody(rng: np.random.Generator, attributes: Attributes, low_hz: float, high_hz: float) -> Array:
    """Frequencies of as many notes as the count says, near the low or the high base."""
    base = (low_hz if attributes["pitch"] == "low" else high_hz) * 2 ** (rng.uniform(-2, 2) / 12)
    return base * 2 ** (rng.choice(_SCALE, COUNTS[attributes["count"]]) / 12)


@kind(
    "plucked string",
    ("a {adj} plucked string", "the {adj} pluck of a guitar string"),
    ("a {adj} string is plucked", "a {adj} guitar note is played"),
    pitch=("low", "high"),
    count=_FEW,
)
def plucked(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A string plucked near one end: harmonics with the comb of the plucking point, high ones dying first."""
    notes = _melody(rng, attributes, 98, 590)
    place = rng.uniform(0.12, 0.3)

    def pluck(k: int) -> FloatArray:
        number = np.arange(1, 30)
        amps = np.sin(np.pi * number * place) / number
        stiff = number * np.sqrt(1 + 0.0001 * number**2)
        return modes(notes[k] * stiff, amps, 3.0 / (1 + 0.12 * number), min(1.4, duration_s), rate) * envelope(
            int(min(1.4, duration_s) * rate), rate, 0.001, 0.2
        )

    return in_turn(pluck, len(notes), 0.05, duration_s, rate)


@kind(
    "piano",
    ("a {adj} piano note", "a {adj} note of a piano"),
    ("a {adj} note is struck on a piano", "a {adj} piano note sounds"),
    pitch=("low", "high"),
    count=_FEW,
)
def piano(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Three slightly mistuned strings a note, with the thump of the hammer."""
    notes = _melody(rng, attributes, 82, 880)

    def strike(k: int) -> FloatArray:
        length = min(1.2, duration_s)
        number = np.arange(1, 14)
        amps = np.exp(-0.35 * number)
        partials = notes[k] * number * np.sqrt(1 + 0.0004 * number**2)
        three = np.concatenate([partials * detune for detune in (0.9993, 1.0, 1.0008)])
        strings = modes(three, np.tile(amps, 3), np.tile(4.0 / (1 + 0.2 * number), 3), length, rate)
        thump = filtered(white(rng, len(strings)), rate, band(80, 600)) * decay(len(strings), rate, 0.06)
        return (strings + 0.4 * thump) * envelope(len(strings), rate, 0.002, 0.15)

    return in_turn(strike, len(notes), 0.02, duration_s, rate)


@kind(
    "organ",
    ("a {adj} organ note", "a {adj} note of an organ"),
    ("a {adj} organ note sounds", "someone plays a {adj} organ note"),
    pitch=("low", "high"),
    count=_FEW,
)
def organ(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Drawbars: octaves and fifths of steady sines, each note held."""
    notes = _melody(rng, attributes, 110, 520)
    length = max(0.1, min(duration_s / len(notes) - 0.15, rng.uniform(0.8, 1.3)))

    def hold(k: int) -> FloatArray:
        n = int(length * rate)
        amps = np.zeros(16)
        amps[[0, 1, 2, 3, 5, 7, 15]] = [1, 0.8, 0.5, 0.6, 0.3, 0.35, 0.15]
        return harmonics(notes[k], amps, n, rate) * envelope(n, rate, 0.03, 0.08)

    return in_turn(hold, len(notes), 0.12, duration_s, rate)


@kind(
    "flute",
    ("a {adj} flute note", "a {adj} note of a flute"),
    ("a {adj} flute note sounds", "someone plays a {adj} flute note"),
    pitch=("low", "high"),
    count=_FEW,
)
def flute(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A soft tone with vibrato and audible breath."""
    notes = _melody(rng, attributes, 294, 1180)
    length = max(0.1, min(duration_s / len(notes) - 0.15, rng.uniform(0.7, 1.1)))

    def blow(k: int) -> FloatArray:
        n = int(length * rate)
        t = np.arange(n) / rate
        f = notes[k] * (1 + 0.006 * np.sin(2 * np.pi * 5.2 * t) * np.clip(t / 0.4, 0, 1))
        breath = shaped(rng, n, rate, band(notes[k], notes[k] * 4, 2)) * 0.04
        return (harmonics(f, [1, 0.35, 0.12, 0.05], n, rate) + breath) * envelope(n, rate, 0.07, 0.1)

    return in_turn(blow, len(notes), 0.12, duration_s, rate)


@kind(
    "marimba",
    ("a {adj} marimba note", "the {adj} wooden note of a marimba"),
    ("a {adj} marimba note sounds", "a {adj} bar of a marimba is struck"),
    pitch=("low", "high"),
    count=_FEW,
)
def marimba(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Tuned wooden bars: partials at 1, 4 and 10, quickly dying."""
    notes = _melody(rng, attributes, 175, 1050)

    def strike(k: int) -> FloatArray:
        return modes(notes[k] * np.array([1, 3.93, 9.9]), [1, 0.3, 0.1], [0.9, 0.3, 0.1], 0.6, rate)

    return in_turn(strike, len(notes), 0.02, duration_s, rate)


@kind(
    "drum",
    ("a {adj} drum", "the {adj} beat of a drum"),
    ("a {adj} drum is beaten", "a {adj} drum is struck"),
    pitch=("low", "high"),
    count=_FEW,
)
def drum(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A membrane: the modes of a circular skin, whose pitch drops after the stroke."""
    base = rng.uniform(60, 80) if attributes["pitch"] == "low" else rng.uniform(230, 300)
    ratios, amps = [1, 1.59, 2.14, 2.3, 2.65], [1, 0.5, 0.35, 0.3, 0.2]

    def stroke(_: int) -> FloatArray:
        n = int(0.45 * rate)
        fall = 1 + 0.5 * np.exp(-30 * np.arange(n) / rate)
        skin = np.zeros(n)
        for ratio, amp in zip(ratios, amps, strict=True):
            skin += amp * np.sin(phase(base * ratio * fall, n, rate)) * decay(n, rate, 0.6 / ratio)
        stick = filtered(white(rng, n), rate, band(500, 3000)) * decay(n, rate, 0.02)
        return (skin + 0.3 * stick).astype(np.float32)

    return in_turn(stroke, COUNTS[attributes["count"]], 0.1, duration_s, rate)


@kind(
    "cymbal",
    ("a {adj} cymbal", "the crash of a {adj} cymbal"),
    ("a {adj} cymbal crashes", "a {adj} cymbal is struck"),
    size=("small", "large"),
    count=("1", "2", "3"),
)
def cymbal(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Very many inharmonic partials, as noise in two bands that die at different speeds."""
    large = attributes["size"] == "large"
    count = COUNTS[attributes["count"]]
    n = int(min(duration_s / count, 2.5 if large else 0.5) * rate)

    def crash(_: int) -> FloatArray:
        high = shaped(rng, n, rate, band(5000 if not large else 3000, 14000, 2)) * decay(
            n, rate, 2.0 if large else 0.35
        )
        low = shaped(rng, n, rate, band(500, 3000, 2)) * decay(n, rate, 3.0 if large else 0.2) * (0.7 if large else 0.1)
        return (high + low) * envelope(n, rate, 0.001, 0.1)

    return in_turn(crash, count, 0.15, duration_s, rate)
