"""Weather and fire: rain, wind, thunder, fire. Noise shaped in frequency, gated or strewn in time."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import band, convolved, decay, envelope, filtered, impulses, shaped, wander, white
from askaudio.scenes.kinds.registry import Attributes, kind


@kind(
    "rain",
    ("{adj} rain", "the patter of {adj} rain"),
    ("{adj} rain is falling", "{adj} rain patters down"),
    strength=("light", "heavy"),
)
def rain(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Drops as Poisson impulses with a short bright decay, over the hiss of those too many to hear singly."""
    n = int(duration_s * rate)
    heavy = attributes["strength"] == "heavy"
    drop = white(rng, int(0.004 * rate)) * decay(int(0.004 * rate), rate, 0.003)
    drops = filtered(convolved(impulses(rng, n, rate, 1500 if heavy else 60), drop), rate, band(1200, 9000))
    hiss = shaped(rng, n, rate, band(300 if heavy else 1500, 6000, 1)) * wander(rng, n, rate, 1, 0.8, 1.2)
    drops /= drops.std() + 1e-9
    return drops * (0.6 if heavy else 1.0) + hiss * (0.8 if heavy else 0.12)


@kind(
    "wind",
    ("a {adj} wind", "{adj} gusts of wind"),
    ("a {adj} wind blows", "a {adj} wind howls"),
    strength=("light", "heavy"),
)
def wind(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Noise through a resonance that follows the gusts: the stronger the gust, the louder and the higher."""
    n = int(duration_s * rate)
    heavy = attributes["strength"] == "heavy"
    gust = wander(rng, n, rate, 1.2 if heavy else 0.5, 0.15 if heavy else 0.4, 1.0)
    low = shaped(rng, n, rate, band(60, 250, 2))
    high = shaped(rng, n, rate, band(500, 900, 3))
    return low * gust + high * gust**2 * (1.1 if heavy else 0.15)


@kind(
    "thunder",
    ("a {adj} clap of thunder", "{adj} thunder"),
    ("{adj} thunder rolls", "{adj} thunder rumbles"),
    strength=("light", "heavy"),
)
def thunder(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A crack, then several rumbling strokes whose echoes lose their high frequencies."""
    n = int(min(duration_s, rng.uniform(4, 8)) * rate)
    heavy = attributes["strength"] == "heavy"
    strokes = np.zeros(n, dtype=np.float32)
    for k in range(6 if heavy else 3):
        start = 0 if k == 0 else int(rng.uniform(0, 0.5) * n)
        strokes[start:] += decay(n - start, rate, rng.uniform(1.5, 4.0)) * np.float32(rng.uniform(0.4, 1.0))
    rumble = shaped(rng, n, rate, band(30, 120 if not heavy else 220, 2)) * wander(rng, n, rate, 8, 0.4, 1.0)
    crack = shaped(rng, n, rate, band(300, 4000, 1)) * decay(n, rate, 0.5)
    return (rumble * strokes + crack * (1.5 if heavy else 0.05)) * envelope(n, rate, 0.005, 1.0)


@kind(
    "fire",
    ("a {adj} fire", "the crackle of a {adj} fire"),
    ("a {adj} fire crackles", "a {adj} fire is burning"),
    size=("small", "large"),
)
def fire(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Crackles as sparse impulses of very unequal size, over the low roar of the flames."""
    n = int(duration_s * rate)
    large = attributes["size"] == "large"
    crack = white(rng, int(0.02 * rate)) * decay(int(0.02 * rate), rate, 0.012)
    cracks = convolved(impulses(rng, n, rate, 25 if large else 8, 1.2), crack)
    cracks = filtered(cracks, rate, band(800, 7000, 1))
    roar = shaped(rng, n, rate, band(50, 400, 2)) * wander(rng, n, rate, 5, 0.4, 1.0)
    return cracks / (np.abs(cracks).max() + 1e-9) * 6 + roar * (1.0 if large else 0.12)
