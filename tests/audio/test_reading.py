"""The rules of reading: next reader, damaged recordings, peak scaling, cancelling channels, limits."""

import contextlib
import itertools
import sys

import numpy as np
import pytest
import soundfile

from askaudio.audio import reading
from askaudio.audio.decode import Waveform, decode, read_windows, stream_windows
from askaudio.audio.readers import chain
from askaudio.audio.readers.stream import AudioStream
from askaudio.core.errors import AudioDecodeError

RATE = 16000
SOUND = (0.3 * np.sin(np.arange(4 * RATE) / 7)).astype(np.float32)


def reader(seconds, fault="", scale=1.0, promised=None):
    """A reader that decodes so many seconds of SOUND and then fails."""

    @contextlib.contextmanager
    def opened(source, name):
        if seconds is None:
            raise AudioDecodeError(name, fault)

        def blocks():
            for start in range(0, round(seconds * RATE), 1000):
                yield scale * SOUND[start : start + 1000, None]
            if fault:
                raise AudioDecodeError(name, fault)

        yield AudioStream(RATE, 1, promised, "test", blocks())

    return opened


def with_readers(monkeypatch, **readers):
    monkeypatch.setattr(chain, "readers", lambda: readers)


def read(source=b"sound", **options):
    return reading.read(source, RATE, lambda blocks: np.concatenate(list(blocks)), **options)


def test_the_first_reader_that_reads_to_the_end_reads_the_whole_file(monkeypatch):
    with_readers(
        monkeypatch, one=reader(None, "unknown"), two=reader(3.0, "broken", 0.1), three=reader(4.0), four=reader(4.0)
    )
    samples, result = read()
    assert np.array_equal(samples, SOUND)
    assert result == reading.Reading("three", 4.0)
    assert np.array_equal(decode(b"sound", RATE), SOUND)
    streamed = list(stream_windows(b"sound", RATE, 1.0, 1.0))
    assert np.array_equal(np.concatenate([window.samples for window in streamed]), SOUND)


def test_a_recording_that_no_reader_reads_whole_is_damaged(monkeypatch):
    with_readers(monkeypatch, one=reader(1.0, "lost sync"), two=reader(3.0, "bad packet"), three=reader(3.01, "late"))
    samples, result = read(partial=True)
    assert np.array_equal(samples, SOUND[: 3 * RATE])
    assert result == reading.Reading("two", 3.0, ("damaged after 3.0 s: bad packet",), damaged=True)
    assert np.array_equal(decode(b"sound", RATE, partial=True), samples)
    for call in (read, lambda: decode(b"sound", RATE), lambda: list(stream_windows(b"sound", RATE, 1.0, 1.0))):
        with pytest.raises(AudioDecodeError, match=r"damaged after 3\.0 s: bad packet"):
            call()


def test_a_file_that_holds_less_than_it_promises_is_tried_by_all_readers(monkeypatch):
    with_readers(monkeypatch, one=reader(2.0, promised=4 * RATE), two=reader(4.0))
    assert read()[1] == reading.Reading("two", 4.0)
    with_readers(monkeypatch, one=reader(2.0, promised=4 * RATE), two=reader(2.1, promised=4 * RATE))
    assert read()[1] == reading.Reading("one", 2.0, ("ends after 2.0 s: the header promises 4.0 s",))


def test_the_length_that_a_broken_reader_knew_counts_for_the_next(monkeypatch):
    with_readers(monkeypatch, one=reader(2.0, "bad packet", promised=4 * RATE), two=reader(2.1))
    assert read(partial=True)[1] == reading.Reading("one", 2.0, ("damaged after 2.0 s: bad packet",), damaged=True)


def test_the_reasons_of_all_readers_are_named(monkeypatch):
    with_readers(monkeypatch, one=reader(None, "no header"), two=reader(None, "no audio track"))
    with pytest.raises(AudioDecodeError, match="one: no header; two: no audio track"):
        read()


def test_the_first_samples_of_a_file_that_is_damaged_later(monkeypatch):
    with_readers(monkeypatch, one=reader(2.0, "broken"))
    samples, result = read(longest_s=1.0)
    assert np.array_equal(samples, SOUND[:RATE])
    assert not result.notes


def test_a_damaged_flac_gives_its_first_part(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", "")
    noise = (0.1 * np.random.default_rng(0).standard_normal(10 * RATE)).astype(np.float32)
    soundfile.write(tmp_path / "a.flac", noise, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 50] = bytes(50)
    samples, result = read(bytes(content), partial=True)
    assert result.damaged
    assert 4.5 < result.decoded_s < 5.0
    assert np.array_equal(samples, decode(tmp_path / "a.flac", RATE)[: len(samples)])
    with pytest.raises(AudioDecodeError, match=r"damaged after 4\.\d s"):
        decode(bytes(content), RATE)


@pytest.mark.parametrize("rate_hz", [RATE, 22050])
@pytest.mark.parametrize(("subtype", "gain"), [("FLOAT", 30.0), ("DOUBLE", 2.0**31), ("FLOAT", 32768.0)])
def test_float_samples_beyond_full_scale_are_scaled_by_the_peak(tmp_path, subtype, gain, rate_hz):
    soundfile.write(tmp_path / "normal.wav", SOUND / SOUND.max(), rate_hz, subtype=subtype)
    soundfile.write(tmp_path / "hot.wav", gain * SOUND.astype(np.float64), rate_hz, subtype=subtype)
    hot, result = read(tmp_path / "hot.wav")
    np.testing.assert_allclose(hot, decode(tmp_path / "normal.wav", RATE), atol=1e-6)
    assert "of full scale; scaled by that peak" in result.notes[0]
    assert not result.damaged
    windows = list(stream_windows(tmp_path / "hot.wav", RATE, 1.0, 1.0))
    assert np.array_equal(windows[0].samples, hot[:RATE])


def test_samples_within_full_scale_and_overshoots_of_lossy_formats_keep_their_level(tmp_path):
    soundfile.write(tmp_path / "full.wav", SOUND / np.abs(SOUND).max(), RATE, subtype="FLOAT")
    assert np.array_equal(decode(tmp_path / "full.wav", RATE), SOUND / np.abs(SOUND).max())
    square = np.sign(SOUND).astype(np.float32)
    soundfile.write(tmp_path / "square.ogg", square, RATE)
    stored = soundfile.read(tmp_path / "square.ogg", dtype="float32")[0]
    assert np.abs(stored).max() > 1.01
    samples, result = read(tmp_path / "square.ogg")
    assert np.array_equal(samples, stored.clip(-1, 1))
    assert result.notes == ()


def test_a_sample_beyond_any_scale_is_an_error(tmp_path):
    sound = SOUND.copy()
    sound[100] = 1e30
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    with pytest.raises(AudioDecodeError, match=r"1e\+30"):
        decode(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("channels", [(1, -1), (0.5, -0.52), (1, -1, 0.02)])
def test_of_channels_that_cancel_the_louder_one_is_taken(channels):
    stereo = np.stack([part * SOUND for part in channels])
    loudest = int(np.argmax(np.abs(channels)))
    samples, result = read(Waveform(stereo, RATE))
    assert np.array_equal(samples, stereo[loudest].clip(-1, 1))
    assert result.notes == (f"its channels cancel each other; channel {loudest + 1} was taken",)


def test_channels_that_do_not_cancel_are_averaged():
    noise = (0.2 * np.random.default_rng(0).standard_normal((64, RATE))).astype(np.float32)
    half = SOUND.copy()
    half[2 * RATE :] *= -1
    for stereo in (np.stack([SOUND, -0.7 * SOUND]), np.stack([SOUND, half]), np.zeros((2, RATE), np.float32), noise):
        samples, result = read(Waveform(stereo, RATE))
        np.testing.assert_allclose(samples, stereo.mean(axis=0), atol=1e-6)
        assert result.notes == ()


def test_cancelling_channels_beyond_full_scale_are_scaled_too():
    samples, result = read(Waveform(np.stack([8 * SOUND, -8 * SOUND]), RATE))
    np.testing.assert_allclose(samples, SOUND / SOUND.max(), atol=1e-6)
    assert len(result.notes) == 2


def test_a_file_of_more_than_the_limit_is_refused_without_decoding_the_rest(monkeypatch):
    drawn = []

    @contextlib.contextmanager
    def endless(source, name):
        block = np.zeros((RATE * 3600, 1), dtype=np.float32)
        yield AudioStream(RATE, 1, None, "test", (drawn.append(n) or block for n in itertools.count()))

    with_readers(monkeypatch, one=endless, two=endless)
    with pytest.raises(AudioDecodeError, match="longer than 3 h, the limit for one file"):
        reading.read(b"sound", RATE, lambda blocks: sum(map(len, blocks)), most_s=3 * 3600.0)
    assert drawn == [0, 1, 2, 3]


def test_windows_are_passed_again_when_the_recording_is_read_again():
    calls = []

    def use(windows):
        calls.append([window.samples.max() for window in windows])
        return calls[-1]

    peaks, _ = read_windows(Waveform(np.concatenate([SOUND, 10 * SOUND]), RATE), RATE, 4.0, 4.0, use)
    assert len(calls) <= 2
    assert peaks == pytest.approx([0.1, 1.0], rel=0.01)
