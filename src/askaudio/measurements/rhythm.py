"""Onsets and tempo, from the energies of 10 ms that the loudness is computed from.

An onset is a rise of at least 9 dB within 30 ms. Where rises of 5 to 9 dB are more frequent than that, what counts as
an onset is a matter of taste, and the number is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from askaudio.measurements.loudness import FRAMES_PER_S, SILENCE_LUFS, to_lufs

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BEFORE, _ATTACK = 5, 3  # frames: an onset's level is compared with the median of those before it
_RISE_DB, _UNCLEAR_DB = 9.0, 5.0
_RANGE_DB = 35.0  # below the loudest frame, there are no onsets
_APART = 6  # frames between two onsets
_FLOOR_LUFS = -90.0

_TEMPO_FROM_S, _TEMPO_UP_TO_S = 8.0, 600.0  # shorter recordings have no tempo; of longer ones, the first ten minutes
_TEMPO_ONSETS = 8
_BPM = (60.0, 180.0)
_REGULAR = 0.5  # correlation that a tempo needs


def onset_frames(energies: Float64Array) -> IntArray | None:
    """Frames at which a sound begins, ascending; None where onsets are not clear, or for silence.

    Args:
        energies: (F,) from ``loudness.Energies``.
    """
    levels = np.maximum(to_lufs(energies), _FLOOR_LUFS)
    if not len(levels) or levels.max() < SILENCE_LUFS:
        return None
    rises, tops = _rises(levels)
    audible = (tops >= levels.max() - _RANGE_DB) & (tops >= SILENCE_LUFS)
    clear = _first_of_runs(audible & (rises >= _RISE_DB))
    some = _first_of_runs(audible & (rises >= _UNCLEAR_DB))
    return None if len(some) > 2 * len(clear) + 2 else clear


def _rises(levels: Float64Array) -> tuple[Float64Array, Float64Array]:
    """For each frame (F,), how far the level rises from before it to its attack, and the level of the attack."""
    padded = np.concatenate([np.full(_BEFORE, _FLOOR_LUFS), levels, np.full(_ATTACK - 1, _FLOOR_LUFS)])
    before = np.lib.stride_tricks.sliding_window_view(padded, _BEFORE)[: len(levels)]
    attack = np.lib.stride_tricks.sliding_window_view(padded[_BEFORE:], _ATTACK)
    tops = attack.max(axis=1)
    return tops - np.sort(before, axis=1)[:, _BEFORE // 2], tops


def _first_of_runs(marks: npt.NDArray[np.bool_]) -> IntArray:
    """First frame of each run of marked frames, where runs are at least ``_APART`` frames apart."""
    at = np.flatnonzero(marks)
    return at[np.diff(at, prepend=-_APART - 1) >= _APART]


def tempo(energies: Float64Array, onsets: IntArray | None) -> float | None:
    """Beats per minute between 60 and 180; None where the onsets are not regular.

    Args:
        energies: (F,) from ``loudness.Energies``.
        onsets: From ``onset_frames``.
    """
    energies = energies[: round(_TEMPO_UP_TO_S * FRAMES_PER_S)]
    if onsets is None or len(onsets) < _TEMPO_ONSETS or len(energies) < _TEMPO_FROM_S * FRAMES_PER_S:
        return None
    levels = np.maximum(to_lufs(energies), max(_FLOOR_LUFS, float(to_lufs(energies.max())) - _RANGE_DB))
    novelty = np.convolve(np.maximum(np.diff(levels), 0.0), [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25], "same")
    novelty -= novelty.mean()
    size = 1 << (2 * len(novelty) - 1).bit_length()
    products = np.fft.irfft(np.abs(np.fft.rfft(novelty, size)) ** 2)[: len(novelty)]
    similarity = products / (products[0] or 1.0)
    lags = np.arange(round(60 / _BPM[1] * FRAMES_PER_S), round(60 / _BPM[0] * FRAMES_PER_S) + 1)
    # twice the period is as regular: the sum over both favours the period itself
    scores = similarity[lags] + 0.5 * similarity[2 * lags] - 0.1 * np.abs(np.log2(lags / (FRAMES_PER_S / 2)))
    lag = int(lags[scores.argmax()])
    if similarity[lag] < _REGULAR:
        return None
    return 60 * FRAMES_PER_S / (lag + _vertex(similarity[lag - 1 : lag + 2]))


def _vertex(values: Float64Array) -> float:
    """Place of the vertex of a parabola through three values, relative to the middle one."""
    left, centre, right = values
    bend = left - 2 * centre + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
