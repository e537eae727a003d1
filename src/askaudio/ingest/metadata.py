"""Facts about a sound file: header, embedded tags, Broadcast WAV and iXML, UCS file name, sidecar text.

The result is one flat dict of numbers, texts and lists of texts, which every store can keep and filter. Tags that
cannot be read are left out; they never make a file fail.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tinytag import TinyTag, TinyTagException

from askaudio.audio.decode import AudioInfo
from askaudio.core.names import normal, readable
from askaudio.core.text import split_lines
from askaudio.core.types import Json
from askaudio.ingest.riff import read_chunks
from askaudio.ingest.sidecar import read_sidecar, sidecar
from askaudio.ingest.ucs import read_ucs_name

_MOST_TEXT = 2000  # characters kept of one value
_TAGS = ("title", "artist", "album", "albumartist", "composer", "genre", "comment", "year")
_EXTRA = {"description": "description", "keywords": "keywords", "keyword": "keywords", "category": "category",
          "subcategory": "subcategory", "catid": "cat_id", "library": "library", "copyright": "copyright",
          "license": "licence", "licence": "licence", "location": "location", "mood": "mood",
          "tags": "keywords"}  # fmt: skip
_WAVES = {".wav", ".wave", ".bwf", ".rf64", ".w64"}
# what the tag reader raises for damaged tags
_TAG_ERRORS = (
    TinyTagException, ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError, struct.error,
)  # fmt: skip
_C1 = re.compile("[\x80-\x9f]")


def read_metadata(path: Path, info: AudioInfo, captions: Sequence[str] = (), roots: Sequence[str | Path] = ()) -> Json:
    """Read all facts about a file.

    Args:
        path: The file.
        info: Its header, from ``audio.decode.probe``.
        captions: Captions from a manifest; they come before those of the sidecar text.
        roots: Indexed folders, in which a sidecar that is a link must end.

    Returns:
        duration_s, sample_rate_hz, channels, format; tags (list); caption (text or list); title, artist, ... .
    """
    known = {**read_embedded(path), **read_ucs_name(readable(path.stem))}
    tags = _words_list(known.pop("keywords", None), known.get("genre"), known.get("category"))
    texts = [*captions, *_sidecar_lines(path, roots)]
    facts: Json = {
        "duration_s": None if info.duration_s is None else round(info.duration_s, 3),
        "sample_rate_hz": info.sample_rate_hz,
        "channels": info.channels,
        "format": info.format,
        **{key: _clean(value) for key, value in known.items()},
        "tags": tags,
        "caption": (texts[0] if len(texts) == 1 else texts) if texts else None,
    }
    return {key: value for key, value in facts.items() if value not in (None, "", [])}


def read_embedded(path: Path) -> Json:
    """Texts and numbers inside a file: embedded tags, and bext, iXML and LIST INFO of a wav."""
    return {**_embedded_tags(path), **(read_chunks(path) if path.suffix.lower() in _WAVES else {})}


def _embedded_tags(path: Path) -> Json:
    try:
        tag = TinyTag.get(path)
    except _TAG_ERRORS:
        return {}
    found: Json = {name: getattr(tag, name, None) for name in _TAGS}
    for key, value in (tag.other or {}).items():
        if (name := _EXTRA.get(str(key).lower())) is not None:
            found[name] = "; ".join(map(str, value)) if isinstance(value, list) else value
    return {key: value for key, value in found.items() if value not in (None, "")}


def _sidecar_lines(path: Path, roots: Sequence[str | Path]) -> list[str]:
    found = sidecar(path, roots)
    lines = split_lines(read_sidecar(found)[:_MOST_TEXT]) if found else []
    return [text for line in lines if (text := _clean(line))][:10]


def _clean(value: Any) -> Any:
    """Texts without control characters, in the normal form, at most 2000 characters long; numbers unchanged."""
    if isinstance(value, int | float):
        return value
    text = _C1.sub(_as_cp1252, str(value)).replace("\ufffd", "")
    return normal(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]+", " ", text)).strip()[:_MOST_TEXT]


def _as_cp1252(found: re.Match[str]) -> str:
    """Tags that are declared as ISO-8859-1 are cp1252 in practice, where these codes are quotation marks and dashes."""
    return bytes([ord(found[0])]).decode("cp1252", "ignore")


def _words_list(*values: Any) -> list[str]:
    """Split texts such as ``"rain; roof, tin"`` into tags: lower case, each once, in order."""
    parts: Iterable[str] = (p for v in values if v for p in re.split(r"[;,/|]", str(_clean(v)).lower()))
    return list(dict.fromkeys(tag for part in parts if (tag := " ".join(part.split()))))
