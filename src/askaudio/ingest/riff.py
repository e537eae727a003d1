"""Chunks of WAV files that tag readers leave out: bext (Broadcast WAV) and iXML (field recorders, sound libraries).

Reads chunk headers and at most 256 KiB of each chunk of interest; a broken file yields what was read before the fault.
Layouts: EBU Tech 3285 (bext), EBU Tech 3306 (RF64), http://www.gallery.co.uk/ixml (iXML).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from askaudio.core.types import Json

_MOST_BYTES = 1 << 18
_MOST_CHUNKS = 1000
# iXML element (lower case) -> name under which it is stored
_IXML = {
    "project": "project", "scene": "scene", "take": "take", "tape": "tape", "note": "note", "circled": "circled",
    "category": "category", "subcategory": "subcategory", "catid": "cat_id", "keywords": "keywords",
    "fxname": "title", "description": "description", "library": "library", "show": "project",
    "usercategory": "user_category", "microphone": "microphone", "location": "location", "designer": "creator",
    "bwf_description": "description",

}  # fmt: skip


def read_chunks(path: Path) -> Json:
    """Facts from bext and iXML.

    Returns:
        description, originator, recorded (date), project, scene, take, note, keywords, ... as far as they are there.
    """
    facts: Json = {}
    try:
        for name, payload in _chunks(path):
            facts = {**(_bext(payload) if name == b"bext" else _ixml(payload)), **facts}
    except (OSError, struct.error):
        return facts
    return facts


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
            return
        for _ in range(_MOST_CHUNKS):
            header = file.read(8)
            if len(header) < 8:
                return
            name, size = header[:4], struct.unpack("<I", header[4:])[0]
            if (
                size == 0xFFFFFFFF
            ):  # RF64: the real size of the data chunk is in another chunk; nothing needed comes after
                return
            start = file.tell()
            if name in (b"bext", b"iXML"):
                yield name, file.read(min(size, _MOST_BYTES))
            file.seek(start + size + size % 2)


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace").strip()


def _bext(payload: bytes) -> Json:
    """Fixed fields: description 256, originator 32, reference 32, date 10, time 8."""
    date = _text(payload[320:330])
    facts = {"description": _text(payload[:256]), "originator": _text(payload[256:288])}
    if re.fullmatch(r"\d{4}.\d{2}.\d{2}", date):
        facts["recorded"] = re.sub(r"\D", "-", date)
    return {key: value for key, value in facts.items() if value}


def _ixml(payload: bytes) -> Json:
    text = payload.rstrip(b"\0 \r\n\t")
    if b"<!ENTITY" in text or b"<!DOCTYPE" in text:  # a bomb of entities; iXML needs none
        return {}
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError):
        return {}
    facts: Json = {}
    for element in root.iter():
        name = _IXML.get(str(element.tag).lower(), "")
        value = " ".join((element.text or "").split())
        if name and value and not len(element):
            facts.setdefault(name, value)
    return facts
