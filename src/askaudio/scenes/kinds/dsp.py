"""Building blocks of the synthesis: shaped noise, damped partials, harmonic tones, grains strewn over time.

All of it is whole-array numpy: filters work on the spectrum of the whole sound, dense events are strewn as impulses
and convolved once. Ten seconds cost some 10 ms a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from askaudio.core.types import FloatArray

Array = npt.NDArray[np.floating]
Gain = Callable[[Array], Array]


def seconds(duration_s: float, rate: int) -> Array:
    """Time axis (S,) float64."""
    return np.arange(max(1, int(duration_s * rate))) / rate


def _fft_size(n: int) -> int:
    """A length of at least ``n`` whose Fourier transform is fast."""
    step = 1 << max(4, n.bit_length() - 5)
    return -(-n // step) * step


def white(rng: np.random.Generator, n: int) -> FloatArray:
    """White noise (n,), variance 1."""
    return rng.standard_normal(n, dtype=np.float32)


def band(low_hz: float, high_hz: float, slope: float = 2.0) -> Gain:
    """Gain of a soft band pass; ``slope`` 1 is 6 dB an octave."""

    def gain(f: Array) -> Array:
        return ((1 + (low_hz / f) ** 2) * (1 + (f / high_hz) ** 2)) ** (-slope / 2)

    return gain


def peaks(centres_hz: Sequence[float], width: float, floor: float = 0.0) -> Gain:
    """Gain of resonances (formants) of a relative width, over a floor."""

    def gain(f: Array) -> Array:
        return floor + sum(1 / (1 + ((f - c) / (width * c)) ** 2) for c in centres_hz)  # type: ignore[return-value]

    return gain


def filtered(x: Array, rate: int, gain: Gain) -> FloatArray:
    """Apply a zero-phase filter, given by its gain over frequency in Hz, to the whole sound."""
    size = _fft_size(len(x) + rate // 20)  # room for the filter's ringing, so that it does not wrap round
    spectrum = np.fft.rfft(x.astype(np.float32), size)
    f = np.fft.rfftfreq(size, 1 / rate)
    f[0] = 0.1
    return np.fft.irfft(spectrum * gain(f).astype(np.float32), size)[: len(x)].astype(np.float32)


def shaped(rng: np.random.Generator, n: int, rate: int, gain: Gain) -> FloatArray:
    """Noise (n,) with the given spectrum, variance 1."""
    out = filtered(white(rng, n), rate, gain)
    return (out / (out.std() + 1e-12)).astype(np.float32)


def wander(rng: np.random.Generator, n: int, rate: int, hz: float, low: float, high: float) -> FloatArray:
    """A smooth random curve (n,) between two values that turns about ``hz`` times a second."""
    points = max(4, int(n / rate * hz) + 3)
    knots = rng.uniform(low, high, points)
    return np.interp(np.linspace(0, points - 1, n), np.arange(points), knots).astype(np.float32)


def decay(n: int, rate: int, t60_s: float) -> FloatArray:
    """Exponential fall (n,) that reaches -60 dB after ``t60_s``."""
    return np.exp(np.arange(n, dtype=np.float32) * np.float32(-6.9078 / (t60_s * rate)))


def envelope(n: int, rate: int, attack_s: float, release_s: float) -> FloatArray:
    """Flat curve (n,) with rounded rise and fall."""
    t = np.arange(n, dtype=np.float32) / rate
    rise = np.clip(t / max(attack_s, 1e-4), 0, 1)
    fall = np.clip((n / rate - t) / max(release_s, 1e-4), 0, 1)
    return (np.sin(np.pi / 2 * rise) * np.sin(np.pi / 2 * fall)).astype(np.float32)


def modes(
    freqs_hz: Sequence[float] | Array,
    amps: Sequence[float] | Array,
    t60s: Sequence[float] | Array,
    duration_s: float,
    rate: int,
) -> FloatArray:
    """A struck body: a sum of damped partials (modal synthesis); partials above Nyquist are left out."""
    t = seconds(duration_s, rate)
    out = np.zeros(len(t))
    for f, a, t60 in zip(freqs_hz, amps, t60s, strict=True):
        if f < rate * 0.49:
            out += a * np.sin(2 * np.pi * f * t) * np.exp(-6.9078 / t60 * t)
    return out.astype(np.float32)


def phase(f_hz: Array | float, n: int, rate: int) -> Array:
    """Running phase (n,) in radians of a tone whose frequency is constant or a curve (n,)."""
    return 2 * np.pi * np.cumsum(np.broadcast_to(np.asarray(f_hz, dtype=np.float64), n)) / rate


def harmonics(f_hz: Array | float, amps: Sequence[float] | Array, n: int, rate: int) -> FloatArray:
    """A tone (n,) of harmonics with given amplitudes; those that would pass Nyquist are left out.

    Harmonic k comes from its two predecessors, sin(kx) = 2 cos(x) sin((k-1)x) - sin((k-2)x): two products instead of
    a sine each.
    """
    top = float(np.max(f_hz))
    running = phase(f_hz, n, rate)
    before, current, twice_cos = np.zeros(n), np.sin(running), 2 * np.cos(running)
    out = np.zeros(n)
    for k, amp in enumerate(amps, start=1):
        if k * top >= rate * 0.49:
            break
        out += amp * current
        before, current = current, twice_cos * current - before
    return out.astype(np.float32)


def pulses(f_hz: Array | float, n: int, rate: int, sharp: float) -> FloatArray:
    """A periodic train (n,) of positive pulses at a frequency; ``sharp`` grows -> narrower pulses."""
    return np.exp(sharp * (np.cos(phase(f_hz, n, rate)) - 1)).astype(np.float32)


def strew(n: int, starts: Sequence[int] | npt.NDArray[np.int64], grains: Sequence[Array]) -> FloatArray:
    """Add grains into silence (n,) at their first samples; what reaches beyond the end is cut."""
    out = np.zeros(n, dtype=np.float32)
    for start, grain in zip(starts, grains, strict=True):
        piece = grain[: max(0, n - start)]
        out[start : start + len(piece)] += piece
    return out


def impulses(rng: np.random.Generator, n: int, rate: int, per_second: float, spread: float = 1.0) -> FloatArray:
    """Poisson impulses (n,) with log-normal sizes: the raw material of rain, fire, applause."""
    out = np.zeros(n, dtype=np.float32)
    count = max(1, int(rng.poisson(per_second * n / rate)))
    np.add.at(out, rng.integers(0, n, count), rng.lognormal(0, spread, count) * rng.choice([-1.0, 1.0], count))
    return out


def convolved(x: Array, kernel: Array) -> FloatArray:
    """Convolution by Fourier transform, cut to the length of ``x``."""
    size = _fft_size(len(x) + len(kernel))
    out = np.fft.irfft(np.fft.rfft(x.astype(np.float32), size) * np.fft.rfft(kernel.astype(np.float32), size), size)
    return out[: len(x)].astype(np.float32)


def regular(
    rng: np.random.Generator, duration_s: float, rate: int, period_s: float, jitter: float = 0.05
) -> npt.NDArray[np.int64]:
    """First samples of events that come about every ``period_s`` until the end."""
    times = np.arange(0, max(duration_s - 0.05, 1e-3), period_s)
    times = times + rng.uniform(-jitter, jitter, len(times)) * period_s * (np.arange(len(times)) > 0)
    return (times * rate).astype(np.int64)


def in_turn(one: Callable[[int], Array], count: int, gap_s: float, duration_s: float, rate: int) -> FloatArray:
    """``count`` sounds one after the other with silence between; sped up where they would not fit.

    Args:
        one: Number of the sound -> its waveform.
        count: How many.
        gap_s: Silence between them.
        duration_s: Longest result; gaps shrink and sounds are cut evenly, so that the count stays true.
        rate: Sample rate in Hz.
    """
    sounds = [one(k) for k in range(count)]
    limit, gap = int(duration_s * rate), int(gap_s * rate)
    room = max(1, (limit - int(0.08 * rate) * (count - 1)) // count)
    sounds = [s if len(s) <= room else s[:room] * envelope(room, rate, 1e-4, 0.03) for s in sounds]
    if count > 1:
        gap = min(gap, (limit - sum(map(len, sounds))) // (count - 1))
    starts = np.concatenate([[0], np.cumsum([len(s) + gap for s in sounds[:-1]])]).astype(np.int64)
    return strew(min(limit, int(starts[-1]) + len(sounds[-1])), starts, sounds)
