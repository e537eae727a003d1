"""Animals: gliding tones for birds and owls, a buzzing source through formants for voices, chirps for insects."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import (
    Array,
    band,
    envelope,
    filtered,
    harmonics,
    in_turn,
    peaks,
    phase,
    pulses,
    regular,
    shaped,
    strew,
    wander,
    white,
)
from askaudio.scenes.kinds.registry import COUNTS, Attributes, kind


def _voice(rng: np.random.Generator, f_hz: Array, formants_hz: list[float], breath: float, rate: int) -> FloatArray:
    """A throat: pulses at a gliding pitch with some breath, through formants."""
    source = pulses(f_hz, len(f_hz), rate, 8.0) + breath * white(rng, len(f_hz))
    return filtered(source - source.mean(), rate, peaks(formants_hz, 0.12, 0.02))


@kind(
    "bird",
    ("a {adj} bird", "the {adj} song of a bird"),
    ("a {adj} bird sings", "a {adj} bird chirps"),
    pitch=("low", "high"),
    speed=("slow", "fast"),
)
def bird(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Phrases of short glides and trills, repeated as a songbird repeats its motifs."""
    base = rng.uniform(1500, 2000) if attributes["pitch"] == "low" else rng.uniform(4200, 5500)
    fast = attributes["speed"] == "fast"
    length = int((0.07 if fast else 0.22) * rate)
    t = np.linspace(0, 1, length)
    bend, trill = rng.uniform(-0.35, 0.35, 4), rng.uniform(0, 0.06, 4)
    motif = [
        np.sin(phase(base * (1 + b * t + w * np.sin(2 * np.pi * 6 * t)), length, rate))
        * envelope(length, rate, 0.01, 0.02)
        for b, w in zip(bend, trill, strict=True)
    ]
    starts = regular(rng, duration_s, rate, 0.11 if fast else 0.42, 0.08)
    starts = starts[(np.arange(len(starts)) % 6) < 4]  # a rest after each motif
    return strew(int(duration_s * rate), starts, [motif[k % 4] for k in range(len(starts))])


@kind(
    "cricket",
    ("a {adj} cricket", "the {adj} chirping of a cricket"),
    ("a {adj} cricket chirps", "a {adj} cricket sings"),
    speed=("slow", "fast"),
)
def cricket(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A pure high tone in bursts of three or four wing strokes."""
    n = int(duration_s * rate)
    pulse = int(0.016 * rate)
    stroke = envelope(pulse, rate, 0.004, 0.008)
    beats = int(rng.integers(3, 5))
    chirp = strew(int(0.11 * rate), [int(k * 0.024 * rate) for k in range(beats)], [stroke] * beats)
    starts = regular(rng, duration_s, rate, 0.75 if attributes["speed"] == "slow" else 0.2, 0.04)
    return strew(n, starts, [chirp] * len(starts)) * np.sin(phase(rng.uniform(4000, 5000), n, rate)).astype(np.float32)


@kind(
    "bee",
    ("a buzzing {adj} bee", "the {adj} buzz of an insect"),
    ("a {adj} bee buzzes", "a {adj} insect buzzes about"),
    pitch=("low", "high"),
)
def bee(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Wing beat as a harmonic tone with a wandering pitch and distance."""
    n = int(duration_s * rate)
    base = rng.uniform(110, 140) if attributes["pitch"] == "low" else rng.uniform(380, 480)
    f = base * wander(rng, n, rate, 4, 0.9, 1.1)
    return harmonics(f, 1 / np.arange(1, 16) ** 0.8, n, rate) * wander(rng, n, rate, 1.5, 0.3, 1.0)


@kind(
    "frog",
    ("a {adj} frog", "the {adj} croak of a frog"),
    ("a {adj} frog croaks", "a {adj} frog calls"),
    pitch=("low", "high"),
    count=("1", "2", "3", "4"),
)
def frog(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A croak: a pulsed throat at some 40 pulses a second."""
    low = attributes["pitch"] == "low"
    base = rng.uniform(90, 120) if low else rng.uniform(330, 420)

    def croak(_: int) -> FloatArray:
        n = int(rng.uniform(0.3, 0.45) * rate)
        voice = _voice(rng, np.full(n, base), [base * 4, base * 9], 0.2, rate)
        return voice * pulses(38, n, rate, 3) * envelope(n, rate, 0.05, 0.1)

    return in_turn(croak, COUNTS[attributes["count"]], 0.5, duration_s, rate)


@kind(
    "dog",
    ("a {adj} barking dog", "the bark of a {adj} dog"),
    ("a {adj} dog barks", "a {adj} dog is barking"),
    size=("small", "large"),
    count=("1", "2", "3", "4"),
)
def dog(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A bark: a throat whose pitch jumps up and falls, with much breath, through the formants of a muzzle."""
    small = attributes["size"] == "small"
    base = rng.uniform(620, 780) if small else rng.uniform(160, 220)
    formants = [1500.0, 3200.0] if small else [520.0, 1150.0, 2400.0]

    def bark(_: int) -> FloatArray:
        n = int((0.14 if small else 0.24) * rate)
        t = np.linspace(0, 1, n)
        pitch = base * rng.uniform(0.95, 1.05) * (0.8 + 0.5 * np.sin(np.pi * t**0.6))
        return _voice(rng, pitch, formants, 0.35, rate) * envelope(n, rate, 0.012, 0.1)

    return in_turn(bark, COUNTS[attributes["count"]], rng.uniform(0.25, 0.45), duration_s, rate)


@kind(
    "owl",
    ("a {adj} hooting owl", "the {adj} hoot of an owl"),
    ("a {adj} owl hoots", "a {adj} owl calls"),
    pitch=("low", "high"),
    count=("2", "3", "4"),
)
def owl(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Soft hoots: nearly pure tones that rise a little and fall."""
    base = rng.uniform(280, 340) if attributes["pitch"] == "low" else rng.uniform(650, 800)

    def hoot(k: int) -> FloatArray:
        n = int((0.5 if k == 0 else 0.35) * rate)
        f = base * (1 + 0.08 * np.sin(np.pi * np.linspace(0, 1, n)))
        return harmonics(f, [1, 0.12, 0.04], n, rate) * envelope(n, rate, 0.08, 0.15)

    return in_turn(hoot, COUNTS[attributes["count"]], 0.4, duration_s, rate)


@kind(
    "cow",
    ("a {adj} mooing cow", "the {adj} moo of a cow"),
    ("a {adj} cow moos", "a {adj} cow lows"),
    pitch=("low", "high"),
    count=("1", "2", "3"),
)
def cow(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A long voiced call that swells, glides up and opens its formants."""
    base = rng.uniform(75, 95) if attributes["pitch"] == "low" else rng.uniform(190, 230)

    def moo(_: int) -> FloatArray:
        n = int(rng.uniform(1.1, 1.6) * rate)
        t = np.linspace(0, 1, n)
        f = base * (0.85 + 0.4 * np.sin(np.pi * t**0.8)) * wander(rng, n, rate, 20, 0.985, 1.015)
        return _voice(rng, f, [300.0, 750.0, 2200.0], 0.05, rate) * envelope(n, rate, 0.2, 0.35)

    return in_turn(moo, COUNTS[attributes["count"]], 0.5, duration_s, rate)


@kind(
    "cat",
    ("a {adj} meowing cat", "the {adj} meow of a cat"),
    ("a {adj} cat meows", "a {adj} cat mews"),
    pitch=("low", "high"),
    count=("1", "2", "3"),
)
def cat(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A meow: a bright voice whose pitch and formants arch up and down."""
    base = rng.uniform(330, 400) if attributes["pitch"] == "low" else rng.uniform(800, 950)

    def meow(_: int) -> FloatArray:
        n = int(rng.uniform(0.6, 0.9) * rate)
        arch = np.sin(np.pi * np.linspace(0, 1, n) ** 0.7)
        f = base * (0.8 + 0.4 * arch)
        closed = _voice(rng, f, [base * 1.6, 2600.0], 0.05, rate)
        opened = _voice(rng, f, [1300.0, 3100.0], 0.05, rate)
        return ((1 - arch) * closed + arch * opened).astype(np.float32) * envelope(n, rate, 0.08, 0.2)

    return in_turn(meow, COUNTS[attributes["count"]], 0.5, duration_s, rate)


@kind(
    "snake",
    ("a hissing {adj} snake", "the hiss of a {adj} snake"),
    ("a {adj} snake hisses", "a {adj} snake is hissing"),
    size=("small", "large"),
    count=("1", "2", "3"),
)
def snake(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Breath through a narrow gap: high noise that swells and fades; a large snake hisses lower and longer."""
    large = attributes["size"] == "large"

    def hiss(_: int) -> FloatArray:
        n = int((1.3 if large else 0.6) * rate)
        low, high = (1200, 3000) if large else (5000, 9000)
        return shaped(rng, n, rate, band(low, high, 3)) * envelope(n, rate, 0.15, 0.4)

    return in_turn(hiss, COUNTS[attributes["count"]], 0.5, duration_s, rate)
