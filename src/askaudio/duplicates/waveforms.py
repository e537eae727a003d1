"""Compare the waveforms of two sounds that fingerprints say are equal, stretch by stretch.

Codecs, gain, resampling and cutting keep the waveform below 6 kHz. A take that was played again has another waveform,
however much it sounds the same, and so has a sound at another speed or pitch, or one with another sound on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from askaudio.checks.fingerprints import RATE_HZ
from askaudio.core.types import FloatArray

STRETCH_S = 0.25
MOST_STRETCHES = 96  # of long sounds, spread evenly
_SLACK_S = 0.020  # between the offset of fingerprints, which are 16 ms apart, and the true one
_FINER = 4  # lags between two samples: copies that were resampled or cut lie between samples
_EMPTY = 1e-12
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WaveMatch:
    """How two waveforms agree.

    Attributes:
        offset_s: Start of the second within the first.
        low: Correlation that nine tenths of the overlap reach, by energy: 1 for a copy, near 0 for another take.
        gain_db: Level of the second above the first.
        inverted: Its polarity is the other.
        fade_in_db: Gain of the first stretch minus ``gain_db``.
        fade_out_db: Gain of the last stretch minus ``gain_db``.
    """

    offset_s: float
    low: float
    gain_db: float = 0.0
    inverted: bool = False
    fade_in_db: float = 0.0
    fade_out_db: float = 0.0


def match_waveforms(a: FloatArray, b: FloatArray, offset_s: float) -> WaveMatch:
    """Compare two waveforms near an offset.

    Args:
        a: (S,) at ``RATE_HZ``.
        b: (S',) at ``RATE_HZ``.
        offset_s: Where ``b`` begins in ``a``, to about 16 ms; negative if ``b`` begins earlier.
    """
    slack = round(_SLACK_S * RATE_HZ)
    first = round(offset_s * RATE_HZ) - slack
    products, own, theirs = _products(a, b, first, 2 * slack + 1)
    total = own.sum()
    if total < _EMPTY:
        return WaveMatch(offset_s, 0.0)
    correlations = products / np.sqrt(np.maximum(own[:, None] * theirs, _EMPTY))  # (P, L * _FINER)
    best = int(np.abs((correlations * own[:, None]).sum(axis=0)).argmax())
    mine = np.abs(correlations[:, best])
    order = np.argsort(mine, kind="stable")
    reached = int(np.searchsorted(np.cumsum(own[order]), 0.1 * total))
    gains = 10 * np.log10((own + _EMPTY) / (theirs[:, best] + _EMPTY))
    gain_db = float(np.median(gains[own > 0.01 * own.max()]))
    return WaveMatch(
        offset_s=(first + best / _FINER) / RATE_HZ,
        low=float(min(1.0, mine[order][min(reached, len(order) - 1)])),
        gain_db=gain_db,
        inverted=bool((correlations[:, best] * own).sum() < 0),
        fade_in_db=float(gains[0]) - gain_db,
        fade_out_db=float(gains[-1]) - gain_db,
    )


def _products(a: FloatArray, b: FloatArray, first: int, lags: int) -> tuple[_Array, _Array, _Array]:
    """Scalar products of stretches of ``b`` with ``a`` at many lags.

    Args:
        a: (S,).
        b: (S',).
        first: Smallest lag in samples: where ``b`` begins in ``a``.
        lags: L, number of lags.

    Returns:
        Products (P, L * _FINER), energies of the stretches of b (P,), energies of a under them (P, L * _FINER).
    """
    start, end = max(0, -first), min(len(b), len(a) - first - lags)
    length = min(round(STRETCH_S * RATE_HZ), end - start)
    if length < 64:
        return np.zeros((0, 1)), np.zeros(0), np.zeros((0, 1))
    starts = np.arange(start, end - length + 1, length)
    if len(starts) > MOST_STRETCHES:
        starts = starts[np.linspace(0, len(starts) - 1, MOST_STRETCHES).astype(np.int64)]
    size = 1 << math.ceil(math.log2(2 * length + lags))
    mine = np.stack([b[k : k + length] for k in starts])
    theirs = np.stack([a[k + first : k + first + length + lags - 1] for k in starts])
    cross = np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(mine, size))
    # a longer inverse transform of the same spectrum interpolates between the lags
    products = np.fft.irfft(cross, size * _FINER)[:, : lags * _FINER] * _FINER
    power = np.cumsum(np.pad(theirs.astype(np.float64) ** 2, ((0, 0), (1, 0))), axis=1)
    energies = np.repeat(power[:, length : length + lags] - power[:, :lags], _FINER, axis=1)
    return products, (mine.astype(np.float64) ** 2).sum(axis=1), energies
