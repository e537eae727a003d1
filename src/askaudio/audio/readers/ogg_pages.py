"""The links of a chained Ogg file (RFC 3533): streams one after the other, as stream recorders write them.

libsndfile reads the first link only. Each link is a complete Ogg file, so it can be opened as a file of its own.
Cost: two short reads a page, about 1 ms a minute of sound.
"""

from __future__ import annotations

import io
from itertools import pairwise
from typing import BinaryIO

_FIRST_PAGE = 2  # flag in the header: beginning of a logical stream
_SEARCH_BYTES = 1 << 16


def links(file: BinaryIO) -> list[tuple[int, int]]:
    """First byte and end (exclusive) of every link; one entry for an ordinary file, none for other formats."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != b"OggS":
        return []
    starts, at, in_headers = [], 0, False
    while at < size:
        file.seek(at)
        head = file.read(27)
        lengths = file.read(head[26]) if len(head) == 27 else b""
        if head[:4] != b"OggS" or len(head) < 27 or len(lengths) < head[26]:
            at = _next_page(file, at + 1)
            continue
        begins = bool(head[5] & _FIRST_PAGE)
        if begins and not in_headers:  # several first pages in a row are tracks of the same link
            starts.append(at)
        in_headers = begins
        at += 27 + len(lengths) + sum(lengths)
    return list(pairwise([*starts, size]))


def _next_page(file: BinaryIO, at: int) -> int:
    """Offset of the next page's capture pattern, or the end of the file."""
    file.seek(at)
    while data := file.read(_SEARCH_BYTES):
        found = data.find(b"OggS")
        if found >= 0:
            return at + found
        if len(data) < _SEARCH_BYTES:
            break
        at += len(data) - 3
        file.seek(at)
    return file.seek(0, io.SEEK_END)
