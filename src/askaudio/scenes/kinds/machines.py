"""Machines: engines as pulse trains through resonances, tools and gears as rhythmic noise."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import (
    band,
    decay,
    envelope,
    filtered,
    harmonics,
    modes,
    peaks,
    phase,
    pulses,
    regular,
    seconds,
    shaped,
    strew,
    wander,
    white,
)
from askaudio.scenes.kinds.registry import Attributes, kind


@kind(
    "engine",
    ("a {adj} engine", "the {adj} rumble of an engine"),
    ("a {adj} engine runs", "a {adj} motor is running"),
    speed=("slow", "fast"),
)
def engine(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Explosions of four cylinders as uneven pulses through the resonances of an exhaust."""
    n = int(duration_s * rate)
    firing = rng.uniform(22, 28) if attributes["speed"] == "slow" else rng.uniform(95, 120)
    f = firing * wander(rng, n, rate, 6, 0.97, 1.03)
    source = pulses(f, n, rate, 25) * (1 + 0.4 * np.sin(phase(f / 4, n, rate)).astype(np.float32))
    body = filtered(source - source.mean(), rate, peaks([90, 240, 700], 0.4, 0.05))
    return body / body.std() + 0.15 * shaped(rng, n, rate, band(200, 2500, 1)) * (0.5 + pulses(f, n, rate, 2))


@kind(
    "helicopter",
    ("a {adj} helicopter", "the {adj} beat of helicopter rotors"),
    ("a {adj} helicopter flies", "a {adj} helicopter hovers"),
    speed=("slow", "fast"),
)
def helicopter(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Blade slap: low noise in strokes, over the whine of the turbine."""
    n = int(duration_s * rate)
    blades = rng.uniform(8, 10) if attributes["speed"] == "slow" else rng.uniform(19, 24)
    slap = shaped(rng, n, rate, band(60, 500, 2)) * pulses(blades, n, rate, 4)
    whine = harmonics(rng.uniform(900, 1200), [0.05, 0.02, 0.02], n, rate)
    return slap * 2 + whine + shaped(rng, n, rate, band(400, 4000, 1)) * 0.08


@kind(
    "train",
    ("a {adj} train", "the clatter of a {adj} train"),
    ("a {adj} train rolls by", "a {adj} train clatters along"),
    speed=("slow", "fast"),
)
def train(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Rumble of wheels and the double knock of each axle pair on the rail joints."""
    n = int(duration_s * rate)
    period = rng.uniform(1.3, 1.6) if attributes["speed"] == "slow" else rng.uniform(0.42, 0.5)
    knock = modes([140, 310, 730, 1650], [1, 0.8, 0.5, 0.3], [0.1, 0.08, 0.06, 0.04], 0.12, rate)
    first = regular(rng, duration_s, rate, period, 0.01)
    starts = np.concatenate([first, first + int(0.2 * period * rate)])
    rumble = shaped(rng, n, rate, band(50, 300, 1)) * wander(rng, n, rate, 3, 0.7, 1)
    return strew(n, starts, [knock] * len(starts)) * 2.5 + rumble * 0.35


@kind(
    "saw",
    ("a {adj} saw", "the {adj} strokes of a saw"),
    ("someone works with a {adj} saw", "a {adj} saw cuts wood"),
    speed=("slow", "fast"),
)
def saw(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Teeth scraping over wood, to and fro: rough noise whose strength follows the stroke."""
    n = int(duration_s * rate)
    per_second = rng.uniform(0.8, 1.0) if attributes["speed"] == "slow" else rng.uniform(3.0, 3.8)
    push = np.sin(2 * np.pi * per_second * seconds(duration_s, rate)[:n])
    teeth = pulses(60 + 200 * np.abs(push), n, rate, 3)
    rasp = shaped(rng, n, rate, peaks([900, 2300, 4200], 0.35, 0.1)) * teeth
    return rasp * (np.clip(push, 0, 1) + 0.5 * np.clip(-push, 0, 1)).astype(np.float32)


@kind(
    "drill",
    ("a {adj} electric drill", "the {adj} whine of a drill"),
    ("a {adj} drill is running", "a {adj} drill whines"),
    pitch=("low", "high"),
)
def drill(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """The harmonic whine of a motor with gears, roughened."""
    n = int(duration_s * rate)
    base = rng.uniform(130, 160) if attributes["pitch"] == "low" else rng.uniform(480, 600)
    start = 1 - np.exp(-6 * seconds(duration_s, rate)[:n])
    f = base * start * wander(rng, n, rate, 8, 0.97, 1.03)
    whine = harmonics(f, 1 / np.arange(1, 20) ** 0.6, n, rate)
    return whine + 0.5 * shaped(rng, n, rate, band(1500, 6000, 1)) * start.astype(np.float32)


@kind(
    "clock",
    ("a {adj} ticking clock", "the {adj} tick of a clock"),
    ("a {adj} clock ticks", "a {adj} clock is ticking"),
    speed=("slow", "fast"),
)
def clock(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Tick and tock: two slightly different little modal strokes in strict time."""
    period = 1.0 if attributes["speed"] == "slow" else 0.25
    pitch = rng.uniform(0.8, 1.25)
    strokes = [
        modes(np.array([1900, 3300, 5200]) * pitch * k, [1, 0.7, 0.5], [0.04, 0.03, 0.02], 0.06, rate) for k in (1, 0.8)
    ]
    starts = regular(rng, duration_s, rate, period, 0.002)
    return strew(int(duration_s * rate), starts, [strokes[k % 2] for k in range(len(starts))])


@kind(
    "typing",
    ("{adj} typing on a keyboard", "the {adj} clatter of keys"),
    ("someone's {adj} typing is heard", "there is {adj} typing on keys"),
    speed=("slow", "fast"),
)
def typing(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Key clicks of unequal strength, pressed and released, in uneven time."""
    period = 0.45 if attributes["speed"] == "slow" else 0.11
    starts = regular(rng, duration_s, rate, period, 0.35).clip(0)
    n = int(0.03 * rate)

    def key() -> FloatArray:
        click = filtered(white(rng, n), rate, band(rng.uniform(900, 1500), 7000)) * decay(n, rate, 0.02)
        return click * np.float32(rng.uniform(0.5, 1))

    keys = [key() for _ in range(12)]
    grains = [keys[k] for k in rng.integers(0, 12, 2 * len(starts))]
    up = starts + int(0.06 * rate)
    return strew(
        int(duration_s * rate),
        np.concatenate([starts, up]),
        [*grains[: len(starts)], *(0.4 * g for g in grains[len(starts) :])],
    )


@kind(
    "fan",
    ("a {adj} fan", "the {adj} hum of a fan"),
    ("a {adj} fan is running", "a {adj} fan hums"),
    pitch=("low", "high"),
)
def fan(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Rushing air with the tone of the passing blades."""
    n = int(duration_s * rate)
    low = attributes["pitch"] == "low"
    base = rng.uniform(55, 75) if low else rng.uniform(380, 480)
    air = shaped(rng, n, rate, band(100 if low else 700, 900 if low else 4000, 1))
    return harmonics(base, [1, 0.6, 0.3, 0.2], n, rate) * 0.7 + air * (
        0.8 + 0.2 * np.sin(phase(6, n, rate)).astype(np.float32)
    )


@kind(
    "jet",
    ("a {adj} jet plane", "the {adj} roar of a jet"),
    ("a {adj} jet passes", "a {adj} jet plane flies over"),
    speed=("slow", "fast"),
)
def jet(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A fly-over: roar and turbine whine that swell, fall in pitch as the plane passes (Doppler), and fade."""
    n = int(duration_s * rate)
    t = seconds(duration_s, rate)[:n] - duration_s * rng.uniform(0.4, 0.6)
    width = duration_s / (4 if attributes["speed"] == "slow" else 16)
    near = 1 / (1 + (t / width) ** 2)
    f = rng.uniform(1800, 2400) * (1 - 0.25 * np.tanh(t / width))
    roar = shaped(rng, n, rate, band(80, 700, 1)) + shaped(rng, n, rate, band(800, 5000, 1)) * near.astype(np.float32)
    return (roar + harmonics(f, [0.4, 0.2], n, rate)) * near.astype(np.float32) * envelope(n, rate, 0.3, 0.3)
