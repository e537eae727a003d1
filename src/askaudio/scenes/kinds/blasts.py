"""Blasts: explosion, gunshot, fireworks, cannon-like booms. A steep front, then noise that darkens as it dies."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import band, decay, envelope, impulses, in_turn, phase, shaped, strew, wander
from askaudio.scenes.kinds.registry import COUNTS, Attributes, kind


@kind(
    "explosion",
    ("a {adj} explosion", "the boom of a {adj} blast"),
    ("a {adj} bomb explodes", "a {adj} blast goes off"),
    size=("small", "large"),
)
def explosion(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A front, a rumble that decays slowly, falling debris."""
    large = attributes["size"] == "large"
    n = int(min(duration_s, 3.5 if large else 1.2) * rate)
    front = shaped(rng, n, rate, band(150 if large else 500, 5000, 1)) * decay(n, rate, 0.3)
    rumble = shaped(rng, n, rate, band(25, 90 if large else 350, 2)) * decay(n, rate, 3.5 if large else 0.9)
    debris = shaped(rng, n, rate, band(400, 3000, 1)) * decay(n, rate, 2.5) * wander(rng, n, rate, 30, 0, 0.15)
    return (front + 1.5 * rumble + debris * (1 if large else 0.2)) * envelope(n, rate, 0.002, 0.3)


@kind(
    "gunshot",
    ("a {adj} gunshot", "the crack of a {adj} gun"),
    ("a {adj} gun is fired", "a {adj} shot rings out"),
    size=("small", "large"),
    count=("1", "2", "3", "4"),
)
def gunshot(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A crack of a few milliseconds and the echo of the surroundings."""
    large = attributes["size"] == "large"

    def shot(_: int) -> FloatArray:
        n = int((0.6 if large else 0.35) * rate)
        crack = shaped(rng, n, rate, band(80 if large else 1500, 1800 if large else 8000, 1)) * decay(
            n, rate, 0.12 if large else 0.05
        )
        echo = (
            shaped(rng, n, rate, band(100 if large else 600, 1200 if large else 3000, 1)) * decay(n, rate, 0.8) * 0.12
        )
        return (crack + echo) * envelope(n, rate, 0.0003, 0.1)

    return in_turn(shot, COUNTS[attributes["count"]], rng.uniform(0.25, 0.5), duration_s, rate)


@kind(
    "fireworks",
    ("a {adj} firework", "the bang and crackle of a {adj} firework"),
    ("a {adj} firework goes off", "a {adj} rocket bursts in the sky"),
    size=("small", "large"),
)
def fireworks(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """The whistle of the rising rocket, a bang, and crackling stars."""
    large = attributes["size"] == "large"
    n = int(min(duration_s, 3.2) * rate)
    rise = int(0.3 * n)
    f = np.linspace(1200, 2600, rise)
    whistle = np.sin(phase(f, rise, rate)).astype(np.float32) * envelope(rise, rate, 0.2, 0.05) * np.float32(0.12)
    rest = n - rise
    bang = shaped(rng, rest, rate, band(40 if large else 300, 500 if large else 2500, 1)) * decay(
        rest, rate, 1.2 if large else 0.3
    )
    stars = impulses(rng, rest, rate, 120 if large else 30, 0.7) * decay(rest, rate, 3.0)
    crackle = np.convolve(stars, shaped(rng, 96, rate, band(2000, 9000, 1)) * decay(96, rate, 0.003), mode="same")
    return strew(n, [0, rise], [whistle, bang + crackle * (1.0 if large else 0.5)])


@kind(
    "rocket",
    ("a {adj} rocket launch", "the {adj} whoosh of a rocket"),
    ("a {adj} rocket takes off", "a {adj} rocket whooshes away"),
    size=("small", "large"),
)
def rocket(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A jet of gas that sets in at once and fades with distance."""
    large = attributes["size"] == "large"
    n = int(min(duration_s, 5.0 if large else 1.5) * rate)
    low = shaped(rng, n, rate, band(40, 250, 1)) * wander(rng, n, rate, 25, 0.5, 1.0)
    high = shaped(rng, n, rate, band(1000, 6000, 1))
    return (low * (1.2 if large else 0.1) + high * (0.4 if large else 1.0)) * envelope(n, rate, 0.08, 0.7 * n / rate)
