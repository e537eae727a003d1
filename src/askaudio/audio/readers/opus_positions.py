"""Correct the page positions of Ogg Opus files (RFC 7845) that disagree with their packets.

The granule position of a page counts the samples up to its end. Programs that cut or join Opus files without encoding
them again write positions that are smaller than the sum of their packets, or that jump. libsndfile refuses such a file
when it opens it, or stops at the page. The packets are complete, and the first bytes of a packet tell its length, so
the positions can be computed again. A file with a lost or damaged page is left as it is: its gap must stay noticeable.
Cost: about 0.2 s per hour of sound, little against decoding. Memory for a corrected file: about 250 bytes a page.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from askaudio.audio.readers.spliced import Piece

RATE_HZ = 48000  # of granule positions, whatever the file decodes to
_FARTHEST = 1 << 48  # a larger position is no number of samples
_END = 4  # flag in a page header: last page of its stream
_HEADER = struct.Struct("<4sBBqIIIB")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960) * 2, (120, 240, 480, 960)
_FRAME = tuple((_SILK * 3 + _HYBRID + _CELT * 4)[config] for config in range(32))  # samples, by the upper five bits


@dataclass(frozen=True, slots=True)
class _Page:
    at: int
    raw: bytes  # header, lacing values and body
    samples: int  # of the packets that end on this page
    last: int  # samples of the last of them
    is_header: bool

    @property
    def position(self) -> int:
        return int(_HEADER.unpack_from(self.raw)[3])

    @property
    def is_end(self) -> bool:
        return bool(self.raw[5] & _END)

    def at_position(self, position: int) -> bytes:
        """Header and lacing values with another granule position and the checksum that belongs to it."""
        changed = self.raw[:6] + struct.pack("<q", position) + self.raw[14:22] + bytes(4) + self.raw[26:]
        return changed[:22] + struct.pack("<I", _checksum(changed)) + changed[26 : 27 + changed[26]]


def frames(file: BinaryIO, start: int, end: int) -> int | None:
    """Samples at 48 kHz that the packets of one link hold; None for other formats and for links with a lost page.

    Args:
        file: Its position is moved.
        start: Offset of the first byte of the link.
        end: Offset behind its last byte.
    """
    try:
        return sum(page.samples for page in _pages(file, start, end)) - _preskip(file, start)
    except _NotWhole:
        return None


def pieces(file: BinaryIO, start: int, end: int) -> list[Piece] | None:
    """The link with positions that agree with its packets; None as in ``frames``.

    The first position is kept where it is possible, because libsndfile leaves out the start of the sound only if the
    positions begin at 0. Samples that the last position leaves out, at most one packet, stay left out.

    Args:
        file: Its position is moved.
        start: Offset of the first byte of the link.
        end: Offset behind its last byte.
    """
    view: list[Piece] = []
    position, before = None, 0  # computed so far; of the page before in the file
    try:
        for page in _pages(file, start, end):
            stop = page.at + len(page.raw)
            if page.is_header or not page.samples:
                view.append((page.at, stop))
                continue
            if position is None:
                begins_late = not page.is_end and page.samples < page.position < _FARTHEST
                position = before = page.position - page.samples if begins_late else 0
            position += page.samples
            left_out = before + page.samples - page.position if page.is_end else 0
            head = page.at_position(position - min(max(left_out, 0), page.last))
            view += [head, (page.at + len(head), stop)]
            before = page.position
    except _NotWhole:
        return None
    return view


class _NotWhole(Exception):
    """Not Ogg Opus, or a page is lost or damaged."""


def _preskip(file: BinaryIO, start: int) -> int:
    file.seek(start + 28)
    return int.from_bytes(file.read(12)[10:], "little")


def _pages(file: BinaryIO, start: int, end: int) -> Iterator[_Page]:
    """Pages of the Opus stream; a last page that is cut off is left out."""
    at, number, headers, rest = (
        start,
        0,
        2,
        0,
    )  # packets of headers to come; samples of an unfinished packet
    serial = None
    while at + _HEADER.size <= end:
        raw = _page_at(file, at, end)
        if raw is None:
            break
        _, _, _, _, found, sequence, checksum, _ = _HEADER.unpack_from(raw)
        body = 27 + raw[26]
        if serial is None and raw[body : body + 8] != b"OpusHead":
            raise _NotWhole
        serial = found if serial is None else serial
        if found == serial:
            if sequence != number or checksum != _checksum(raw[:22] + bytes(4) + raw[26:]):
                raise _NotWhole
            number += 1
            if headers:
                headers -= sum(value < 255 for value in raw[27:body])
                yield _Page(at, raw, 0, 0, is_header=True)
            else:
                samples, last, rest = _samples(raw, rest)
                yield _Page(at, raw, samples, last, is_header=False)
        at += len(raw)
    if serial is None or headers:
        raise _NotWhole


def _page_at(file: BinaryIO, at: int, end: int) -> bytes | None:
    """A page; None where the file ends in it."""
    file.seek(at)
    head = file.read(27)
    if head[:4] != b"OggS":
        raise _NotWhole
    lacing = file.read(head[26])
    body = file.read(sum(lacing))
    if len(lacing) < head[26] or len(body) < sum(lacing) or at + 27 + len(lacing) + len(body) > end:
        return None
    return head + lacing + body


def _samples(raw: bytes, rest: int) -> tuple[int, int, int]:
    """Samples of the packets that end on a page, of the last of them, and of an unfinished packet.

    Args:
        raw: The page.
        rest: Samples of the packet that continues from the page before; 0 without one.
    """
    total = last = 0
    at = 27 + raw[26]
    current = rest
    for value in raw[27 : 27 + raw[26]]:
        if not current and value:
            toc = raw[at]
            count = (1, 2, 2)[toc & 3] if toc & 3 < 3 else raw[at + 1] & 63 if value > 1 else 0
            current = _FRAME[toc >> 3] * count
        at += value
        if value < 255:
            total, last, current = total + current, current, 0
    return total, last, current


def _checksum(page: bytes) -> int:
    """CRC-32 of Ogg. It is that of zlib with the bits of each byte reversed, without inversions."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")
