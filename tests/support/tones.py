"""Tones for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
TONES_HZ = (100, 400, 1500, 3200, 6000)


def write_tone(path: Path, hz: float, seconds: float = 1.0, channels: int = 1, level: float = 0.5) -> Path:
    """A sine tone as a sound file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    soundfile.write(path, np.stack([wave] * channels, axis=1), RATE_HZ)
    return path
