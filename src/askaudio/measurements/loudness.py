"""Integrated loudness of ITU-R BS.1770-4 and EBU R 128, and the share of silence, from energies of 10 ms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from askaudio.core.types import FloatArray
from askaudio.measurements.k_weighting import BLOCK, STEP, KWeighting

Float64Array = npt.NDArray[np.float64]

FRAMES_PER_S = 100
SILENCE_LUFS = -60.0  # frames below it are silence
_OFFSET = -0.691  # of the standard: a sine of 997 Hz at full scale in one channel has -3.01 LUFS
_BLOCK, _HOP = 40, 10  # frames: 400 ms every 100 ms
_ABSOLUTE_LUFS, _RELATIVE_LU = -70.0, -10.0
_SURROUND = 1.41
# weight of a channel, by the number of channels: L, R, C, (LFE,) Ls, Rs; every other layout counts all alike
_WEIGHTS = {5: (1.0, 1.0, 1.0, _SURROUND, _SURROUND), 6: (1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND)}


class Energies:
    """K-weighted mean square of consecutive frames of 10 ms, summed over the channels with their weights.

    Args:
        sample_rate_hz: Rate of the samples.
        channels: C.
    """

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self._filter = KWeighting(sample_rate_hz, channels)
        self._weights = _WEIGHTS.get(channels, (1.0,) * channels)
        self._frame = sample_rate_hz / FRAMES_PER_S  # samples
        self._rest: FloatArray = np.zeros((channels, 0), np.float32)  # not filtered yet: fewer than STEP
        self._sums: list[FloatArray] = []  # of the squares of each block
        self._length = 0

    def take(self, samples: FloatArray) -> None:
        """Add consecutive samples (C, n)."""
        self._length += samples.shape[1]
        if self._rest.shape[1]:
            samples = np.concatenate([self._rest, samples], axis=1)
        whole = samples.shape[1] // STEP * STEP
        self._rest = samples[:, whole:].copy()
        if whole:
            self._add(samples[:, :whole])

    def _add(self, samples: FloatArray) -> None:
        parts = zip(self._weights, self._filter(samples), strict=True)
        sums = [weight * np.einsum("bi,bi->b", part, part) for weight, part in parts if weight]
        self._sums.append(np.sum(sums, axis=0, dtype=np.float32))

    def finish(self) -> Float64Array:
        """All frames (F,); a rest shorter than a frame counts only if it is all there is."""
        rest = self._rest.shape[1]
        if rest:
            self._add(np.pad(self._rest, ((0, 0), (0, STEP - rest))))
        if not self._length:
            return np.zeros(0)
        # the sum of squares up to each block; between them it is taken to grow evenly
        sums = np.concatenate([[0.0], np.cumsum(np.concatenate(self._sums), dtype=np.float64)])
        frames = max(1, int(self._length / self._frame))
        edges = np.minimum(np.arange(frames + 1) * self._frame, self._length)
        return np.diff(np.interp(edges / BLOCK, np.arange(len(sums)), sums)) / np.diff(edges)


def integrated_loudness(energies: Float64Array) -> float | None:
    """Gated loudness in LUFS; None for silence.

    Blocks of 400 ms count if they are above -70 LUFS and at most 10 LU below the mean of those. A recording shorter
    than one block is one block, which the standard does not define.

    Args:
        energies: (F,) from ``Energies``.

    Source: ITU-R BS.1770-4, annex 1.
    """
    if not len(energies):
        return None
    sums = np.concatenate([[0.0], np.cumsum(energies)])
    starts = np.arange(0, max(1, len(energies) - _BLOCK + 1), _HOP)
    ends = np.minimum(starts + _BLOCK, len(energies))
    blocks = (sums[ends] - sums[starts]) / (ends - starts)
    blocks = blocks[to_lufs(blocks) > _ABSOLUTE_LUFS]
    if not len(blocks):
        return None
    gate = float(to_lufs(blocks.mean())) + _RELATIVE_LU
    return float(to_lufs(blocks[to_lufs(blocks) > gate].mean()))


def silence_share(energies: Float64Array) -> float | None:
    """Share of the frames (F,) that are below ``SILENCE_LUFS``, in [0, 1]; None without frames."""
    return float((to_lufs(energies) < SILENCE_LUFS).mean()) if len(energies) else None


def to_lufs(energy: npt.ArrayLike) -> Float64Array:
    """Loudness of mean squares of any shape; at least -200."""
    return _OFFSET + 10 * np.log10(np.maximum(np.asarray(energy, np.float64), 1e-20))
