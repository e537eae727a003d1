"""A small library of generated sounds whose pitch the toy encoder hears."""

from __future__ import annotations

from pathlib import Path

import pytest

from tones import TONES_HZ, write_tone


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Five tones, one of them stereo in a folder below, one with a text beside it."""
    folder = tmp_path / "library"
    for hz in TONES_HZ:
        write_tone(folder / f"tone_{hz}.wav", hz)
    write_tone(folder / "below" / "DOORWood_High Creak_AB_Lib.flac", 3150, 0.7, channels=2)
    (folder / "tone_100.txt").write_text("a deep rumble\n", encoding="utf-8")
    return folder
