"""WAV, AU and CAF files whose header was never completed: the length of the sound data is 0 or unknown.

Recorders that lose power and programs that write to a pipe leave such files. The data then extends to the end of the
file. libsndfile handles most of these sizes; this module corrects those that it does not handle.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from askaudio.audio.readers.spliced import Piece

_MOST_CHUNKS = 1000
_UNKNOWN = 0x7FFF0000  # programs that stream write this size or a larger one


@dataclass(frozen=True, slots=True)
class DataChunk:
    """Sound data in a file.

    Attributes:
        at: Offset of its first byte.
        size: Bytes that the header promises; None where it does not know.
        present: Bytes from ``at`` to the end of the file.
        patches: Offset -> bytes that make a reader take all of ``present``; empty where the header is good.
        bytes_per_frame: Of all channels together; 0 where the coding has no fixed size.
    """

    at: int
    size: int | None
    present: int
    patches: dict[int, bytes]
    bytes_per_frame: int = 0

    def pieces(self) -> list[Piece]:
        """The whole file with its patches applied."""
        pieces: list[Piece] = []
        at = 0
        for offset, patch in sorted(self.patches.items()):
            pieces += [(at, offset), patch]
            at = offset + len(patch)
        return [*pieces, (at, self.at + self.present)]


def data_chunk(file: BinaryIO) -> DataChunk | None:
    """Find the sound data of a WAV (RIFF, RF64, BW64), AU or CAF file; None for other or broken files."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(24)
    try:
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return _wav(file, size)
        if head[:4] == b".snd":
            return _au(head, size)
        if head[:4] == b"caff":
            return _caf(file, size)
    except struct.error:  # the file ends inside its header
        return None
    return None


def _chunks(file: BinaryIO, at: int, header: str, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset of the content and length of each chunk."""
    length = struct.calcsize(header)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        raw = file.read(length)
        if len(raw) < length:
            return
        name, n_bytes = struct.unpack(header, raw)
        yield name, at + length, n_bytes
        at += length + n_bytes + (n_bytes % 2 if length == 8 else 0)  # chunks of RIFF are padded to even lengths
        if not 0 <= at <= size:
            return


def _wav(file: BinaryIO, size: int) -> DataChunk | None:
    ds64 = frame = 0
    long_size: int | None = None
    for name, at, n_bytes in _chunks(file, 12, "<4sI", size):
        if name == b"ds64":
            file.seek(at + 8)
            ds64, long_size = at, struct.unpack("<Q", file.read(8))[0]
        elif name == b"fmt ":
            file.seek(at)
            coding, _, _, _, frame = struct.unpack("<HHIIH", file.read(14))
            frame = frame if coding in (1, 3, 0xFFFE) else 0
        elif name == b"data":
            present = size - at
            promised = long_size if long_size is not None and n_bytes == 0xFFFFFFFF else n_bytes
            if promised == 0 and present > 0 and not _ends_in_chunks(file, at, size):
                if long_size is not None and n_bytes == 0xFFFFFFFF:
                    patches = {ds64 + 8: struct.pack("<Q", present)}
                else:
                    patches = {at - 4: b"\xff" * 4}
                return DataChunk(at, None, present, patches, frame)
            return DataChunk(at, promised if promised < _UNKNOWN or long_size else None, present, {}, frame)
    return None


def _ends_in_chunks(file: BinaryIO, at: int, size: int) -> bool:
    """Whether well-formed chunks fill the file from ``at`` to its end: then the data before them is really empty."""
    end = at
    for name, start, n_bytes in _chunks(file, at, "<4sI", size):
        if not all(32 <= letter < 127 for letter in name):
            return False
        end = start + n_bytes
    return size - 1 <= end <= size


def _au(head: bytes, size: int) -> DataChunk:
    at, promised = struct.unpack(">II", head[4:12])
    present = max(0, size - at)
    if promised == 0xFFFFFFFF or (promised == 0 and present):
        return DataChunk(at, None, present, {8: b"\xff" * 4} if promised == 0 else {})
    return DataChunk(at, promised, present, {})


def _caf(file: BinaryIO, size: int) -> DataChunk | None:
    for name, at, n_bytes in _chunks(file, 8, ">4sq", size):
        if name == b"data":
            present = size - at
            if n_bytes in (-1, 0) and present > 4:  # the content begins with an edit count of four bytes
                return DataChunk(at, None, present, {at - 8: struct.pack(">q", present)})
            return DataChunk(at, n_bytes, present, {})
    return None
