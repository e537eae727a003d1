"""What libsndfile cannot read goes to PyAV: same gain, same sound; without the extra, the way to get it."""

import importlib.util
import sys

import numpy as np
import pytest

from askaudio.audio.decode import decode, probe, stream_windows
from askaudio.audio.reading import read
from askaudio.audio.windows import fixed_windows
from askaudio.core.errors import AudioDecodeError

HAS_AV = importlib.util.find_spec("av") is not None
needs_av = pytest.mark.skipif(not HAS_AV, reason="extra codec is not installed: pip install 'askaudio[codec]'")
M4A_START = b"\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00isomiso2" + bytes(200)


def write_m4a(path, samples, rate_hz):
    """Samples (n, C) as AAC in an mp4 container."""
    import av

    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    with av.open(str(path), "w", format="mp4") as container:
        track = container.add_stream("aac", rate=rate_hz, layout=layout)
        track.bit_rate = 192000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        for packet in track.encode(frame):
            container.mux(packet)
        for packet in track.encode(None):
            container.mux(packet)
    return path


def tone(rate_hz, duration_s=1.0):
    return (0.4 * np.sin(2 * np.pi * 440 * np.arange(round(rate_hz * duration_s)) / rate_hz)).astype(np.float32)


def rms(samples):
    return float(np.sqrt(np.mean(samples[len(samples) // 4 : -len(samples) // 4] ** 2)))


@needs_av
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000])
def test_m4a_has_the_gain_of_the_mean_of_its_channels(tmp_path, channels, rate_hz):
    path = write_m4a(tmp_path / "a.m4a", np.repeat(tone(rate_hz)[:, None], channels, axis=1), rate_hz)
    got = decode(path, 32000)
    assert rms(got) == pytest.approx(rms(tone(32000)), rel=0.02)  # ffmpeg's own downmix would be 1.41 times that
    assert abs(len(got) - 32000) < 3500
    assert np.array_equal(got, decode(path.read_bytes(), 32000))
    info = probe(path)
    assert (info.sample_rate_hz, info.channels) == (rate_hz, channels)
    assert info.duration_s == pytest.approx(1.0, abs=0.1)


@needs_av
def test_one_silent_channel_halves_the_sound(tmp_path):
    left = tone(44100)
    path = write_m4a(tmp_path / "a.m4a", np.stack([left, 0 * left], 1), 44100)
    assert rms(decode(path, 44100)) == pytest.approx(rms(left) / 2, rel=0.03)


@needs_av
def test_streamed_m4a_equals_decoded_m4a(tmp_path):
    path = write_m4a(tmp_path / "a.m4a", np.stack([tone(44100, 2.5)] * 2, 1), 44100)
    streamed = list(stream_windows(path, 32000, 1.0, 0.5))
    whole = fixed_windows(decode(path, 32000), 32000, 1.0, 0.5)
    assert len(streamed) == len(whole) > 2
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(streamed, whole, strict=True))


@needs_av
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_damaged_m4a_is_an_error_or_a_shorter_sound(tmp_path, share):
    content = write_m4a(tmp_path / "a.m4a", tone(44100)[:, None], 44100).read_bytes()
    try:
        assert len(decode(content[: int(len(content) * share)], 44100)) <= 44100 + 3500
    except AudioDecodeError as error:
        assert "bytes>" in str(error)


@needs_av
def test_both_readers_agree_where_both_can_read(tmp_path):
    import soundfile

    from askaudio.audio.readers import codec

    samples = np.stack([tone(44100), 0.3 * tone(44100)[::-1]], 1)
    path = tmp_path / "a.flac"
    soundfile.write(path, samples, 44100, subtype="PCM_16")
    with codec.open_stream(path, "a.flac") as stream:
        assert (stream.sample_rate_hz, stream.channels, stream.frames) == (44100, 2, 44100)
        np.testing.assert_array_equal(np.concatenate(list(stream.blocks)), soundfile.read(path, dtype="float32")[0])


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioDecodeError, match=r"pip install 'askaudio\[codec\]'"):
        decode(M4A_START, 32000)


KINDS = (("a.m4b", "aac", "ipod"), ("a.mov", "aac", "mov"), ("a.mkv", "aac", "matroska"), ("a.webm", "libopus", "webm"),
         ("a.aac", "aac", "adts"), ("a.mka", "pcm_f32le", "matroska"), ("a.mp2", "mp2", "mp2"))  # fmt: skip


def write_container(path, codec, kind, samples, rate_hz=48000, bit_rate=None):
    """Mono samples (n,) in one of the containers of FFmpeg."""
    import av

    with av.open(str(path), "w", format=kind) as box:
        track = box.add_stream(codec, rate=rate_hz, layout="mono")
        if bit_rate:
            track.bit_rate = bit_rate
        form = track.codec_context.format.name if track.codec_context.format else "fltp"
        resampler = av.AudioResampler(format=form, layout="mono", rate=rate_hz)
        for start in range(0, len(samples), 960):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start
            for piece in resampler.resample(frame):
                box.mux(track.encode(piece))
        box.mux(track.encode(None))
    return path


@needs_av
@pytest.mark.parametrize(("name", "codec", "kind"), KINDS)
def test_containers_and_raw_streams_are_read_whole(tmp_path, name, codec, kind):
    path = write_container(tmp_path / name, codec, kind, tone(48000, 3.0))
    got = decode(path, 32000)
    assert len(got) / 32000 == pytest.approx(3.0, abs=0.1)
    assert rms(got) == pytest.approx(rms(tone(32000)), rel=0.03)
    assert np.array_equal(got, decode(path.read_bytes(), 32000))
    assert probe(path).duration_s in (None, pytest.approx(3.0, abs=0.1))


@needs_av
def test_floats_beyond_full_scale_in_a_container_are_scaled(tmp_path):
    path = write_container(tmp_path / "a.mka", "pcm_f32le", "matroska", 20 * tone(48000))
    np.testing.assert_allclose(decode(path, 48000), tone(48000) / tone(48000).max(), atol=1e-6)


@needs_av
@pytest.mark.parametrize("by_path", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile {0}\nduration 720000\nfile {0}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>',
    ],
)
def test_texts_that_name_other_files_are_refused(tmp_path, text, by_path):
    write_container(tmp_path / "other.mka", "pcm_f32le", "matroska", tone(48000))
    path = tmp_path / "list.m4a"
    path.write_text(text.format("other.mka"))
    with pytest.raises(AudioDecodeError):
        decode(path if by_path else path.read_bytes(), 32000)


@needs_av
def test_broken_packets_are_left_out_and_the_recording_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    path = write_container(tmp_path / "a.mkv", "aac", "matroska", tone(48000, 5.0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = b"\xff" * 300
    samples, reading = read(bytes(content), 48000, lambda blocks: np.concatenate(list(blocks)), partial=True)
    assert reading.damaged
    assert reading.notes[0].startswith("damaged after ")
    assert 2.0 < len(samples) / 48000 < 5.1
