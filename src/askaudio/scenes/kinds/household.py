"""People and things at home: steps, knocks, glass, doors, coins, tools, applause, heartbeat, zipper."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import (
    band,
    convolved,
    decay,
    envelope,
    filtered,
    impulses,
    in_turn,
    modes,
    peaks,
    pulses,
    regular,
    shaped,
    strew,
    wander,
    white,
)
from askaudio.scenes.kinds.registry import COUNTS, Attributes, kind

_FEW = ("1", "2", "3", "4")


def _step(rng: np.random.Generator, rate: int, ground: str) -> FloatArray:
    """One step: a dull heel on wood, a sharp one on stone, crunching grains on gravel, creaking snow."""
    n = int(0.28 * rate)
    if ground == "wood":
        return modes([85, 160, 290, 520], [1, 0.9, 0.6, 0.3], [0.2, 0.15, 0.1, 0.08], 0.28, rate) * np.float32(
            rng.uniform(0.8, 1)
        )
    if ground == "stone":
        heel = filtered(white(rng, n), rate, peaks([1700, 3400], 0.3, 0.05)) * decay(n, rate, 0.05)
        return heel * np.float32(rng.uniform(0.8, 1))
    swell = envelope(n, rate, 0.05, 0.15)
    if ground == "gravel":
        grain = white(rng, int(0.006 * rate)) * decay(int(0.006 * rate), rate, 0.005)
        return filtered(convolved(impulses(rng, n, rate, 400, 0.8), grain), rate, band(1500, 8000)) * swell
    creak = shaped(rng, n, rate, band(250, 1100, 2)) * pulses(rng.uniform(90, 130), n, rate, 2)
    return (creak * swell * 0.5).astype(np.float32)


@kind(
    "footsteps",
    ("{adj} footsteps", "the sound of {adj} steps"),
    ("someone's {adj} steps are heard", "{adj} steps go by"),
    speed=("slow", "fast"),
    ground=("wood", "stone", "gravel", "snow"),
)
def footsteps(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Steps in even time, left and right a little different."""
    starts = regular(rng, duration_s, rate, 0.95 if attributes["speed"] == "slow" else 0.33, 0.04)
    return strew(int(duration_s * rate), starts, [_step(rng, rate, attributes["ground"]) for _ in starts])


@kind(
    "knock",
    ("a {adj} knock on a door", "{adj} knocking"),
    ("there is a {adj} knock on the door", "someone makes a {adj} knock"),
    pitch=("low", "high"),
    count=_FEW,
)
def knock(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Knuckles on a panel: the modes of a plate, low for a heavy door, high for a thin board."""
    base = rng.uniform(100, 135) if attributes["pitch"] == "low" else rng.uniform(480, 620)

    def one(_: int) -> FloatArray:
        ratios = np.array([1, 1.72, 2.6, 3.9, 5.6])
        return modes(base * ratios, [1, 0.7, 0.5, 0.3, 0.2], 0.16 / ratios**0.4, 0.2, rate) * np.float32(
            rng.uniform(0.85, 1)
        )

    return in_turn(one, COUNTS[attributes["count"]], rng.uniform(0.1, 0.25), duration_s, rate)


@kind(
    "breaking glass",
    ("{adj} breaking glass", "the shattering of a {adj} pane"),
    ("a {adj} glass shatters", "a {adj} pane breaks"),
    size=("small", "large"),
)
def glass(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A crack, then shards that ring at random high modes and fall later and later."""
    large = attributes["size"] == "large"
    length = min(duration_s, 2.2 if large else 0.9)
    n, count = int(length * rate), 45 if large else 12
    low, high = (1100, 4500) if large else (3500, 9000)

    def shard() -> FloatArray:
        f = np.exp(rng.uniform(np.log(low), np.log(high))) * np.array([1, 1.6, 2.4])
        return modes(f, [1, 0.6, 0.3], rng.uniform(0.1, 0.35, 3), 0.3, rate) * np.float32(rng.uniform(0.1, 0.6))

    starts = (rng.exponential(0.25, count).clip(0.01, 0.9) * n).astype(np.int64)
    crack = shaped(rng, n, rate, band(800, 9000, 1)) * decay(n, rate, 0.3 if large else 0.12)
    return crack + strew(n, starts, [shard() for _ in starts])


@kind(
    "creaking door",
    ("a {adj} creaking door", "the {adj} creak of a door"),
    ("a {adj} door creaks", "a {adj} door squeaks on its hinges"),
    speed=("slow", "fast"),
    pitch=("low", "high"),
)
def creak(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Stick and slip: pulses whose rate wanders with the force, through the resonances of the wood."""
    length = min(duration_s, rng.uniform(2.5, 4) if attributes["speed"] == "slow" else rng.uniform(0.7, 1.0))
    n = int(length * rate)
    base = 1.0 if attributes["pitch"] == "low" else 3.2
    slips = 70 * base * wander(rng, n, rate, 3, 0.5, 1.6)
    source = pulses(slips, n, rate, 40)
    return filtered(source - source.mean(), rate, peaks([330 * base, 800 * base, 1500 * base], 0.12, 0.02)) * envelope(
        n, rate, 0.1, 0.2
    )


@kind(
    "coins",
    ("a {adj} coin dropped on a table", "the {adj} clink of a coin"),
    ("a {adj} coin falls", "a {adj} coin clinks"),
    pitch=("low", "high"),
    count=_FEW,
)
def coins(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A coin that falls on a table and rings: high inharmonic modes, hit a second time more softly."""
    base = rng.uniform(2300, 2700) if attributes["pitch"] == "low" else rng.uniform(5200, 6000)

    def one(_: int) -> FloatArray:
        f = base * rng.uniform(0.97, 1.03) * np.array([1, 1.47, 2.09, 2.56])
        return modes(f, [1, 0.8, 0.6, 0.4], [0.35, 0.3, 0.25, 0.2], 0.3, rate) * envelope(
            int(0.3 * rate), rate, 0.0005, 0.02
        )

    return in_turn(one, COUNTS[attributes["count"]], 0.15, duration_s, rate)


@kind(
    "hammer",
    ("a {adj} hammer", "the blow of a {adj} hammer"),
    ("a {adj} hammer strikes", "someone strikes with a {adj} hammer"),
    size=("small", "large"),
    count=_FEW,
)
def hammer(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Metal on metal: long high modes for a small hammer, a thump below them for a large one."""
    large = attributes["size"] == "large"
    base = rng.uniform(380, 480) if large else rng.uniform(1900, 2400)

    def blow(_: int) -> FloatArray:
        ring = modes(base * np.array([1, 2.76, 5.4, 8.9]), [1, 0.7, 0.4, 0.2], [0.5, 0.4, 0.25, 0.15], 0.4, rate)
        thump = modes([70, 130], [1.5, 1.0], [0.15, 0.1], 0.4, rate) * (1.0 if large else 0.0)
        click = white(rng, len(ring)) * decay(len(ring), rate, 0.008) * 0.5
        return (ring + thump + click).astype(np.float32) * envelope(len(ring), rate, 0.0003, 0.05)

    return in_turn(blow, COUNTS[attributes["count"]], rng.uniform(0.15, 0.35), duration_s, rate)


@kind(
    "bouncing ball",
    ("a {adj} bouncing ball", "a {adj} ball coming to rest"),
    ("a {adj} ball bounces", "a {adj} ball is dropped"),
    size=("small", "large"),
)
def ball(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Hits that come faster and softer, as a falling ball loses its height."""
    large = attributes["size"] == "large"
    gap, keep = (0.65, 0.78) if large else (0.4, 0.82)
    times = np.cumsum(np.concatenate([[0], gap * keep ** np.arange(14)]))
    times = times[times < duration_s - 0.15]
    base = rng.uniform(75, 100) if large else rng.uniform(650, 850)
    hit = modes(base * np.array([1, 2.1, 3.4]), [1, 0.5, 0.25], [0.14, 0.08, 0.05], 0.15, rate)
    grains = [hit * np.float32(keep**k) for k in range(len(times))]
    return strew(int((times[-1] + 0.15) * rate), (times * rate).astype(np.int64), grains)


@kind(
    "applause",
    ("the applause of a {adj} audience", "a {adj} audience clapping"),
    ("a {adj} audience claps", "a {adj} audience applauds"),
    size=("small", "large"),
)
def applause(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Each person claps about four times a second; few can be told apart, many become a rush."""
    n = int(duration_s * rate)
    people = 120 if attributes["size"] == "large" else 4
    hits = np.zeros(n, dtype=np.float32)
    for _ in range(people):
        starts = regular(rng, duration_s, rate, rng.uniform(0.2, 0.32), 0.12).clip(0, n - 1)
        hits[(starts + int(rng.uniform(0, 0.2) * rate)).clip(0, n - 1)] += np.float32(rng.uniform(0.3, 1))
    length = int(0.03 * rate)
    claps = [
        filtered(white(rng, length), rate, peaks([f], 0.5, 0.1)) * decay(length, rate, 0.025) for f in (900, 1400, 2100)
    ]
    return convolved(hits, np.sum(claps, axis=0)) * envelope(n, rate, 0.3, 0.5)


@kind(
    "heartbeat",
    ("a {adj} heartbeat", "the {adj} beat of a heart"),
    ("a {adj} heart beats", "there is the {adj} beating of a heart"),
    speed=("slow", "fast"),
)
def heartbeat(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """Lub and dub: two low thumps a beat."""
    period = rng.uniform(1.0, 1.15) if attributes["speed"] == "slow" else rng.uniform(0.42, 0.48)
    lub = modes([48, 75, 110], [1, 0.6, 0.3], [0.18, 0.12, 0.1], 0.2, rate)
    dub = modes([65, 100, 150], [0.7, 0.4, 0.2], [0.12, 0.1, 0.08], 0.2, rate)
    starts = regular(rng, duration_s, rate, period, 0.01)
    second = starts + int(min(0.32, 0.38 * period) * rate)
    return strew(int(duration_s * rate), np.concatenate([starts, second]), [lub] * len(starts) + [dub] * len(starts))


@kind(
    "zipper",
    ("a {adj} zipper", "the {adj} pull of a zipper"),
    ("someone pulls a {adj} zipper", "a {adj} zipper is pulled"),
    speed=("slow", "fast"),
    count=("1", "2", "3"),
)
def zipper(rng: np.random.Generator, duration_s: float, rate: int, attributes: Attributes) -> FloatArray:
    """A run of teeth: bright clicks whose rate rises as the slider speeds up."""
    slow = attributes["speed"] == "slow"

    def pull(_: int) -> FloatArray:
        n = int((1.1 if slow else 0.35) * rate)
        teeth = pulses(np.linspace(50, 110, n) * (1 if slow else 2.5), n, rate, 6)
        return shaped(rng, n, rate, band(2500, 7000, 2)) * teeth * envelope(n, rate, 0.05, 0.05)

    return in_turn(pull, COUNTS[attributes["count"]], 0.3, duration_s, rate)
