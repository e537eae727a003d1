"""A small library of generated sounds whose pitch the toy encoder hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000
TONES_HZ = (100, 400, 1500, 3200, 6000)


def write_tone(path: Path, hz: float, seconds: float = 1.0, channels: int = 1, level: float = 0.5) -> Path:
    """A sine tone as a sound file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    soundfile.write(path, np.stack([wave] * channels, axis=1), RATE_HZ)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Five tones, one of them stereo in a folder below, one with a text beside it."""
    folder = tmp_path / "library"
    for hz in TONES_HZ:
        write_tone(folder / f"tone_{hz}.wav", hz)
    write_tone(folder / "below" / "DOORWood_High Creak_AB_Lib.flac", 3150, 0.7, channels=2)
    (folder / "tone_100.txt").write_text("a deep rumble\n", encoding="utf-8")
    return folder
