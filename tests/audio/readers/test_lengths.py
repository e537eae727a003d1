"""Files whose header does not know their length, or knows a wrong one: all of the sound is read."""

import io
import struct

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode, probe, stream_windows
from askaudio.audio.reading import read
from askaudio.core.errors import AudioDecodeError

RATE = 44100


def tone(duration_s, hz=440.0, rate_hz=RATE):
    return (0.4 * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate_hz)) / rate_hz)).astype(np.float32)


def loud_after_silence(duration_s):
    """Quiet at first, so that an MP3's first frames are smaller than its mean."""
    noise = np.random.default_rng(0).standard_normal(round(duration_s * RATE))
    return (np.where(np.arange(len(noise)) < RATE, 0.001, 0.3) * noise).astype(np.float32)


def written(samples, rate_hz=RATE, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, **options)
    return file.getvalue()


def seconds_and_reading(content):
    return read(content, 32000, lambda blocks: sum(map(len, blocks)) / 32000, partial=True)


def wav(size, body, riff=b"RIFF", before=b"", fmt=(1, 1, RATE, 2 * RATE, 2, 16)):
    head = b"WAVE" + before + b"fmt " + struct.pack("<IHHIIHH", 16, *fmt) + b"data" + struct.pack("<I", size)
    return riff + struct.pack("<I", 0 if size == 0 else 0xFFFFFFFF) + head + body


PCM = (tone(2.0) * 32767).astype("<i2").tobytes()
DS64_EMPTY = b"ds64" + struct.pack("<IQQQI", 28, 0, 0, 0, 0)
DS64_RIGHT = b"ds64" + struct.pack("<IQQQI", 28, 0, len(PCM), len(PCM) // 2, 0)
CHUNK_AFTER = b"LIST" + struct.pack("<I", 4) + b"INFO"


@pytest.mark.parametrize(
    "content",
    [
        wav(0, PCM),
        wav(0xFFFFFFFF, PCM),
        wav(0x7FFFF000, PCM),
        wav(0xFFFFFFFF, PCM, b"RF64", DS64_EMPTY),
        wav(0xFFFFFFFF, PCM + CHUNK_AFTER, b"RF64", DS64_RIGHT),
        wav(0, PCM, before=CHUNK_AFTER),
    ],
    ids=["0", "ffffffff", "7ffff000", "rf64 without sizes", "rf64 with a chunk behind", "0 behind a chunk"],
)
def test_a_wav_without_its_length_is_read_to_the_end(content):
    whole = decode(wav(len(PCM), PCM), RATE)
    assert np.array_equal(decode(content, RATE), whole)
    assert seconds_and_reading(content)[1].notes == ()
    assert probe(content).duration_s in (None, 2.0)


def test_a_wav_without_data_has_no_samples():
    for content in (wav(0, b""), wav(0, CHUNK_AFTER)):
        with pytest.raises(AudioDecodeError, match="no samples"):
            decode(content, RATE)


def test_a_wav_that_is_cut_short_is_read_with_a_note():
    seconds, reading = seconds_and_reading(wav(len(PCM), PCM[: len(PCM) // 2]))
    assert seconds == pytest.approx(1.0, abs=0.001)
    assert not reading.damaged
    assert reading.notes == ("ends after 1.0 s: the header promises 2.0 s",)


def test_au_and_caf_without_their_length_are_read_to_the_end():
    whole = decode(written(tone(2.0), format="AU"), RATE)
    for format_, at, size in (("AU", 8, bytes(4)), ("AU", 8, b"\xff" * 4), ("CAF", None, b"\xff" * 8)):
        content = bytearray(written(tone(2.0), format=format_))
        at = content.find(b"data") + 4 if at is None else at
        content[at : at + len(size)] = size
        assert np.array_equal(decode(bytes(content), RATE), whole)


def frames_of(content):
    """The frames of an MP3 (44.1 kHz, MPEG 1, layer III) without its Xing or Info frame."""
    kbit = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    frames, at = [], 0
    while at + 4 < len(content):
        size = 144000 * kbit[content[at + 2] >> 4] // RATE + (content[at + 2] >> 1 & 1)
        frames.append(content[at : at + size])
        at += size
    return [frame for frame in frames if b"Xing" not in frame[:64] and b"Info" not in frame[:64]]


def variable_mp3(duration_s):
    return written(loud_after_silence(duration_s), format="MP3", bitrate_mode="VARIABLE", compression_level=0.3)


def test_an_mp3_of_variable_bit_rate_without_a_header_is_read_whole():
    with_header = variable_mp3(10.0)
    without = b"".join(frames_of(with_header))
    assert soundfile.info(io.BytesIO(without)).duration < 8.0  # what libsndfile believes
    assert seconds_and_reading(with_header)[0] == pytest.approx(10.0, abs=0.001)
    seconds, reading = seconds_and_reading(without)
    assert seconds == pytest.approx(10.0, abs=0.06)
    assert (reading.reader, reading.notes) == ("libsndfile", ())
    assert probe(without).duration_s == pytest.approx(10.0, abs=0.06)
    a, b = decode(with_header, RATE), decode(without, RATE)
    delay = np.argmax([a[-RATE:-8000] @ b[len(a) - RATE + lag :][: RATE - 8000] for lag in range(1500)])
    assert delay == 576  # encoder delay, which only the lost header says to leave out
    np.testing.assert_allclose(b[delay : delay + len(a) - 8000][2000:], a[2000:-8000], atol=1e-3)


@pytest.mark.parametrize(
    "between", [b"", b"TAG" + bytes(125), bytes(5000), b"ID3\x04\x00\x00\x00\x00\x0f\x00" + bytes(1920)]
)
def test_joined_mp3s_are_read_to_the_end(between):
    part = written(tone(3.0), format="MP3")
    seconds, reading = seconds_and_reading(part + between + part)
    assert seconds == pytest.approx(6.0, abs=0.2)
    assert reading.reader == "libsndfile"


def test_joined_mp3s_of_different_kinds_are_converted_and_noted():
    low, stereo = (
        written(tone(2.0, 880, 22050), 22050, format="MP3"),
        written(np.stack([tone(3.0)] * 2, 1), format="MP3"),
    )
    seconds, reading = seconds_and_reading(written(tone(1.0), format="MP3") + low + stereo)
    assert seconds == pytest.approx(6.0, abs=0.25)
    assert [note.split(" inside")[0] for note in reading.notes] == [
        "changes to 22050 Hz and 1 channels",
        "changes to 44100 Hz and 2 channels",
    ]


def test_an_mp3_that_is_cut_is_read_with_a_note():
    content = written(tone(10.0), format="MP3")
    seconds, reading = seconds_and_reading(content[: len(content) // 2])
    assert seconds == pytest.approx(5.0, abs=0.2)
    assert "the header promises 10.0 s" in reading.notes[0]


class Forward(soundfile.SoundFile):
    """A file without soundfile's seeks."""

    def seekable(self):
        return False


def test_an_ordinary_mp3_is_read_as_libsndfile_reads_it():
    constant = written(tone(4.0), format="MP3", bitrate_mode="CONSTANT", compression_level=0.5)
    for content in (variable_mp3(4.0), constant, b"".join(frames_of(constant))):
        by_libsndfile = Forward(io.BytesIO(content)).read(10 * RATE, dtype="float32")
        assert np.array_equal(decode(content, RATE), by_libsndfile.clip(-1, 1))


def dominant_hz(samples, rate_hz):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate_hz / len(samples)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_all_links_of_a_chained_ogg_are_read(tmp_path, subtype):
    rate = 48000
    links = [
        written(tone(s, hz, rate), rate, format="OGG", subtype=subtype) for s, hz in ((2, 440), (3, 880), (1, 440))
    ]
    path = tmp_path / "chained.ogg"
    path.write_bytes(b"".join(links))
    samples = decode(path, rate)
    assert len(samples) / rate == pytest.approx(6.0, abs=0.05)
    assert probe(path).duration_s == pytest.approx(6.0, abs=0.05)
    assert dominant_hz(samples[3 * rate : 4 * rate], rate) == pytest.approx(880, abs=2)
    assert np.array_equal(next(stream_windows(path, rate, 10.0, 10.0)).samples, samples)


def test_links_of_different_rates_are_converted_and_noted():
    content = written(tone(2.0), format="OGG") + written(np.stack([tone(3.0, 880, 22050)] * 2, 1), 22050, format="OGG")
    seconds, reading = seconds_and_reading(content)
    assert seconds == pytest.approx(5.0, abs=0.01)
    assert reading.notes == ("changes to 22050 Hz and 2 channels inside the file; converted",)
    samples = decode(content, RATE)
    assert dominant_hz(samples[3 * RATE : 4 * RATE], RATE) == pytest.approx(880, abs=2)
    assert np.abs(samples[3 * RATE : 4 * RATE]).max() == pytest.approx(0.4, abs=0.05)


NOISE = (0.1 * np.random.default_rng(1).standard_normal(2 * RATE)).astype(np.float32)
LEFT_OUT = "{} bytes behind its sound are not counted by its header and were left out"


def patched(content, at, value):
    return content[:at] + value + content[at + len(value) :]


def flac_that_promises(frames):
    content = written(NOISE, format="FLAC")
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | frames
    return patched(content, 18, fields.to_bytes(8, "big"))


@pytest.mark.parametrize("frames", [0, 1, RATE, 2 * RATE - 1])
def test_a_flac_is_read_to_the_end_of_its_data_whatever_its_header_counts(frames):
    samples = decode(flac_that_promises(frames), RATE)
    assert np.array_equal(samples, decode(flac_that_promises(2 * RATE), RATE))
    assert len(samples) == 2 * RATE
    assert seconds_and_reading(flac_that_promises(frames))[1].notes == ()


def test_a_flac_that_is_shorter_than_it_promises_is_noted_and_a_tag_behind_it_is_no_damage():
    note = "ends after 2.0 s: the header promises 10.0 s"
    assert seconds_and_reading(flac_that_promises(10 * RATE))[1].notes == (note,)
    seconds, reading = seconds_and_reading(flac_that_promises(2 * RATE) + b"TAG" + bytes(125))
    assert (seconds, reading.notes) == (2.0, ())
    assert probe(flac_that_promises(2 * RATE)).duration_s == 2.0


def sized(container, size):
    """A file of 2 s whose sound data claims to be ``size`` times as long; None for unknown, 0.0 for empty."""
    content = written(NOISE, format=container)
    name, form, offset = {"AIFF": (b"SSND", ">I", 4), "W64": (b"data", "<q", 16), "CAF": (b"data", ">q", 4)}[container]
    extra = {"AIFF": 8, "W64": 24, "CAF": 4}[container]
    at = content.index(name) + offset
    n_bytes = {None: -1 if container != "AIFF" else 0xFFFFFFFF}.get(size, 0)
    if size:
        n_bytes = round(size * 4 * RATE) + extra
    return patched(content, at, struct.pack(form, n_bytes))


@pytest.mark.parametrize("container", ["AIFF", "W64", "CAF"])
@pytest.mark.parametrize("size", [0.0, None, 1.0])
def test_data_sizes_of_zero_and_unknown_sizes_mean_to_the_end(container, size):
    samples = decode(sized(container, size), RATE)
    assert np.array_equal(samples, decode(sized(container, 1.0), RATE))
    assert len(samples) == 2 * RATE
    assert seconds_and_reading(sized(container, size))[1].notes == ()


@pytest.mark.parametrize("container", ["AIFF", "W64", "CAF"])
def test_data_that_is_shorter_than_its_size_is_read_with_a_note(container):
    seconds, reading = seconds_and_reading(sized(container, 2.0))
    assert (seconds, reading.notes) == (2.0, ("ends after 2.0 s: the header promises 4.0 s",))
    content = sized(container, 1.0)
    seconds, reading = seconds_and_reading(content[: len(content) // 2])
    assert seconds == pytest.approx(1.0, abs=0.03)
    assert reading.notes == ("ends after 1.0 s: the header promises 2.0 s",)


def test_a_data_size_that_is_too_small_is_noted_or_corrected_by_the_count_of_frames():
    assert seconds_and_reading(sized("CAF", 0.5))[1].notes == (LEFT_OUT.format(2 * RATE),)
    assert np.array_equal(decode(sized("AIFF", 0.5), RATE), decode(sized("AIFF", 1.0), RATE))
    au = patched(written(NOISE, format="AU"), 8, struct.pack(">I", RATE))
    seconds, reading = seconds_and_reading(au)
    assert (seconds, reading.notes) == (0.5, (LEFT_OUT.format(3 * RATE),))


@pytest.mark.parametrize("size", [len(PCM) // 2, len(PCM) // 2 + 1])
def test_bytes_behind_the_data_of_a_wav_are_no_sound(size):
    seconds, reading = seconds_and_reading(wav(size, PCM))
    assert seconds == pytest.approx(1.0, abs=0.0001)
    assert reading.notes == (LEFT_OUT.format(len(PCM) - size),)


def test_chunks_behind_the_data_of_a_wav_are_neither_sound_nor_noted():
    long_chunk = b"LIST" + struct.pack("<I", 20000) + bytes(20000)
    for body in (
        PCM + CHUNK_AFTER,
        PCM + long_chunk,
        PCM[:-1] + b"\0" + long_chunk,
        PCM[:-1] + b"\0" + CHUNK_AFTER,
        PCM + b"\1garbage" * 20,
    ):
        size = len(PCM) - (body[len(PCM) - 1] == 0)
        seconds, reading = seconds_and_reading(wav(size, body))
        assert seconds == pytest.approx(2.0, abs=0.0001)
        assert reading.notes == ()
