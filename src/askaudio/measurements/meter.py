"""All measured facts of one recording, from its samples as they are decoded.

meter = Meter()
encode_recording(encoder, "door.wav", tap=meter)     # the reader calls start() and take()
meter.facts()                                        # {"loudness_lufs": -23.1, "peak_dbfs": -3.0, ...}
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, log10
from typing import TypeVar

import numpy as np

from askaudio.core.types import FloatArray, Json
from askaudio.measurements.loudness import Energies, integrated_loudness, silence_share
from askaudio.measurements.pitch import HIGHEST_HZ, Pitch
from askaudio.measurements.rhythm import onset_frames, tempo
from askaudio.measurements.spectrum import Brightness

# Increase it when facts are added or measured otherwise: ``askaudio index`` then measures known files again.
RULES = 1
FACTS = ("loudness_lufs", "peak_dbfs", "silence_share", "brightness_hz", "pitch_hz", "onsets", "tempo_bpm")
_LOWEST_PEAK_DBFS = -120.0
_PITCHED_UP_TO = 3.0  # brightness over the highest pitch: the pitch is sought in a signal without what is above
_FAULTS = (ArithmeticError, ValueError, LookupError, MemoryError)
T = TypeVar("T")


class Meter:
    """Measures one recording; a measurement that fails is left out and never stops the caller."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._energies: Energies | None = None
        self._brightness: Brightness | None = None
        self._pitch: Pitch | None = None

    def start(self, sample_rate_hz: int, channels: int) -> None:
        """Begin, or begin again when the recording is read once more.

        Args:
            sample_rate_hz: Rate of the samples that follow.
            channels: C.
        """
        self._peak = 0.0
        self._energies = _attempt(lambda: Energies(sample_rate_hz, channels))
        self._brightness = _attempt(lambda: Brightness(sample_rate_hz))
        self._pitch = _attempt(lambda: Pitch(sample_rate_hz))

    def take(self, block: FloatArray, mono: FloatArray) -> None:
        """Add consecutive samples.

        Args:
            block: (S, C), as they are in the file.
            mono: (S,), as they are encoded.
        """
        with np.errstate(all="ignore"):
            self._peak = max(self._peak, float(block.max(initial=0.0)), -float(block.min(initial=0.0)))
            for part, samples in ((self._energies, block.T), (self._brightness, mono), (self._pitch, mono)):
                if part is not None:
                    _attempt(lambda part=part, samples=samples: part.take(samples))  # type: ignore[misc]

    def facts(self) -> Json:
        """Facts by name, rounded; those that make no sense for the recording are missing."""
        with np.errstate(all="ignore"):
            found = self._measured()
        return {name: value for name, value in found.items() if value is not None and isfinite(value)}

    def _measured(self) -> dict[str, float | None]:
        energies = None if self._energies is None else _attempt(self._energies.finish)
        if energies is None or not len(energies) or not np.isfinite(energies).all():
            return {}
        onsets = _attempt(lambda: onset_frames(energies))
        peak_dbfs = 20 * log10(self._peak) if self._peak > 0 else _LOWEST_PEAK_DBFS
        brightness = None if self._brightness is None else _attempt(self._brightness.finish)
        pitch = None if self._pitch is None else _attempt(self._pitch.finish)
        if brightness is None or brightness > _PITCHED_UP_TO * HIGHEST_HZ:
            pitch = None
        return {
            "loudness_lufs": _rounded(_attempt(lambda: integrated_loudness(energies)), 1),
            "peak_dbfs": _rounded(max(peak_dbfs, _LOWEST_PEAK_DBFS), 1),
            "silence_share": _rounded(_attempt(lambda: silence_share(energies)), 3),
            "brightness_hz": _rounded(brightness, 0),
            "pitch_hz": _rounded(pitch, 1),
            "onsets": None if onsets is None else len(onsets),
            "tempo_bpm": _rounded(_attempt(lambda: tempo(energies, onsets)), 1),
        }


def _attempt(work: Callable[[], T]) -> T | None:
    try:
        return work()
    except _FAULTS:
        return None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits) + 0.0  # + 0.0: no negative zero
