"""Fundamental frequency of recordings with one steady pitch up to 1500 Hz; None for noise, glides and most chords.

The normalised square difference function of each frame has a peak at the period. Its height is the clarity: 1 for a
periodic signal, near 0 for noise. A pitch is reported only if most loud frames are clear and agree within a semitone.

Source: McLeod and Wyvill, "A smarter way to find pitch", 2005.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from askaudio.core.types import FloatArray
from askaudio.measurements.spectrum import Frames

Float64Array = npt.NDArray[np.float64]

LOWEST_HZ, HIGHEST_HZ = 50.0, 1500.0
_RATE_HZ = 12_000  # signals are averaged down to about this rate
_FRAME_S = 0.05
_DENSE_S, _LATER_EVERY = 2.0, 32  # all frames of the first seconds, then some
_BATCH = 64  # frames that are kept before they are evaluated
_FIRST_PEAK = 0.9  # the first peak of at least this share of the highest is the period: later ones are multiples
_CLEAR = 0.85
_LOUD_DB = 30.0  # below the loudest frame
_CLEAR_SHARE, _AGREEING_SHARE = 0.6, 0.7
_ALONE = 0.95  # clarity that a single frame needs


class Pitch:
    """Pitch of a mono signal.

    Args:
        sample_rate_hz: Rate of the signal.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._factor = max(1, round(sample_rate_hz / _RATE_HZ))
        self._rate_hz = sample_rate_hz / self._factor
        size = 1 << max(5, round(np.log2(_FRAME_S * self._rate_hz)))
        self._frames = Frames(size * self._factor, round(_DENSE_S * self._rate_hz / size), _LATER_EVERY)
        self._waiting: list[FloatArray] = []
        self._found: list[tuple[Float64Array, Float64Array, Float64Array]] = []

    def take(self, mono: FloatArray) -> None:
        """Add consecutive samples (S,)."""
        self._add(self._frames.take(mono))

    def _add(self, frames: FloatArray) -> None:
        if len(frames):
            mean = frames[:, :: self._factor].copy()
            for n in range(1, self._factor):
                mean += frames[:, n :: self._factor]
            self._waiting.append(mean / np.float32(self._factor))
        if sum(map(len, self._waiting)) >= _BATCH:
            self._evaluate()

    def _evaluate(self) -> None:
        if self._waiting:
            self._found.append(periods(np.concatenate(self._waiting), self._rate_hz))
            self._waiting = []

    def finish(self) -> float | None:
        """Pitch in Hz; None where there is no single clear one."""
        self._add(self._frames.finish())
        self._evaluate()
        if not self._found:
            return None
        pitches, clarity, levels = (np.concatenate(column) for column in zip(*self._found, strict=True))
        loud = (levels > 1e-6) & (levels > levels.max() * 10 ** (-_LOUD_DB / 10))
        clear = loud & (clarity >= _CLEAR)
        if not clear.any() or clear.sum() < _CLEAR_SHARE * loud.sum():
            return None
        if loud.sum() == 1 and clarity[loud][0] < _ALONE:
            return None
        middle = float(np.median(pitches[clear]))
        agreeing = np.abs(np.log2(pitches[clear] / middle)) < 1 / 12
        return middle if agreeing.mean() >= _AGREEING_SHARE else None


def periods(frames: FloatArray, sample_rate_hz: float) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Pitch in Hz, clarity and mean square of each frame.

    Args:
        frames: (n, size).
        sample_rate_hz: Their rate.

    Returns:
        Three arrays (n,). The clarity of a frame without a period is 0.
    """
    frames = frames - frames.mean(axis=1, keepdims=True)
    size = frames.shape[1]
    lags = min(size - 2, int(sample_rate_hz / LOWEST_HZ) + 2)
    spectrum = np.fft.rfft(frames, size + -(-lags // (size // 4)) * (size // 4))  # zeros behind: no lag wraps around
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, :lags]
    squares = np.cumsum(np.pad(frames.astype(np.float64) ** 2, ((0, 0), (1, 0))), axis=1)
    total = squares[:, -1:]
    shifts = np.arange(lags)
    energy = squares[:, size - shifts] + total - squares[:, shifts]  # of both parts that overlap at each lag
    similarity = 2 * products / np.maximum(energy, 1e-12)  # (n, lags)
    left, inner, right = similarity[:, :-2], similarity[:, 1:-1], similarity[:, 2:]
    peaks = (inner > left) & (inner >= right) & np.logical_or.accumulate(inner < 0, axis=1)  # no slope from lag 0
    # a parabola through three lags: a period of few samples has its peak between two of them
    bend = np.where(peaks, left - 2 * inner + right, -1.0)
    heights = np.pad(np.where(peaks, inner - (left - right) ** 2 / (8 * bend), 0.0), ((0, 0), (1, 1)))
    at = (heights >= _FIRST_PEAK * heights.max(axis=1, keepdims=True)).argmax(axis=1)
    at = np.clip(at, 1, lags - 2)
    # a tone above the highest pitch has its first peak too early or, if it is high, between two lags and too low
    heights[:, : int(sample_rate_hz / HIGHEST_HZ)] = 0.0
    changes = np.diff(frames, axis=1)
    most = 4 * np.sin(np.pi * min(2 * HIGHEST_HZ / sample_rate_hz, 0.5)) ** 2  # of a sine at twice the highest pitch
    heights[np.einsum("fi,fi->f", changes, changes) > most * total[:, 0]] = 0.0
    rows = np.arange(len(frames))
    shift = 0.5 * (left - right)[rows, at - 1] / bend[rows, at - 1]
    return sample_rate_hz / (at + np.clip(shift, -0.5, 0.5)), np.minimum(heights[rows, at], 1.0), total[:, 0] / size
