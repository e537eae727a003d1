"""Signals that people make: siren, horns, bell, alarm clock, telephone, beeps, whistle, laser."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import (
    band,
    envelope,
    filtered,
    harmonics,
    in_turn,
    modes,
    phase,
    seconds,
    shaped,
    wander,
    white,
)
from askaudio.scenes.kinds.registry import COUNTS, Attributes, kind


@kind(
    "siren",
    ("a {adj} siren", "the {adj} wail of a siren"),
    ("a {adj} siren wails", "a {adj} siren sounds"),
    speed=("slow", "fast"),
    pitch=("low", "high"),
)
def siren(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A harmonic tone that sweeps up and down."""
    n = int(duration_s * rate)
    low = rng.uniform(320, 380) if attributes["pitch"] == "low" else rng.uniform(850, 950)
    per_second = rng.uniform(0.25, 0.35) if attributes["speed"] == "slow" else rng.uniform(2.5, 3.5)
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * (per_second * seconds(duration_s, rate)[:n] + rng.random()))
    return harmonics(low * (1 + 0.9 * sweep), [1, 0.5, 0.35, 0.2, 0.1], n, rate)


@kind(
    "car horn",
    ("a {adj} car horn", "the {adj} honk of a car"),
    ("a {adj} car horn honks", "a {adj} horn blares"),
    pitch=("low", "high"),
    count=("1", "2", "3", "4"),
)
def car_horn(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Two reeds a third apart, rich in harmonics."""
    base = rng.uniform(210, 250) if attributes["pitch"] == "low" else rng.uniform(520, 600)

    def honk(_: int) -> FloatArray:
        n = int(rng.uniform(0.35, 0.55) * rate)
        amps = 1 / np.arange(1, 18) ** 0.7
        two = harmonics(base, amps, n, rate) + harmonics(base * 1.26, amps, n, rate)
        return two * envelope(n, rate, 0.015, 0.04)

    return in_turn(honk, COUNTS[attributes["count"]], 0.3, duration_s, rate)


@kind(
    "ship horn",
    ("a {adj} ship's horn", "the {adj} blast of a ship"),
    ("a {adj} ship's horn sounds", "a {adj} ship blows its horn"),
    count=("1", "2", "3"),
)
def ship_horn(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A very low reed with many harmonics that speaks and stops slowly."""
    base = rng.uniform(70, 95)

    def blast(_: int) -> FloatArray:
        n = int(rng.uniform(1.6, 2.4) * rate)
        return harmonics(base * wander(rng, n, rate, 5, 0.998, 1.002), 1 / np.arange(1, 20), n, rate) * envelope(
            n, rate, 0.2, 0.4
        )

    return in_turn(blast, COUNTS[attributes["count"]], 0.6, duration_s, rate)


# Partials of a tuned bell against its strike note (hum, prime, tierce, quint, nominal, ...).
_BELL = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.0, 4.0])


@kind(
    "bell",
    ("a {adj} bell", "the {adj} toll of a bell"),
    ("a {adj} bell rings", "a {adj} bell tolls"),
    pitch=("low", "high"),
    count=("1", "2", "3", "4"),
)
def bell(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Modal synthesis of a church bell; high partials die first."""
    low = attributes["pitch"] == "low"
    strike = rng.uniform(220, 300) if low else rng.uniform(1000, 1300)
    count = COUNTS[attributes["count"]]
    ring_s = min(duration_s / count, 4.0 if low else 2.5)
    amps = rng.uniform(0.4, 1.0, len(_BELL)) / (1 + 0.3 * np.arange(len(_BELL)))
    one = modes(strike * _BELL, amps, (5.0 if low else 2.5) / _BELL, ring_s, rate)
    one *= envelope(len(one), rate, 0.002, 0.1)
    return in_turn(lambda _: one, count, 0.1, duration_s, rate)


@kind(
    "alarm clock",
    ("a {adj} alarm clock", "the {adj} beeping of an alarm clock"),
    ("a {adj} alarm clock goes off", "a {adj} alarm clock beeps"),
    pitch=("low", "high"),
    speed=("slow", "fast"),
)
def alarm_clock(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A square tone in groups of four beeps, without end."""
    n = int(duration_s * rate)
    base = rng.uniform(700, 850) if attributes["pitch"] == "low" else rng.uniform(2000, 2400)
    beat = 0.11 if attributes["speed"] == "slow" else 0.055
    t = seconds(duration_s, rate)[:n]
    on = ((t / beat) % 2 < 1) & ((t / beat) % 14 < 8)
    gate = np.convolve(on.astype(np.float32), np.hanning(65)[1:-1] / 32, mode="same")
    return harmonics(base, [1, 0, 1 / 3, 0, 1 / 5], n, rate) * gate.astype(np.float32)


@kind(
    "telephone",
    ("a ringing {adj} telephone", "the {adj} ring of a telephone"),
    ("a {adj} telephone rings", "a {adj} phone is ringing"),
    pitch=("low", "high"),
    count=("1", "2", "3"),
)
def telephone(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A mechanical ringer: two small gongs struck in turn 22 times a second."""
    base = rng.uniform(650, 800) if attributes["pitch"] == "low" else rng.uniform(1700, 2100)

    def ring(_: int) -> FloatArray:
        n = int(1.0 * rate)
        stroke = 0.5 + 0.5 * np.sign(np.sin(phase(22, n, rate)))
        gongs = [harmonics(base * k, [1, 0, 0.6, 0.3], n, rate) for k in (1.0, 1.19)]
        return (gongs[0] * stroke + gongs[1] * (1 - stroke)).astype(np.float32) * envelope(n, rate, 0.01, 0.15)

    return in_turn(ring, COUNTS[attributes["count"]], 0.9, duration_s, rate)


@kind(
    "beep",
    ("a {adj} beep", "a {adj} electronic beep"),
    ("something gives a {adj} beep", "a {adj} beep sounds"),
    pitch=("low", "high"),
    count=("1", "2", "3", "4"),
)
def beep(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Plain sine beeps."""
    f = rng.uniform(380, 480) if attributes["pitch"] == "low" else rng.uniform(1800, 2400)
    n = int(rng.uniform(0.18, 0.3) * rate)
    one = harmonics(f, [1, 0.05], n, rate) * envelope(n, rate, 0.005, 0.01)
    return in_turn(lambda _: one, COUNTS[attributes["count"]], 0.2, duration_s, rate)


@kind(
    "whistle",
    ("a {adj} whistle", "a {adj} whistled tone"),
    ("someone gives a {adj} whistle", "a {adj} whistle sounds"),
    direction=("rising", "falling"),
    count=("1", "2", "3"),
)
def whistle(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A human whistle: a gliding sine with vibrato and a little breath."""
    low, high = rng.uniform(900, 1100), rng.uniform(2000, 2600)
    ends = (low, high) if attributes["direction"] == "rising" else (high, low)

    def one(_: int) -> FloatArray:
        n = int(rng.uniform(0.6, 0.9) * rate)
        t = np.linspace(0, 1, n)
        f = ends[0] * (ends[1] / ends[0]) ** t * (1 + 0.01 * np.sin(2 * np.pi * 6 * t))
        breath = filtered(white(rng, n), rate, band(1000, 4000)) * 0.03
        return (harmonics(f, [1, 0.03], n, rate) + breath) * envelope(n, rate, 0.05, 0.08)

    return in_turn(one, COUNTS[attributes["count"]], 0.35, duration_s, rate)


@kind(
    "laser",
    ("a {adj} laser shot", "the {adj} zap of a laser"),
    ("a {adj} laser is fired", "a {adj} laser zaps"),
    pitch=("low", "high"),
    count=("1", "2", "3", "4"),
)
def laser(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """The ray gun of the films: a harmonic tone that falls steeply."""
    top = rng.uniform(900, 1200) if attributes["pitch"] == "low" else rng.uniform(4000, 5500)

    def zap(_: int) -> FloatArray:
        n = int(0.28 * rate)
        f = top * np.exp(-5.0 * np.linspace(0, 1, n)) + 80
        hiss = shaped(rng, n, rate, band(2000, 9000)) * 0.02
        return (harmonics(f, [1, 0.5, 0.3], n, rate) + hiss) * envelope(n, rate, 0.003, 0.15)

    return in_turn(zap, COUNTS[attributes["count"]], 0.25, duration_s, rate)
