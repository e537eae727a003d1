"""Ogg Opus files whose page positions disagree with their packets are read whole by libsndfile alone."""

import io

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode, probe
from askaudio.audio.readers import chain, opus_positions, sndfile
from askaudio.audio.reading import read
from askaudio.core.errors import AudioDecodeError

RATE = 48000


@pytest.fixture(autouse=True)
def only_libsndfile(monkeypatch):
    monkeypatch.setattr(chain, "readers", lambda: {"libsndfile": sndfile.open_stream})


def opus(duration_s=6.0):
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(duration_s * RATE))
    file = io.BytesIO()
    soundfile.write(file, noise.astype(np.float32), RATE, format="OGG", subtype="OPUS")
    return file.getvalue()


def pages_of(content):
    starts = [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]
    return [content[a:b] for a, b in zip(starts, [*starts[1:], len(content)], strict=True)]


def with_checksum(page):
    """CRC-32 with polynomial 0x04c11db7, not reflected, from 0: bit by bit."""
    crc = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return page[:22] + crc.to_bytes(4, "little") + page[26:]


def moved(content, shifts):
    """Page number -> samples added to its position."""
    pages = pages_of(content)
    for number, shift in shifts.items():
        position = int.from_bytes(pages[number][6:14], "little", signed=True) + shift
        pages[number] = with_checksum(
            pages[number][:6] + position.to_bytes(8, "little", signed=True) + pages[number][14:]
        )
    return b"".join(pages)


def samples_and_reading(content):
    return read(content, RATE, lambda blocks: np.concatenate(list(blocks)), partial=True)


@pytest.mark.parametrize(
    "shifts",
    [{2: -500}, {2: -20000}, {4: -700}, {3: 488}, {3: 10 * RATE}, {2: -500, 4: 488}],
    ids=["refused", "far too early", "broken", "broken one page later", "gap", "refused and broken"],
)
def test_positions_that_disagree_with_the_packets_are_corrected(shifts):
    content = opus()
    whole = decode(content, RATE)
    samples, reading = samples_and_reading(moved(content, shifts))
    assert (reading.reader, reading.notes, reading.damaged) == ("libsndfile", (), False)
    assert np.array_equal(samples, whole)
    assert len(samples) == 6 * RATE


def test_positions_that_all_begin_late_give_the_same_samples_with_a_fault_as_without():
    content = opus()
    numbers = range(2, len(pages_of(content)))
    late = moved(content, dict.fromkeys(numbers, RATE))
    broken = moved(content, dict.fromkeys(numbers, RATE) | {4: RATE - 700})
    assert np.array_equal(samples_and_reading(broken)[0], decode(late, RATE))


def test_a_position_beyond_any_length_is_not_continued():
    content = moved(opus(), {2: (1 << 63) - 1 - 48960, 3: -500})
    pieces = opus_positions.pieces(io.BytesIO(content), 0, len(content))
    assert pieces is not None
    assert 0 < decode(content, RATE, partial=True).size <= 6 * RATE + 960


def test_a_file_that_libsndfile_refuses_is_read_by_path_and_probed(tmp_path):
    path = tmp_path / "a.opus"
    path.write_bytes(moved(opus(), {2: -500}))
    with pytest.raises(soundfile.LibsndfileError, match="malformed"):
        soundfile.info(str(path))
    assert len(decode(path, RATE)) == 6 * RATE
    assert probe(path).duration_s == pytest.approx(6.0, abs=0.02)


def test_links_of_a_chain_are_corrected_and_links_of_headers_alone_left_out():
    first, second = opus(2.0), opus(3.0)
    headers = b"".join(pages_of(first)[:2])
    samples, reading = samples_and_reading(moved(first, {2: -500}) + headers + moved(second, {3: -500}))
    assert np.array_equal(samples, np.concatenate([decode(first, RATE), decode(second, RATE)]))
    assert reading.notes == ()


def test_a_file_with_a_lost_or_damaged_page_stays_damaged():
    content = moved(opus(), {2: -500})
    pages = pages_of(content)
    lost = b"".join(pages[:4] + pages[5:])
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    for damaged in (lost, bytes(flipped)):
        assert opus_positions.frames(io.BytesIO(damaged), 0, len(damaged)) is None
        with pytest.raises(AudioDecodeError, match="malformed"):
            decode(damaged, RATE)


def test_a_good_file_is_rewritten_to_itself():
    content = opus()
    pieces = opus_positions.pieces(io.BytesIO(content), 0, len(content))
    assert b"".join(piece if isinstance(piece, bytes) else content[slice(*piece)] for piece in pieces) == content
    assert opus_positions.frames(io.BytesIO(content), 0, len(content)) == pytest.approx(6 * RATE, abs=960)


@pytest.mark.parametrize(
    ("start", "samples"),
    [
        (b"\x00", 480),
        (b"\x19", 5760),
        (b"\x60", 480),
        (b"\x6a", 1920),
        (b"\x80", 120),
        (b"\xfb\x03", 2880),
        (b"\xff", 0),
    ],
)
def test_the_length_of_a_packet(start, samples):
    page = bytes(26) + bytes([1, len(start)]) + start
    assert opus_positions._samples(page, 0) == (samples, samples, 0)


def test_packets_that_go_on_over_pages_count_where_they_end():
    first = bytes(26) + bytes([2, 1, 255]) + b"\xf8" + b"\xf8" + bytes(254)
    assert opus_positions._samples(first, 0) == (960, 960, 960)
    second = bytes(26) + bytes([2, 10, 1]) + bytes(10) + b"\x80"
    assert opus_positions._samples(second, 960) == (1080, 120, 0)
