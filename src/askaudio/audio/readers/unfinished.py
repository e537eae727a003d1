"""WAV, W64, AIFF, AU, CAF and FLAC files whose header holds no length or a wrong one.

Recorders that lose power and programs that write to a pipe leave such files. Where the length is 0 or unknown, the data
extends to the end of the file. libsndfile handles most of these sizes; this module corrects those that it does not
handle, and tells what a header promises, so that a difference is noted. Bytes behind the promised data that are no
chunks of the format are never read as sound, unless another field of the header counts them; they are noted.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from askaudio.audio.readers.spliced import Piece

_MOST_CHUNKS = 1000
_PADDING, _SHORT_SHARE = 4096, 0.01  # bytes, and share of the data, that may follow it without a note
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # of a sample, by the code of the encoding
_AIFF_PCM = (b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"42ni", b"23ni", b"fl32", b"FL32", b"fl64", b"FL64")
_W64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # second part of the names of chunks in a W64 file
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
    has_chunks: bool = True  # what follows the data, if anything, consists of chunks of the format

    @property
    def unread(self) -> int:
        """Bytes behind the promised data that are no chunks; 0 for a few bytes, which are padding or a tag."""
        rest = 0 if self.size is None or self.has_chunks else self.present - self.size
        return rest if rest > _PADDING + _SHORT_SHARE * self.present else 0

    def pieces(self) -> list[Piece]:
        """The whole file with its patches applied."""
        pieces: list[Piece] = []
        at = 0
        for offset, patch in sorted(self.patches.items()):
            pieces += [(at, offset), patch]
            at = offset + len(patch)
        return [*pieces, (at, self.at + self.present)]


def data_chunk(file: BinaryIO) -> DataChunk | None:
    """Find the sound data of a WAV (RIFF, RF64, BW64), W64, AIFF, AU or CAF file; None for other or broken files."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(24)
    try:
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return _wav(file, size)
        if head[:4] == b".snd":
            return _au(head, size)
        if head[:4] == b"riff":
            return _w64(file, size)
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(file, size)
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
            if promised == 0 and present > 0 and not _ends_in_chunks(file, at, size, "<4sI"):
                if long_size is not None and n_bytes == 0xFFFFFFFF:
                    patches = {ds64 + 8: struct.pack("<Q", present)}
                else:
                    patches = {at - 4: b"\xff" * 4}
                return DataChunk(at, None, present, patches, frame)
            ends = {at + promised, at + promised + promised % 2}  # some programs forget the padding byte
            in_chunks = any(_ends_in_chunks(file, end, size, "<4sI") for end in ends)
            return DataChunk(at, promised if promised < _UNKNOWN or long_size else None, present, {}, frame, in_chunks)
    return None


def _ends_in_chunks(file: BinaryIO, at: int, size: int, header: str) -> bool:
    """Whether well-formed chunks fill the file from ``at`` to its end: then the data before them is complete."""
    end = at
    for name, start, n_bytes in _chunks(file, at, header, size):
        if not all(32 <= letter < 127 for letter in name):
            return False
        end = start + n_bytes
    return size - 1 <= end <= size


def _w64(file: BinaryIO, size: int) -> DataChunk | None:
    """No patches: libsndfile reads the data of a W64 file to the end of the file, whatever the header says."""
    at = frame = 0
    for name, at, n_bytes in _w64_chunks(file, size):
        if name == b"fmt ":
            file.seek(at)
            coding, _, _, _, frame = struct.unpack("<HHIIH", file.read(14))
            frame = frame if coding in (1, 3, 0xFFFE) else 0
        elif name == b"data":
            present = size - at
            if not 0 < n_bytes < 1 << 62:
                return DataChunk(at, None, present, {}, frame)
            return DataChunk(at, n_bytes, present, {}, frame)
    return None


def _w64_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    at = 40  # behind the name, the size and the name of the form
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        raw = file.read(24)
        if len(raw) < 24 or raw[4:16] != _W64:
            return
        n_bytes = struct.unpack("<q", raw[16:])[0] - 24
        yield raw[:4], at + 24, n_bytes
        at += 24 + (n_bytes + 7) // 8 * 8
        if not 0 <= at <= size:
            return


def _aiff(file: BinaryIO, size: int) -> DataChunk | None:
    """An AIFF file has its length twice: as frames, and as bytes of the data."""
    frame = counted = 0
    for name, at, n_bytes in _chunks(file, 12, ">4sI", size):
        if name == b"COMM":
            file.seek(at)
            channels, frames, bits, coding = struct.unpack(">HIH10x4s", file.read(min(22, max(18, n_bytes))).ljust(22))
            if n_bytes < 22 or coding in _AIFF_PCM:
                frame = channels * ((bits + 7) // 8)
            counted = frames * frame
        elif name == b"SSND":
            begin, present = at + 8, size - at - 8  # the data is behind an offset and a block size
            promised = n_bytes - 8
            in_chunks = _ends_in_chunks(file, at + n_bytes + n_bytes % 2, size, ">4sI")
            if in_chunks and promised > 0:
                return DataChunk(begin, promised, present, {}, frame)
            if promised <= 0 and present > 0 and not _ends_in_chunks(file, at + 8, size, ">4sI"):
                return DataChunk(begin, None, present, {at - 4: struct.pack(">I", min(present + 8, 0xFFFFFFFF))}, frame)
            if promised < counted <= present:  # the number of frames accounts for the bytes behind the data
                return DataChunk(begin, counted, present, {at - 4: struct.pack(">I", counted + 8)}, frame, False)
            unknown = promised >= _UNKNOWN and counted <= present
            return DataChunk(begin, None if unknown else promised, present, {}, frame, False)
    return None


def _au(head: bytes, size: int) -> DataChunk:
    at, promised, coding, _, channels = struct.unpack(">IIIII", head[4:24])
    present = max(0, size - at)
    frame = _AU_BYTES.get(coding, 0) * channels
    if promised == 0xFFFFFFFF or (promised == 0 and present):
        return DataChunk(at, None, present, {8: b"\xff" * 4} if promised == 0 else {}, frame)
    return DataChunk(at, promised, present, {}, frame, has_chunks=False)


def _caf(file: BinaryIO, size: int) -> DataChunk | None:
    frame = 0
    for name, at, n_bytes in _chunks(file, 8, ">4sq", size):
        if name == b"desc":
            file.seek(at + 16)
            frame = struct.unpack(">I", file.read(4))[0]
        elif name == b"data":  # its content begins with an edit count of four bytes
            present = size - at
            if n_bytes in (-1, 0, 4) and present > 4 and not _ends_in_chunks(file, at + 4, size, ">4sq"):
                return DataChunk(at + 4, None, present - 4, {at - 8: struct.pack(">q", present)}, frame)
            patches = {at - 8: struct.pack(">q", present)} if n_bytes > present else {}
            in_chunks = n_bytes > 0 and _ends_in_chunks(file, at + n_bytes, size, ">4sq")
            return DataChunk(at + 4, n_bytes - 4, present - 4, patches, frame, in_chunks)
    return None


def flac_without_length(file: BinaryIO) -> tuple[int, list[Piece]] | None:
    """Frames that the header of a FLAC file promises, and a view without this number, which is read to its end.

    An ID3v1 tag behind the sound is left out of the view. None for other files, and where the number is unknown.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(26)
    if len(head) < 26 or head[:4] != b"fLaC" or head[4] & 127:  # the first block describes the stream
        return None
    fields = int.from_bytes(head[18:26], "big")  # rate, channels, bits; 36 bits for the number of frames
    file.seek(max(0, size - 128))
    end = size - 128 if file.read(3) == b"TAG" and size >= 154 else size
    frames = fields & (1 << 36) - 1
    patch = (fields - frames).to_bytes(8, "big")
    return (frames, [(0, 18), patch, (26, end)]) if frames else None
