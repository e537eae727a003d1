"""Chunks of WAV files that describe the sound: bext (Broadcast WAV), iXML (recorders, sound libraries), LIST INFO.

Reads chunk headers and at most 256 KiB of each chunk of interest, before and after the sound. A broken file gives what
was read before the fault. Texts are read as recorders and Windows tools write them, which is not always what the
standards say: UTF-8 or cp1252, fields that are cut inside a character, XML that is followed by rubbish.
Layouts: EBU Tech 3285 (bext), EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64), http://www.gallery.co.uk/ixml (iXML).
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from askaudio.core.errors import DataError
from askaudio.core.text import decode_text
from askaudio.core.types import Json

_MOST_BYTES = 1 << 18
_MOST_CHUNKS = 1000
_ELSEWHERE = 0xFFFFFFFF  # the size of this chunk is in ds64
# iXML element (lower case) -> name under which it is stored
_IXML = {
    "project": "project", "scene": "scene", "take": "take", "tape": "tape", "note": "note", "circled": "circled",
    "category": "category", "subcategory": "subcategory", "catid": "cat_id", "keywords": "keywords",
    "fxname": "title", "description": "description", "library": "library", "show": "project",
    "usercategory": "user_category", "microphone": "microphone", "location": "location", "designer": "creator",
    "bwf_description": "description",
}  # fmt: skip
_INFO = {
    b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"IGNR": "genre", b"ICMT": "comment", b"ICRD": "year",
    b"IKEY": "keywords", b"ISBJ": "description", b"ICOP": "copyright", b"IMUS": "composer",
}  # fmt: skip
_ENTITY = re.compile(r"&(?!(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def read_chunks(path: Path) -> Json:
    """Facts from bext, iXML and LIST INFO.

    Returns:
        description, originator, recorded (date), title, artist, project, scene, take, note, keywords, ... as far as
        they are there. Where several chunks have the same fact, the order is bext, iXML, INFO.
    """
    found: dict[bytes, Json] = {}
    try:
        for name, payload in _chunks(path):
            facts = {b"bext": _bext, b"iXML": _ixml, b"LIST": _info}[name](payload)
            found[name] = {**facts, **found.get(name, {})}
    except (OSError, struct.error):
        pass
    return {**found.get(b"LIST", {}), **found.get(b"iXML", {}), **found.get(b"bext", {})}


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
            return
        large: dict[bytes, int] = {}  # sizes of chunks that do not fit into 32 bits
        for _ in range(_MOST_CHUNKS):
            header = file.read(8)
            if len(header) < 8:
                return
            name, size = header[:4], struct.unpack("<I", header[4:])[0]
            if size == _ELSEWHERE and (size := large.get(name, 0)) == 0:
                return
            start = file.tell()
            if name == b"ds64":
                large = _large_sizes(file.read(min(size, _MOST_BYTES)))
            elif name in (b"bext", b"iXML", b"LIST"):
                yield name, file.read(min(size, _MOST_BYTES))
            file.seek(start + size)
            if size % 2:
                _skip_padding(file)


def _skip_padding(file: BinaryIO) -> None:
    """Chunks begin at even offsets; some writers forget the byte that follows a chunk of odd size."""
    if file.read(1) not in (b"\0", b""):
        file.seek(-1, 1)


def _large_sizes(payload: bytes) -> dict[bytes, int]:
    """Sizes in a ds64 chunk: of the data, and of other chunks as a table."""
    sizes = {b"data": struct.unpack("<Q", payload[8:16])[0]}
    for place in range(28, len(payload) - 11, 12):
        sizes[payload[place : place + 4]] = struct.unpack("<Q", payload[place + 4 : place + 12])[0]
    return sizes


def _field(raw: bytes) -> str:
    """The text of a field of fixed size, which ends at the first NUL or fills the field."""
    text = raw.split(b"\0")[0]
    # a text that fills its field may be cut inside a character; a shorter one only if the rest of it is UTF-8
    cut = len(text) >= len(raw) - 1 or not text[:-3].isascii()
    return _decode(text, cut)


def _decode(raw: bytes, cut: bool = False) -> str:
    try:
        return decode_text(raw, cut=cut).strip()
    except DataError:
        return ""


def _bext(payload: bytes) -> Json:
    """Fixed fields: description 256, originator 32, reference 32, date 10, time 8."""
    date = _field(payload[320:330])
    facts = {"description": _field(payload[:256]), "originator": _field(payload[256:288])}
    if re.fullmatch(r"\d{4}.\d{2}.\d{2}", date):
        facts["recorded"] = re.sub(r"\D", "-", date)
    return {key: value for key, value in facts.items() if value}


def _info(payload: bytes) -> Json:
    """Texts of a LIST chunk of type INFO."""
    facts: Json = {}
    place = 4
    while payload[:4] == b"INFO" and place + 8 <= len(payload):
        name, size = payload[place : place + 4], struct.unpack("<I", payload[place + 4 : place + 8])[0]
        text = _decode(payload[place + 8 : place + 8 + size].split(b"\0")[0])
        if name in _INFO and text:
            facts.setdefault(_INFO[name], text)
        place += 8 + size + size % 2
    return facts


def _ixml(payload: bytes) -> Json:
    text = _xml_text(payload)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities may expand without limit or name files; iXML needs none
        return {}
    facts: Json = {}
    parser: ElementTree.XMLPullParser[Any] = ElementTree.XMLPullParser(["end"])
    try:
        parser.feed(text)
        for event in parser.read_events():  # elements that are complete before the fault count
            element: Any = event[-1]
            if isinstance(element, ElementTree.Element) and not len(element):
                name = _IXML.get(str(element.tag).lower(), "")
                value = " ".join((element.text or "").split())
                if name and value:
                    facts.setdefault(name, value)
    except (ElementTree.ParseError, ValueError):
        pass
    return facts


def _xml_text(payload: bytes) -> str:
    """XML as text that begins with its root element, in the encoding it has, which may not be the one it declares."""
    if payload[:4] in (b"<\0?\0", b"<\0B\0"):
        payload = codecs.BOM_UTF16_LE + payload
    text = _NOT_XML.sub(" ", _decode(payload))
    text = text[max(text.find("<"), 0) :]
    return _ENTITY.sub("&amp;", re.sub(r"^<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL))
