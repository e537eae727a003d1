"""Decoding: golden sounds in every format and rate, and every way in which a file can be bad."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from askaudio.audio import decode as decode_module
from askaudio.audio.decode import decode, probe, stream_windows
from askaudio.audio.readers import sndfile
from askaudio.audio.windows import fixed_windows
from askaudio.core.errors import AudioDecodeError

FORMATS = {  # suffix -> (container, coding, rates that it can carry)
    "wav": ("WAV", "PCM_16", (8000, 22050, 44100, 48000)),
    "flac": ("FLAC", "PCM_16", (8000, 22050, 44100, 48000)),
    "ogg": ("OGG", "VORBIS", (8000, 22050, 44100, 48000)),
    "opus": ("OGG", "OPUS", (8000, 48000)),
    "mp3": ("MP3", "MPEG_LAYER_III", (8000, 22050, 44100, 48000)),
}
CASES = [(suffix, rate, ch) for suffix, (_, _, rates) in FORMATS.items() for rate in rates for ch in (1, 2)]
LOSSLESS = {"wav", "flac"}


def chord(rate_hz: int, duration_s: float = 1.0) -> np.ndarray:
    """Three tones below 3 kHz, so that every rate can carry them."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return sum(0.2 * np.sin(2 * np.pi * hz * time_s) for hz in (300, 1100, 2600)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    container, coding, _ = FORMATS[path.suffix[1:]]
    soundfile.write(path, samples, rate_hz, format=container, subtype=coding)
    return path


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two waveforms at the best shift within 40 ms (codecs delay)."""
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    reach = 1280
    inner = a[reach : n - reach]
    scores = [
        float(
            inner
            @ b[reach + k : n - reach + k]
            / (np.linalg.norm(inner) * np.linalg.norm(b[reach + k : n - reach + k]))
        )
        for k in range(-reach, reach)
    ]
    return max(scores)


@pytest.mark.parametrize(("suffix", "rate_hz", "channels"), CASES)
def test_formats_rates_and_channels_give_the_same_sound(tmp_path, suffix, rate_hz, channels):
    mono = chord(rate_hz)
    samples = mono if channels == 1 else np.stack([mono, mono], axis=1)
    path = write(tmp_path / f"a.{suffix}", samples, rate_hz)
    got = decode(path, 32000)
    assert got.dtype == np.float32
    assert got.ndim == 1
    assert abs(len(got) - 32000) <= (0 if suffix in LOSSLESS else 3500)
    assert np.abs(got).max() <= 1.0
    assert similarity(got, chord(32000)) > (0.9999 if suffix in LOSSLESS else 0.98)
    rms = np.sqrt(np.mean(got[4000:-4000] ** 2))
    assert rms == pytest.approx(0.2 * np.sqrt(1.5), rel=0.02 if suffix in LOSSLESS else 0.08)
    assert np.array_equal(got, decode(path, 32000))
    assert np.array_equal(got, decode(path.read_bytes(), 32000))
    info = probe(path)
    assert (info.sample_rate_hz, info.channels) == (
        48000 if suffix == "opus" else rate_hz,
        channels,
    ) or suffix == "opus"


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_channels_are_averaged(tmp_path, suffix):
    left = chord(48000)
    parts = (1.0, 0.0, 0.5, -0.25, 0.25, 0.0)  # 5.1; the last is the bass channel, which Vorbis cuts above 120 Hz
    channels = np.stack([part * left for part in parts], axis=1)
    got = decode(write(tmp_path / f"surround.{suffix}", channels, 48000), 48000)
    expected = decode(write(tmp_path / f"mean.{suffix}", left * (1.5 / 6), 48000), 48000)
    if suffix in LOSSLESS:
        np.testing.assert_allclose(got, expected, atol=1e-4)
    else:
        assert np.linalg.norm(got) == pytest.approx(np.linalg.norm(expected), rel=0.1)


def test_equal_channels_keep_their_level(tmp_path):
    left = chord(48000)
    same = decode(write(tmp_path / "same.wav", np.stack([left, left], 1), 48000), 48000)
    np.testing.assert_allclose(same, left, atol=1 / 32000)


@pytest.mark.parametrize(
    ("suffix", "rate_hz"), [("wav", 44100), ("flac", 48000), ("ogg", 22050), ("opus", 48000), ("mp3", 44100)]
)
@pytest.mark.parametrize("duration_s", [0.05, 3.3])
def test_streamed_windows_equal_decoded_windows(tmp_path, monkeypatch, suffix, rate_hz, duration_s):
    monkeypatch.setattr(sndfile, "BLOCK_VALUES", 4001)
    sound = chord(rate_hz, duration_s)
    path = write(tmp_path / f"a.{suffix}", np.stack([sound, sound[::-1]], 1), rate_hz)
    streamed = list(stream_windows(path, 32000, 1.0, 0.7))
    monkeypatch.setattr(sndfile, "BLOCK_VALUES", 1 << 20)  # the block size does not matter either
    whole = fixed_windows(decode(path, 32000), 32000, 1.0, 0.7)
    assert len(streamed) == len(whole) >= 1
    for a, b in zip(streamed, whole, strict=True):
        assert (a.start_s, a.end_s) == (b.start_s, b.end_s)
        assert np.array_equal(a.samples, b.samples)


def test_long_recordings_stream_in_bounded_memory(tmp_path):
    """20 minutes of sound (77 MB at 16 kHz) pass through in far less memory than they fill."""
    path = tmp_path / "long.wav"
    block = np.tile(chord(16000), 60)
    with soundfile.SoundFile(path, "w", 16000, 1, subtype="PCM_16") as file:
        for _ in range(20):
            file.write(block)
    code = (
        "import resource, sys\n"
        "from askaudio.audio.decode import stream_windows\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(1 for _ in stream_windows(sys.argv[1], 16000, 10.0, 10.0))\n"
        "print(n, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )
    n, megabytes = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(n) == 120
    assert float(megabytes) < 25


def test_decode_refuses_what_does_not_fit_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_module, "MAX_DECODE_S", 0.5)
    with pytest.raises(AudioDecodeError, match="stream_windows"):
        decode(write(tmp_path / "a.wav", chord(8000), 8000), 8000)


def bad_files(folder: Path) -> dict[str, Path]:
    """Name -> file that cannot be decoded."""
    good = write(folder / "good.flac", chord(16000), 16000).read_bytes()
    contents = {
        "empty.wav": b"",
        "text.mp3": b"this is no sound, it only has the name of one\n" * 20,
        "zeros.ogg": bytes(5000),
        "header_only.flac": good[:60],
        "png.wav": b"\x89PNG\r\n\x1a\n" + bytes(500),
        "half.opus": b"OggS" + bytes(100),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    soundfile.write(folder / "no_samples.wav", np.zeros((0, 1), dtype=np.float32), 16000)
    for name, value in (("nan.wav", np.nan), ("infinite.wav", np.inf)):
        sound = chord(16000)
        sound[8000] = value
        soundfile.write(folder / name, sound, 16000, subtype="FLOAT")
    (folder / "headerless.raw").write_bytes(bytes(1000))
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    return {path.name: path for path in folder.iterdir() if path.name != "good.flac"} | {
        "missing": folder / "missing.wav"
    }


def test_bad_files_are_errors_that_name_the_file(tmp_path):
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(AudioDecodeError) as caught:
            decode(path, 32000)
        assert str(path) in str(caught.value), name
        with pytest.raises(AudioDecodeError):
            list(stream_windows(path, 32000, 10.0, 10.0))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.wav", "0 bytes"),
        ("missing", "no such file"),
        ("no_samples.wav", "no samples"),
        ("nan.wav", "NaN"),
        ("pipe.wav", "regular"),
    ],
)
def test_the_reason_is_said(tmp_path, name, reason):
    with pytest.raises(AudioDecodeError, match=reason):
        decode(bad_files(tmp_path)[name], 32000)


def test_silent_and_one_sample_files_are_sounds(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(4000), 8000)
    assert not decode(tmp_path / "silent.wav", 32000).any()
    assert len(decode(tmp_path / "silent.wav", 32000)) == 16000
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), 48000, subtype="FLOAT")
    assert decode(tmp_path / "one.wav", 48000).tolist() == [0.5]
    for rate_hz in (8000, 96000):
        got = decode(tmp_path / "one.wav", rate_hz)
        assert 1 <= len(got) <= 2
        assert np.isfinite(got).all()


def test_truncated_files_give_what_is_there_or_an_error(tmp_path):
    """A cut wav, ogg or mp3 gives its first part; whatever the format, no crash and no invented sound."""
    for suffix in FORMATS:
        rate_hz = 48000
        content = write(tmp_path / f"a.{suffix}", chord(rate_hz, 2.0), rate_hz).read_bytes()
        whole = decode(content, rate_hz)
        try:
            part = decode(content[: len(content) // 2], rate_hz)
        except AudioDecodeError:
            assert suffix not in ("wav", "mp3")
            continue
        assert 0 < len(part) <= len(whole) + 3000
        n = min(len(part), len(whole)) // 3
        np.testing.assert_allclose(part[:n], whole[:n], atol=1e-3)


def test_a_header_that_promises_too_much_is_not_believed(tmp_path):
    content = bytearray(write(tmp_path / "a.wav", chord(16000), 16000).read_bytes())
    content[40:44] = (0x7FFFFFF0).to_bytes(4, "little")  # size of the data chunk
    assert len(decode(bytes(content), 16000)) == 16000


def test_an_impossible_rate_is_refused(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.zeros(1000), 5)
    with pytest.raises(AudioDecodeError, match="5 Hz"):
        decode(tmp_path / "slow.wav", 32000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3\x03", b"\xff\xfb\x90\x00", b"\x00\x00\x00\x20ftypM4A "]),
)
def test_random_bytes_never_crash(content, magic):
    try:
        samples = decode(magic + content, 16000)
    except AudioDecodeError:
        return
    assert len(samples) >= 1
    assert np.isfinite(samples).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_files_never_crash(data):
    file = io.BytesIO()
    container = data.draw(st.sampled_from(["WAV", "FLAC", "OGG", "MP3"]))
    soundfile.write(file, chord(16000, 0.2), 16000, format=container)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        samples = decode(bytes(content), 16000)
    except AudioDecodeError:
        return
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0
