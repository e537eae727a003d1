"""Frames that are sampled from a recording, and its brightness: the centroid of the power spectrum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from askaudio.core.types import FloatArray

_FRAME_S = 0.043
_DENSE_S, _LATER_EVERY = 3.0, 32  # all frames of the first seconds, then some: the mean needs no more
_SILENT = 1e-6  # mean square of a frame: -60 dBFS


class Frames:
    """Consecutive frames of a mono signal that arrives in pieces of any size.

    Args:
        size: Samples in a frame.
        first: Number of frames that are all returned.
        every: Distance of those that are returned after them, in frames.
    """

    def __init__(self, size: int, first: int, every: int) -> None:
        self.size = size
        self._first, self._every = first, every
        self._rest: FloatArray = np.zeros(0, np.float32)
        self._count = 0

    def take(self, mono: FloatArray) -> FloatArray:
        """The selected ones (n, size) among the frames that samples (S,) complete."""
        mono = np.concatenate([self._rest, mono]) if len(self._rest) else mono
        whole = len(mono) // self.size
        self._rest = mono[whole * self.size :].copy()
        return mono[: whole * self.size].reshape(whole, self.size)[self._selected(whole)]

    def finish(self) -> FloatArray:
        """The last frame (0 or 1, size), filled with zeros; a short rest counts only if it is all there is."""
        if not len(self._rest) or (self._count and 2 * len(self._rest) < self.size):
            return np.zeros((0, self.size), np.float32)
        padded = np.pad(self._rest, (0, self.size - len(self._rest)))
        return padded[None][self._selected(1)]

    def _selected(self, more: int) -> npt.NDArray[np.bool_]:
        numbers = np.arange(self._count, self._count + more)
        self._count += more
        return (numbers < self._first) | (numbers % self._every == 0)


class Brightness:
    """Power-weighted mean frequency of a mono signal.

    Args:
        sample_rate_hz: Rate of the signal.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        size = 1 << max(6, round(np.log2(_FRAME_S * sample_rate_hz)))
        self._frames = Frames(size, round(_DENSE_S * sample_rate_hz / size), _LATER_EVERY)
        self._window = np.hanning(size + 1)[:-1].astype(np.float32)
        self._frequencies = np.fft.rfftfreq(size, 1 / sample_rate_hz)
        self._power = np.zeros(size // 2 + 1)

    def take(self, mono: FloatArray) -> None:
        """Add consecutive samples (S,)."""
        self._add(self._frames.take(mono))

    def _add(self, frames: FloatArray) -> None:
        frames = frames[np.einsum("fi,fi->f", frames, frames) > _SILENT * self._frames.size]
        if not len(frames):
            return
        frames = frames - frames.mean(axis=1, keepdims=True)  # a constant offset is no sound
        parts = np.fft.rfft(frames * self._window).view(np.float32)  # (n, 2 * bins): real and imaginary in turn
        self._power += np.einsum("fi,fi->i", parts, parts, dtype=np.float64).reshape(-1, 2).sum(axis=1)

    def finish(self) -> float | None:
        """Centroid in Hz; None for silence."""
        self._add(self._frames.finish())
        total = self._power.sum()
        return float(self._power @ self._frequencies / total) if total > 0 else None
