"""Water: drops, stream, sea waves, bubbles, splash. A drop or bubble is a tone whose pitch rises as it closes."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import (
    band,
    decay,
    envelope,
    phase,
    regular,
    seconds,
    shaped,
    strew,
)
from askaudio.scenes.kinds.registry import Attributes, kind


def _bubble(rng: np.random.Generator, rate: int, f_hz: float, rise: float, t60_s: float) -> FloatArray:
    """One bubble: a damped tone that rises (van den Doel's bubble model)."""
    n = int(t60_s * rate)
    t = seconds(t60_s, rate)[:n]
    tone = np.sin(phase(f_hz * (1 + rise * t / t60_s), len(t), rate)) * decay(len(t), rate, t60_s)
    return (tone * envelope(len(t), rate, 0.001, 0.002)).astype(np.float32)


@kind(
    "dripping water",
    ("{adj} dripping water", "{adj} drops of water"),
    ("{adj} drips of water are heard", "{adj} drops of water fall one by one"),
    speed=("slow", "fast"),
)
def drops(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Single drops: a click and a rising bubble each."""
    starts = regular(rng, duration_s, rate, 1.1 if attributes["speed"] == "slow" else 0.22, 0.1)
    base = rng.uniform(700, 1500)
    grains = [_bubble(rng, rate, base * rng.uniform(0.8, 1.25), 0.6, 0.12) * rng.uniform(0.6, 1) for _ in starts]
    return strew(int(duration_s * rate), starts, grains)


@kind(
    "stream",
    ("a {adj} stream", "the gurgle of a {adj} brook"),
    ("a {adj} stream flows", "a {adj} brook gurgles"),
    size=("small", "large"),
)
def stream(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Hundreds of bubbles a second over a steady rush; a large stream has lower bubbles and more rush."""
    n = int(duration_s * rate)
    large = attributes["size"] == "large"
    count = int((25 if large else 45) * duration_s)
    low, high = (250, 900) if large else (600, 2200)
    bank = [_bubble(rng, rate, np.exp(rng.uniform(np.log(low), np.log(high))), 0.3, 0.06) for _ in range(24)]
    chosen = rng.integers(0, len(bank), count)
    grains = [bank[k] * np.float32(g) for k, g in zip(chosen, rng.lognormal(-0.5, 0.5, count), strict=True)]
    rush = shaped(rng, n, rate, band(200 if large else 900, 1500 if large else 5000, 1))
    return strew(n, rng.integers(0, n, count), grains) + rush * (0.5 if large else 0.08)


@kind(
    "sea waves",
    ("{adj} sea waves", "the wash of {adj} waves"),
    ("{adj} waves roll ashore", "{adj} waves break"),
    speed=("slow", "fast"),
)
def waves(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Each wave swells as a low rush and breaks into bright foam."""
    n = int(duration_s * rate)
    period = rng.uniform(4.5, 6) if attributes["speed"] == "slow" else rng.uniform(1.5, 2.2)
    cycle = (seconds(duration_s, rate)[:n] / period + rng.random()) % 1
    swell = np.where(cycle < 0.45, cycle / 0.45, ((1 - cycle) / 0.55) ** 1.5).astype(np.float32)
    low, foam = shaped(rng, n, rate, band(80, 500, 2)), shaped(rng, n, rate, band(800, 6000, 1))
    return low * (0.15 + swell) + foam * swell**3 * 0.8


@kind(
    "bubbles",
    ("{adj} bubbles", "the bubbling of {adj} liquid"),
    ("{adj} bubbles rise", "there is {adj} bubbling"),
    pitch=("low", "high"),
)
def bubbles(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Bubbles one after the other in uneven groups."""
    base = rng.uniform(180, 300) if attributes["pitch"] == "low" else rng.uniform(900, 1400)
    starts = regular(rng, duration_s, rate, 0.09, 0.9).clip(0)
    grains = [
        _bubble(rng, rate, base * rng.uniform(0.8, 1.3), 0.8, rng.uniform(0.08, 0.14))
        * np.float32(rng.lognormal(0, 0.4))
        for _ in starts
    ]
    return strew(int(duration_s * rate), starts, grains)


@kind(
    "splash",
    ("a {adj} splash", "a {adj} plunge into water"),
    ("there is a {adj} splash", "a {adj} object splashes into water"),
    size=("small", "large"),
)
def splash(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A burst of noise and a cloud of bubbles that dies away."""
    large = attributes["size"] == "large"
    n = int(min(duration_s, 2.5 if large else 1.0) * rate)
    burst = shaped(rng, n, rate, band(150 if large else 800, 2500 if large else 7000, 1))
    burst = burst * decay(n, rate, 1.2 if large else 0.4) * envelope(n, rate, 0.01, 0.05)
    count = 60 if large else 20
    starts = (rng.exponential(0.2, count).clip(0, 0.9) * n).astype(np.int64)
    low, high = (200, 700) if large else (700, 2000)
    grains = [_bubble(rng, rate, rng.uniform(low, high), 0.5, 0.09) * np.float32(rng.uniform(0.1, 0.6)) for _ in starts]
    return burst + strew(n, starts, grains) * decay(n, rate, 2.5)
