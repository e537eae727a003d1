"""Facts about a sound file: header, embedded tags, Broadcast WAV and iXML, UCS file name, sidecar text.

The result is one flat dict of numbers, texts and lists of texts, which every store can keep and filter. Tags that
cannot be read are left out; they never make a file fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tinytag import TinyTag, TinyTagException

from askaudio.audio.decode import AudioInfo
from askaudio.core.types import Json
from askaudio.ingest.riff import read_chunks
from askaudio.ingest.ucs import read_ucs_name

_MOST_TEXT = 2000  # characters kept of one value
_TAGS = ("title", "artist", "album", "albumartist", "composer", "genre", "comment", "year")
_EXTRA = {"description": "description", "keywords": "keywords", "keyword": "keywords", "category": "category",
          "subcategory": "subcategory", "library": "library", "copyright": "copyright", "license": "licence",
          "licence": "licence", "location": "location", "mood": "mood", "tags": "keywords"}  # fmt: skip
_WAVES = {".wav", ".wave", ".bwf", ".rf64", ".w64"}


def sidecar(path: Path) -> Path | None:
    """The text file beside a sound that describes it: ``x.wav.txt`` or ``x.txt``."""
    for candidate in (path.with_name(path.name + ".txt"), path.with_suffix(".txt")):
        if candidate.is_file():
            return candidate
    return None


def read_metadata(path: Path, info: AudioInfo, captions: Sequence[str] = ()) -> Json:
    """Read all facts about a file.

    Args:
        path: The file.
        info: Its header, from ``audio.decode.probe``.
        captions: Captions from a manifest; they come before those of the sidecar text.

    Returns:
        duration_s, sample_rate_hz, channels, format; tags (list); caption (text or list); title, artist, ... .
    """
    known = {**_embedded_tags(path), **(read_chunks(path) if path.suffix.lower() in _WAVES else {})}
    known = {**known, **read_ucs_name(path.stem)}
    tags = _words_list(known.pop("keywords", None), known.get("genre"), known.get("category"))
    texts = [*captions, *_sidecar_lines(path)]
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


def _embedded_tags(path: Path) -> Json:
    try:
        tag = TinyTag.get(path)
    except (TinyTagException, OSError, ValueError, KeyError, IndexError, OverflowError, UnicodeError):
        return {}
    found: Json = {name: getattr(tag, name, None) for name in _TAGS}
    for key, value in (tag.other or {}).items():
        if (name := _EXTRA.get(str(key).lower())) is not None:
            found[name] = "; ".join(map(str, value)) if isinstance(value, list) else value
    return {key: value for key, value in found.items() if value not in (None, "")}


def _sidecar_lines(path: Path) -> list[str]:
    found = sidecar(path)
    if found is None:
        return []
    try:
        with found.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MOST_TEXT).splitlines()
    except OSError:
        return []
    return [text for line in lines if (text := _clean(line))][:10]


def _clean(value: Any) -> Any:
    """Texts without control characters, at most 2000 characters long; numbers unchanged."""
    if isinstance(value, int | float):
        return value
    return re.sub(r"[\x00-\x1f\x7f]+", " ", str(value)).strip()[:_MOST_TEXT]


def _words_list(*values: Any) -> list[str]:
    """Split texts such as ``"rain; roof, tin"`` into tags: lower case, each once, in order."""
    parts: Iterable[str] = (p for v in values if v for p in re.split(r"[;,/|]", str(_clean(v)).lower()))
    return list(dict.fromkeys(tag for part in parts if (tag := " ".join(part.split()))))
