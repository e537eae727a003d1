"""Write bext and iXML chunks of WAV, RF64 and BW64 files into a new file; every other chunk is copied as it is.

The fields go where sound libraries look for them: the description of bext (Broadcast WAV), and the USER element of iXML
with CATEGORY, SUBCATEGORY, CATID, KEYWORDS, FXNAME and DESCRIPTION. Existing elements keep their place, and everything
else in both chunks stays. A file whose chunks do not add up is refused, because a copy of it might lose something.
Layouts: EBU Tech 3285 (bext), EBU Tech 3306 (RF64), http://www.gallery.co.uk/ixml (iXML).
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from askaudio.core.errors import DataError

_ELSEWHERE = 0xFFFFFFFF  # the size is in the ds64 chunk
_LARGEST_CHUNK = 1 << 24  # bext and iXML are texts
_MOST_CHUNKS = 1000
_BEXT = 602  # bytes of a bext chunk of version 1 without history
_PIECE = 1 << 20
# field -> element of iXML
_ELEMENTS = {
    "category": "CATEGORY", "subcategory": "SUBCATEGORY", "cat_id": "CATID", "keywords": "KEYWORDS",
    "title": "FXNAME", "description": "DESCRIPTION",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: name, place of its payload, and its size in bytes without padding."""

    name: bytes
    start: int
    size: int


def write_riff_tags(source: Path, target: Path, fields: Mapping[str, str]) -> None:
    """Copy a file with other texts.

    Args:
        source: A WAV, RF64 or BW64 file.
        target: Is overwritten.
        fields: description, title, category, subcategory, cat_id and keywords as far as they are to be written.

    Raises:
        DataError: The chunks do not add up, or an existing iXML cannot be read.
    """
    with source.open("rb") as old, target.open("wb") as new:
        kind, chunks = read_chunk_list(old, source)
        texts = {b"iXML": _ixml(_payload(old, chunks, b"iXML"), fields, source)}
        if "description" in fields:
            texts[b"bext"] = _bext(_payload(old, chunks, b"bext"), fields["description"])
        new.write(kind + struct.pack("<I", 0) + b"WAVE")
        for chunk in chunks:
            _copy(old, new, chunk, texts.pop(chunk.name, None))
        for name in (b"bext", b"iXML"):  # new ones after the sound, so that its place does not change
            if name in texts:
                _write(new, name, texts[name])
        _set_size(new, kind, source)


def sound_hash(path: Path) -> str:
    """SHA-256 of the format and the data of a file: equal hashes mean equal samples.

    Raises:
        DataError: The chunks do not add up.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        _, chunks = read_chunk_list(file, path)
        for chunk in chunks:
            if chunk.name in (b"fmt ", b"data"):
                digest.update(chunk.name + struct.pack("<Q", chunk.size))
                for piece in _pieces(file, chunk.start, chunk.size):
                    digest.update(piece)
    return digest.hexdigest()


def read_chunk_list(file: BinaryIO, path: Path) -> tuple[bytes, list[Chunk]]:
    """Form of a file (RIFF, RF64 or BW64) and its chunks.

    Raises:
        DataError: It is none of them, a chunk is longer than the file, or something follows the chunks.
    """
    length = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        raise DataError(f"{path} is no WAV file; write a sidecar instead: --write sidecars")
    chunks: list[Chunk] = []
    sizes: dict[bytes, int] = {}
    place = 12
    while place < length and len(chunks) < _MOST_CHUNKS:
        file.seek(place)
        header = file.read(8)
        size = struct.unpack("<I", header[4:])[0] if len(header) == 8 else _ELSEWHERE
        name = header[:4]
        if size == _ELSEWHERE:
            size = sizes.get(name, length)
        if name == b"ds64" and size >= 28:
            sizes[b"data"] = struct.unpack("<Q", file.read(28)[8:16])[0]
        if place + 8 + size > length:
            raise DataError(f"the chunks of {path} do not add up; write a sidecar instead: --write sidecars")
        chunks.append(Chunk(name, place + 8, size))
        place += 8 + size + size % 2
    if place > length + 1 or not {b"fmt ", b"data"} <= {chunk.name for chunk in chunks}:
        raise DataError(f"the chunks of {path} do not add up; write a sidecar instead: --write sidecars")
    return head[:4], chunks


def _payload(file: BinaryIO, chunks: list[Chunk], name: bytes) -> bytes:
    for chunk in chunks:
        if chunk.name == name and chunk.size <= _LARGEST_CHUNK:
            return b"".join(_pieces(file, chunk.start, chunk.size))
    return b""


def _pieces(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    file.seek(start)
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _copy(old: BinaryIO, new: BinaryIO, chunk: Chunk, text: bytes | None) -> None:
    if text is not None:
        _write(new, chunk.name, text)
        return
    old.seek(chunk.start - 8)
    new.write(old.read(8))  # with the size as it is written there: RF64 has it elsewhere
    for piece in _pieces(old, chunk.start, chunk.size):
        new.write(piece)
    if chunk.size % 2:
        new.write(b"\0")


def _write(new: BinaryIO, name: bytes, payload: bytes) -> None:
    new.write(name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2))


def _set_size(new: BinaryIO, kind: bytes, source: Path) -> None:
    size = new.tell() - 8
    if kind == b"RIFF":
        if size >= _ELSEWHERE:
            raise DataError(f"{source} would grow beyond 4 GB; write a sidecar instead: --write sidecars")
        new.seek(4)
        new.write(struct.pack("<I", size))
        return
    new.seek(4)
    new.write(struct.pack("<I", _ELSEWHERE))
    new.seek(20)  # ds64 is the first chunk of RF64; its first field is the size of the file
    new.write(struct.pack("<Q", size))


def _bext(payload: bytes, description: str) -> bytes:
    """A bext chunk with another description of at most 256 bytes; a new one says nothing else."""
    raw = description.encode("utf-8")[:256].decode("utf-8", "ignore").encode("utf-8")
    kept = payload if len(payload) >= _BEXT else bytes(346) + b"\x01\0" + bytes(_BEXT - 348)
    return raw.ljust(256, b"\0") + kept[256:]


def _ixml(payload: bytes, fields: Mapping[str, str], source: Path) -> bytes:
    """The iXML of a file with some elements changed or added."""
    root = _root(payload, source)
    user = root.find("USER")
    for field, tag in _ELEMENTS.items():
        if field not in fields:
            continue
        elements = [one for one in root.iter() if str(one.tag).upper() == tag]
        if not elements:
            if user is None:
                user = ElementTree.SubElement(root, "USER")
            elements = [ElementTree.SubElement(user, tag)]
        elements[0].text = fields[field]
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "utf-8")


def _root(payload: bytes, source: Path) -> ElementTree.Element:
    text = payload.rstrip(b"\0 \r\n\t")
    if not text:
        root = ElementTree.Element("BWFXML")
        ElementTree.SubElement(root, "IXML_VERSION").text = "2.10"
        return root
    try:
        if b"<!" in text.replace(b"<!--", b""):  # entities may name files; iXML needs none
            raise ElementTree.ParseError("it declares entities")
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(
            f"the iXML of {source} cannot be read ({error}), so it is left as it is; write a sidecar instead: "
            "--write sidecars"
        ) from error
