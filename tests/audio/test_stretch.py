"""Stretches of recordings: the same samples as in the whole file, at its rate and depth."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.audio.stretch import cut, decode_stretch, read_stretch
from askaudio.core.errors import AudioDecodeError, ConfigError

RATE_HZ = 44_100


def noise(seconds: float, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (round(seconds * RATE_HZ), channels))


@pytest.mark.parametrize(
    ("suffix", "subtype", "depth"),
    [
        ("wav", "PCM_16", "PCM_16"), ("wav", "PCM_24", "PCM_24"), ("wav", "FLOAT", "FLOAT"),
        ("wav", "DOUBLE", "DOUBLE"), ("flac", "PCM_24", "PCM_24"), ("aiff", "PCM_16", "PCM_16"),
        ("wav", "PCM_U8", "PCM_U8"),
    ],
)  # fmt: skip
def test_a_cut_holds_the_samples_of_the_file(tmp_path: Path, suffix: str, subtype: str, depth: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(3), RATE_HZ, subtype=subtype)
    content, stretch = cut(path, 1.0, 1.5, handles_s=0.25)
    info = soundfile.info(io.BytesIO(content))
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (RATE_HZ, 2, depth, RATE_HZ)
    assert (stretch.start_s, stretch.end_s) == (0.75, 1.75)
    first = round(0.75 * RATE_HZ)
    whole = soundfile.read(path, dtype="float64")[0][first : first + RATE_HZ]
    assert np.array_equal(soundfile.read(io.BytesIO(content), dtype="float64")[0], whole)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_files_are_cut_early_and_late(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    time_s = np.arange(70 * RATE_HZ) / RATE_HZ
    wave = 0.5 * np.sin(2 * np.pi * (200 + 10 * time_s) * time_s)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
        for block in np.split(wave, 70):  # libsndfile's Vorbis encoder crashes on a long array
            file.write(block)
    whole = soundfile.read(path, dtype="float32")[0]
    for start_s in (2.0, 65.0):
        stretch = read_stretch(path, start_s, start_s + 0.5)
        assert stretch.subtype == "PCM_24" and len(stretch.samples) == RATE_HZ // 2
        first = round(start_s * RATE_HZ)
        assert np.abs(stretch.samples[:, 0] - whole[first : first + RATE_HZ // 2]).max() < 0.02


def test_the_waveform_is_that_of_decode(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(2), RATE_HZ, subtype="PCM_16")
    whole = decode(path, RATE_HZ)
    part = decode_stretch(path, RATE_HZ, 0.5, 1.0)
    np.testing.assert_allclose(part, whole[RATE_HZ // 2 : RATE_HZ], atol=1e-6)
    assert len(decode_stretch(path, 16_000, 0.5, 1.0)) == 8_000


def test_cancelling_channels_and_high_floats_are_read(tmp_path: Path) -> None:
    one = noise(1, channels=1)
    soundfile.write(tmp_path / "cancel.wav", np.hstack([one, -one]), RATE_HZ)
    assert np.abs(decode_stretch(tmp_path / "cancel.wav", RATE_HZ, 0, 1)).max() > 0.5
    soundfile.write(tmp_path / "loud.wav", 4 * one, RATE_HZ, subtype="FLOAT")
    assert np.abs(decode_stretch(tmp_path / "loud.wav", RATE_HZ, 0, 1)).max() == pytest.approx(1.0)


def test_the_end_is_that_of_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1), RATE_HZ)
    stretch = read_stretch(tmp_path / "a.wav", 0.5, 9.0)
    assert stretch.end_s == 1.0 and len(stretch.samples) == RATE_HZ // 2
    with pytest.raises(AudioDecodeError, match=r"it ends before 2\.0 s"):
        read_stretch(tmp_path / "a.wav", 2.0, 3.0)


def test_bytes_are_read_too(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", noise(1), RATE_HZ)
    content = (tmp_path / "a.flac").read_bytes()
    assert np.array_equal(read_stretch(content, 0.2, 0.4).samples, read_stretch(tmp_path / "a.flac", 0.2, 0.4).samples)


@pytest.mark.parametrize(("start_s", "end_s"), [(2.0, 1.0), (-1.0, 1.0), (1.0, float("inf")), (0.0, 4000.0)])
def test_impossible_stretches_are_refused(tmp_path: Path, start_s: float, end_s: float) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1), RATE_HZ)
    with pytest.raises(ConfigError, match="0 <= start < end"):
        read_stretch(tmp_path / "a.wav", start_s, end_s)


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(AudioDecodeError, match=r"a\.wav"):
        read_stretch(tmp_path / "a.wav", 0.0, 1.0)
