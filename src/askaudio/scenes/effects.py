"""Distance: the same sound from far away is quieter, duller and more reverberant."""

from __future__ import annotations

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.kinds.dsp import convolved, decay, filtered, white
from askaudio.scenes.loudness import active_rms

_CUTOFF_HZ = 1400.0  # air and ground take the highs of a far sound
_REVERB_S = 1.6
_WET_DB = -2.0  # reverberation against the direct sound


def far_away(samples: FloatArray, rng: np.random.Generator, sample_rate_hz: int, tail_s: float) -> FloatArray:
    """A waveform (S,) as it sounds from a distance; at most ``tail_s`` of reverberation is added behind its end.

    Args:
        samples: (S,) waveform.
        rng: Source of the reverberation's noise.
        sample_rate_hz: Sample rate of ``samples``.
        tail_s: Most seconds that are added at the end.
    """
    dull = filtered(samples, sample_rate_hz, lambda f: (1 + (f / _CUTOFF_HZ) ** 2) ** -1.0)
    padded = np.concatenate([dull, np.zeros(int(min(tail_s, _REVERB_S) * sample_rate_hz), dtype=np.float32)])
    n = int(_REVERB_S * sample_rate_hz)
    wet = convolved(padded, white(rng, n) * decay(n, sample_rate_hz, _REVERB_S))
    dry_level, wet_level = active_rms(padded, sample_rate_hz), active_rms(wet, sample_rate_hz)
    return padded + wet * np.float32(10 ** (_WET_DB / 20) * dry_level / max(wet_level, 1e-9))
