"""Walk through the frames of an MP3 file, to know its length without believing a header.

libsndfile takes the length of an MP3 from its Xing or Info header, or estimates it from the first frames and the file
size, and reads no further. Both are wrong for variable bit rates without that header and for joined files. The frames
that were found make a view with a right Info header, which libsndfile reads to the end.
Cost: about 1 s per 10 hours of sound, little against decoding.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from itertools import pairwise
from typing import BinaryIO

from askaudio.audio.readers.spliced import Piece

_KBIT = {  # layer III, by version 1 or 2 (and 2.5)
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the two version bits
_WINDOW = 1 << 20
_MOST_SKIPS = 200_000  # places that look like a frame and are none; beyond this number the walk ends without a result


@dataclass(slots=True)
class Run:
    """Consecutive frames of one sample rate and channel count.

    Attributes:
        header: The four header bytes of the first frame.
        samples_per_frame: 1152 or 576.
        frames: Count, without Xing and Info headers.
        promised: Frames that the first Xing or Info header promises; None without one.
        ranges: Byte ranges of the frames.
    """

    header: bytes
    samples_per_frame: int
    frames: int = 0
    promised: int | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)

    @property
    def longest_gap(self) -> int:
        """Bytes of the longest stretch between two frames that is no frame."""
        return max((b[0] - a[1] for a, b in pairwise(self.ranges)), default=0)

    def pieces(self) -> list[Piece]:
        """The frames behind an Info header with their count."""
        return [_info_frame(self.header, self.frames), *self.ranges]


@dataclass(frozen=True, slots=True)
class _Header:
    key: tuple[int, int, bool]  # version bits, rate index, mono
    size: int
    samples: int


def _parse(raw: bytes) -> _Header | None:
    """Header of a layer III frame; None for anything else (free-format bit rates included)."""
    if len(raw) < 4 or raw[0] != 0xFF or raw[1] & 0xE6 != 0xE2:  # sync, layer III
        return None
    version, bits, rate = raw[1] >> 3 & 3, raw[2] >> 4, raw[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    kbit, hz = _KBIT[1 if version == 3 else 2][bits], _HZ[version][rate]
    samples = 1152 if version == 3 else 576
    return _Header((version, rate, raw[3] >> 6 == 3), samples * 125 * kbit // hz + (raw[2] >> 1 & 1), samples)


def _info_at(raw: bytes) -> int:
    """Offset of a Xing or Info tag in a frame: behind the side information."""
    mono = raw[3] >> 6 == 3
    return 4 + ((17 if mono else 32) if raw[1] >> 3 & 3 == 3 else (9 if mono else 17))


def _info_frame(header: bytes, frames: int) -> bytes:
    """A frame of silence that holds a frame count; its bit rate is large enough for the tag."""
    head = bytes([0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]])  # no checksum, no padding
    parsed = _parse(head)
    size = parsed.size if parsed else 0
    tag = b"Info" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (head.ljust(_info_at(head), b"\0") + tag).ljust(size, b"\0")


class _Bytes:
    """Random access to a file through one window of memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.start, self.data = file, 0, b""
        self.size = file.seek(0, io.SEEK_END)

    def at(self, offset: int, n: int) -> bytes:
        """``n`` bytes from ``offset``; fewer at the end of the file."""
        inside = offset - self.start
        if inside < 0 or inside + n > len(self.data):
            self.file.seek(offset)
            self.start, self.data, inside = offset, self.file.read(_WINDOW), 0
        return self.data[inside : inside + n]


def runs(file: BinaryIO, most_skips: int = _MOST_SKIPS) -> list[Run]:
    """Frames of an MP3 file in runs of equal rate and channel count; empty where none are found.

    Tags, junk between the frames, and a last frame that is cut off are left out. More than ``most_skips`` places that
    look like a frame and are none end the walk without a result.
    """
    source, found, key, at, skips = _Bytes(file), list[Run](), None, 0, 0
    while at + 4 <= source.size:
        raw = source.at(at, 4)
        head = _parse(raw)
        if head is None or (head.key != key and not _confirmed(source, at, head)):
            at, key, skips = _skip(source, at), None, skips + 1  # behind junk, two frames in a row are needed
            if skips > most_skips:
                return []
            continue
        if at + head.size > source.size:
            break
        if not found or head.key != _parse_key(found[-1]):
            found.append(Run(raw, head.samples))
        key = head.key
        _add(found[-1], source, at, head.size)
        at += head.size
    return found


def _parse_key(run: Run) -> tuple[int, int, bool] | None:
    head = _parse(run.header)
    return head.key if head else None


def _confirmed(source: _Bytes, at: int, head: _Header) -> bool:
    after = at + head.size
    if after >= source.size - 4:
        return True
    following = _parse(source.at(after, 4))
    return following is not None and following.key == head.key


def _skip(source: _Bytes, at: int) -> int:
    """Next offset at which a frame may begin."""
    head = source.at(at, 10)
    if head[:3] == b"ID3" and len(head) == 10:
        return at + 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    at += 1
    while at < source.size:
        data = source.at(at, 4096) or b""
        place = data.find(b"\xff")
        if place >= 0:
            return at + place
        at += max(1, len(data))
    return source.size


def _add(run: Run, source: _Bytes, at: int, size: int) -> None:
    raw = source.at(at, min(size, 64))
    tag = _info_at(raw)
    if raw[tag : tag + 4] in (b"Xing", b"Info"):
        has_count = len(raw) >= tag + 12 and raw[tag + 7] & 1
        if has_count and run.promised is None and not run.frames:
            run.promised = int.from_bytes(raw[tag + 8 : tag + 12], "big")
        return
    run.frames += 1
    if run.ranges and run.ranges[-1][1] == at:
        run.ranges[-1] = (run.ranges[-1][0], at + size)
    else:
        run.ranges.append((at, at + size))
