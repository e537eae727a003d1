"""Active loudness, trimming of silence, and fades, for placing sounds in a scene."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray

_FRAME_S = 0.02
_ACTIVE_DB = -40.0  # a frame belongs to the sound if it is at most this far below the loudest frame


def frame_power(samples: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Mean square of each frame of 20 ms: (S,) -> (ceil(S / frame),)."""
    size = max(1, round(_FRAME_S * sample_rate_hz))
    padded = np.zeros(-(-len(samples) // size) * size, dtype=np.float32)
    padded[: len(samples)] = samples
    return np.mean(padded.reshape(-1, size) ** 2, axis=1)


def active_rms(samples: FloatArray, sample_rate_hz: int) -> float:
    """Root mean square over the frames in which the sound is active; 0 for silence."""
    power = frame_power(samples, sample_rate_hz)
    if not len(power) or power.max() <= 0:
        return 0.0
    return float(np.sqrt(power[power >= power.max() * 10 ** (_ACTIVE_DB / 10)].mean()))


def trim(samples: FloatArray, sample_rate_hz: int, active_db: float = _ACTIVE_DB) -> FloatArray:
    """Cut the silence before and after the sound; an entirely silent input becomes empty.

    Args:
        samples: (S,) waveform.
        sample_rate_hz: Sample rate of ``samples``.
        active_db: Level of a frame of the sound against the loudest frame, below 0.
    """
    power = frame_power(samples, sample_rate_hz)
    if not len(power) or power.max() <= 1e-10:
        return samples[:0]
    active = np.flatnonzero(power >= power.max() * 10 ** (active_db / 10))
    size = max(1, round(_FRAME_S * sample_rate_hz))
    return samples[active[0] * size : (active[-1] + 1) * size]


def at_loudness(samples: FloatArray, sample_rate_hz: int, level_db: float) -> FloatArray:
    """Scale a sound to a loudness (active RMS in dB below full scale); silence stays silence.

    Args:
        samples: (S,) waveform.
        sample_rate_hz: Sample rate of ``samples``.
        level_db: Target level; negative below full scale.
    """
    rms = active_rms(samples, sample_rate_hz)
    return samples if rms == 0 else (samples * (10 ** (level_db / 20) / rms)).astype(np.float32)


def fade(samples: FloatArray, sample_rate_hz: int, duration_s: float = 0.01) -> FloatArray:
    """A copy with short ramps at both ends, so that a cut does not click.

    Args:
        samples: (S,) waveform.
        sample_rate_hz: Sample rate of ``samples``.
        duration_s: Length of each ramp in seconds; at most half of the sound.
    """
    out = samples.astype(np.float32, copy=True)
    n = min(round(duration_s * sample_rate_hz), len(out) // 2)
    if n:
        ramp = np.linspace(0.0, 1.0, n, endpoint=False, dtype=np.float32)
        out[:n] *= ramp
        out[-n:] *= ramp[::-1]
    return out
