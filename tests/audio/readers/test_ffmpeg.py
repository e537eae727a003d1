"""The ffmpeg program: a fake one on the PATH shows how it is called and what is done with its output."""

import shutil
import stat
import sys

import numpy as np
import pytest

from askaudio.audio import reading
from askaudio.audio.decode import decode
from askaudio.audio.readers import ffmpeg
from askaudio.core.errors import AudioDecodeError

RATE = 8000
STEREO = np.stack([np.linspace(-0.5, 0.5, 3 * RATE), np.linspace(0.25, 0, 3 * RATE)], 1).astype(">f4")
CONTENT = b"no format that another reader knows" * 10

FAKE = f"""#!{sys.executable}
import struct, sys, time
arguments = sys.argv[1:]
source = arguments[arguments.index("-i") + 1]
assert source.startswith("file:/") and arguments[arguments.index("-protocol_whitelist") + 1] == "file,pipe"
assert "concat" not in arguments[arguments.index("-format_whitelist") + 1]
content = open(source[5:], "rb").read()
if {CONTENT!r} not in content:
    sys.exit(183)
sys.stderr.write(open(__file__ + ".messages").read())
sys.stderr.flush()
sys.stdout.buffer.write(b".snd" + struct.pack(">IIIII", 32, 0xFFFFFFFF, 6, {RATE}, 2) + bytes(8))
sys.stdout.buffer.write(open(__file__ + ".samples", "rb").read())
sys.stdout.buffer.flush()
if content.endswith(b"stall"):
    time.sleep(60)
sys.exit(1 if content.endswith(b"broken") else 0)
"""


@pytest.fixture
def only_fake(tmp_path, monkeypatch):
    """The fake program is the only reader beside libsndfile."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "ffmpeg.messages").write_text("")
    (folder / "ffmpeg.samples").write_bytes(STEREO.tobytes())
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("name", ["a.m4a", "-i.m4a", "a b;c|d.m4a"])
def test_what_libsndfile_refuses_is_read_by_the_program(tmp_path, only_fake, name):
    path = tmp_path / name
    path.write_bytes(CONTENT)
    samples, result = reading.read(path, RATE, lambda blocks: np.concatenate(list(blocks)))
    np.testing.assert_allclose(samples, STEREO.mean(axis=1), atol=1e-6)
    assert result == reading.Reading("ffmpeg", 3.0)
    assert np.array_equal(decode(CONTENT, RATE), samples)


def test_a_program_that_fails_in_the_middle_gives_a_damaged_recording(only_fake):
    with pytest.raises(AudioDecodeError, match=r"damaged after 3\.0 s: ffmpeg stopped \(exit code 1\)"):
        decode(CONTENT + b"broken", RATE)
    assert len(decode(CONTENT + b"broken", RATE, partial=True)) == 3 * RATE


def test_a_program_that_refuses_the_file_is_named_with_the_other_reasons(only_fake):
    with pytest.raises(AudioDecodeError, match=r"libsndfile: .*; ffmpeg: .*exit code 183"):
        decode(b"something else" * 20, RATE)


def test_a_program_that_stalls_is_killed(only_fake, monkeypatch):
    monkeypatch.setattr(ffmpeg, "STALL_S", 1.5)
    with pytest.raises(AudioDecodeError, match="wrote nothing for"):
        decode(CONTENT + b"stall", RATE)


def test_a_reader_that_stops_early_ends_the_program(only_fake):
    samples, _ = reading.read(CONTENT + b"stall", RATE, lambda blocks: np.concatenate(list(blocks)), longest_s=0.5)
    assert len(samples) == RATE // 2


MESSAGES = """Input #0, matroska,webm, from 'sound':
  Metadata:
    title           : Stream #0:0: Audio: pcm_f32le, flt
  Duration: 00:00:{seconds:05.2f}, start: 0.000000, bitrate: 320 kb/s
  Stream #0:0[0x1](und): Audio: {track} (default)
Stream mapping:
{fault}
"""
FLOAT, LOSSY = "pcm_f32le, 8000 Hz, stereo, flt, 1411 kb/s", "aac (LC), 8000 Hz, stereo, fltp, 69 kb/s"


def with_messages(tmp_path, track, seconds=3.0, fault="", gain=1):
    (tmp_path / "bin" / "ffmpeg.messages").write_text(MESSAGES.format(track=track, seconds=seconds, fault=fault))
    (tmp_path / "bin" / "ffmpeg.samples").write_bytes((gain * STEREO).astype(">f4").tobytes())
    return reading.read(CONTENT, RATE, lambda blocks: np.concatenate(list(blocks)), partial=True)


def test_floats_beyond_full_scale_are_scaled_and_overshoots_of_lossy_formats_clipped(tmp_path, only_fake):
    mono = 30 * STEREO.mean(axis=1)
    samples, result = with_messages(tmp_path, FLOAT, gain=30)
    np.testing.assert_allclose(samples, mono / np.abs(mono).max(), atol=1e-6)
    assert result.notes == ("its samples reach 7.5 of full scale; scaled by that peak",)
    samples, result = with_messages(tmp_path, LOSSY, gain=30)
    np.testing.assert_allclose(samples, mono.clip(-1, 1), atol=1e-6)
    assert result.notes == ()


def test_a_file_that_is_shorter_than_the_program_says_is_noted(tmp_path, only_fake):
    result = with_messages(tmp_path, LOSSY, seconds=6.0)[1]
    assert (result.notes, result.damaged) == (("ends after 3.0 s: the header promises 6.0 s",), False)


@pytest.mark.parametrize("fault", ["sound: corrupt input packet in stream 0", "[matroska] File ended prematurely"])
def test_packets_that_the_program_leaves_out_make_the_recording_damaged(tmp_path, only_fake, fault):
    result = with_messages(tmp_path, LOSSY, fault=fault)[1]
    assert result.damaged
    assert result.notes == ("damaged after 3.0 s: ffmpeg reports 1 faults in its packets",)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no ffmpeg program on this machine")
def test_the_real_program_and_pyav_give_the_same_samples(tmp_path):
    av = pytest.importorskip("av")
    from askaudio.audio.readers import codec

    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as box:
        track = box.add_stream("aac", rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.sin(np.arange(96000) / [[7], [9]]).astype("f4"), "fltp", "stereo")
        frame.sample_rate = 48000
        for packet in [*track.encode(frame), *track.encode(None)]:
            box.mux(packet)
    with codec.open_stream(path, "a") as one, ffmpeg.open_stream(path, "a") as two:
        a, b = np.concatenate(list(one.blocks)), np.concatenate(list(two.blocks))
    np.testing.assert_allclose(a[: len(b)], b[: len(a)], atol=1e-4)
    assert abs(len(a) - len(b)) < 2048
