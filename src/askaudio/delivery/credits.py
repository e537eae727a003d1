"""Who made a sound and what it may be used for, from all places where people note it.

For each of title, author, licence and source, the first of these that has it decides:

1. a rule (``rules.py``);
2. a file beside the sound: ``x.wav.license`` (REUSE), ``x.json`` or ``x.wav.json`` (as Freesound's API writes it), and
   lines such as ``Licence: CC0`` in its text file;
3. its row in a ``manifest.jsonl`` of an indexed folder;
4. ``_readme_and_license.txt``, which comes with every pack of Freesound;
5. tags in the file;
6. its name: ``123456__author__title.wav`` is how Freesound names downloads.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.names import normal, readable
from askaudio.core.text import split_lines
from askaudio.data.manifest import read_manifest
from askaudio.delivery.licences import Licence, decided, normalise
from askaudio.delivery.rules import Rule
from askaudio.ingest.sidecar import read_sidecar, text_file
from askaudio.ingest.walk import is_below

_FIELDS = ("title", "author", "licence", "source")
_MOST_BYTES = 1 << 20  # of a pack's list of licences
_MOST_TEXT = 500  # characters of one field
# name of a field elsewhere -> ours; the first of several names counts
_NAMES = {
    "title": "title", "name": "title",
    "author": "author", "artist": "author", "creator": "author", "username": "author", "composer": "author",
    "albumartist": "author", "originator": "author", "spdx-filecopyrighttext": "author",
    "licence": "licence", "license": "licence", "spdx-license-identifier": "licence",
    "source": "source", "url": "source", "link": "source", "website": "source",
}  # fmt: skip
_KEY_VALUE = re.compile(r"\s*([A-Za-z][A-Za-z-]{2,30})\s*[:=]\s*(\S.*)")
_FREESOUND = re.compile(r"(\d+)__([^_].*?)__(.+)")
_URL = re.compile(r"https?://[^\s<>\"')\]]+")


@dataclass(frozen=True, slots=True)
class Credit:
    """What a list of credits says of one sound; "" where it is not known.

    Attributes:
        title: Title of the sound; its file name where no other is known.
        author: Who made it.
        licence: What it may be used for.
        source: Where it is from, mostly an address.
    """

    title: str
    author: str = ""
    licence: Licence = field(default_factory=Licence)
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain fields, as in the lists."""
        return {
            "title": self.title,
            "author": self.author,
            "licence": self.licence.name,
            "licence_url": self.licence.url,
            "commercial": self.licence.allows_commercial,
            "source": self.source,
        }


class CreditReader:
    """Reads credits; what belongs to a whole folder is read once.

    Args:
        roots: Real paths of the folders that may be read.
        rules: Rules, the most important first.
    """

    def __init__(self, roots: Sequence[str], rules: Iterable[Rule] = ()) -> None:
        self._roots = list(roots)
        self._rules = tuple(rules)
        self._packs: dict[str, dict[str, Mapping[str, str]]] = {}
        self._rows: dict[str, Mapping[str, str]] | None = None

    def read(self, path: str, metadata: Mapping[str, Any]) -> Credit:
        """The credit of a sound.

        Args:
            path: Its file.
            metadata: Its facts in the collection.
        """
        rules = [rule for rule in self._rules if rule.fits(path, self._roots)]
        found: list[Mapping[str, str]] = [{name: getattr(rule, name) for name in _FIELDS} for rule in rules]
        if any(is_below(os.path.realpath(path), root) for root in self._roots):
            found += [*self._beside(Path(path)), self._manifest_row(path), self._pack_entry(path)]
        found += [_captioned(metadata), _tagged(metadata), _named(path)]
        title, author, licence, source = (_first(found, name) for name in _FIELDS)
        known = normalise(licence)
        commercial = next((rule.commercial for rule in rules if rule.commercial is not None), None)
        if commercial is not None:
            known = decided(known, commercial)
        return Credit(title or readable(os.path.splitext(os.path.basename(path))[0]), author, known, source)

    def _beside(self, path: Path) -> list[Mapping[str, str]]:
        found: list[Mapping[str, str]] = []
        for place in (
            path.with_name(path.name + ".license"),
            path.with_name(path.name + ".json"),
            path.with_suffix(".json"),
        ):
            file = text_file(place, self._roots)
            if file is not None:
                text = read_sidecar(file, _MOST_BYTES)
                found.append(_lines(split_lines(text)) if place.suffix == ".license" else _json(text))
        return found

    def _manifest_row(self, path: str) -> Mapping[str, str]:
        if self._rows is None:
            self._rows = {}
            for root in self._roots:
                self._rows.update(_manifest(Path(root), self._roots))
        return self._rows.get(os.path.abspath(path), {})

    def _pack_entry(self, path: str) -> Mapping[str, str]:
        folder, name = os.path.split(path)
        if folder not in self._packs:
            file = text_file(Path(folder) / "_readme_and_license.txt", self._roots)
            self._packs[folder] = {} if file is None else _pack(split_lines(read_sidecar(file, _MOST_BYTES)))
        return self._packs[folder].get(normal(name), {})


def _first(found: Sequence[Mapping[str, str]], name: str) -> str:
    return next((" ".join(str(facts[name]).split())[:_MOST_TEXT] for facts in found if facts.get(name)), "")


def _lines(lines: Iterable[str]) -> dict[str, str]:
    """Fields in lines such as ``Licence: CC0``."""
    found: dict[str, str] = {}
    for line in lines:
        matched = _KEY_VALUE.fullmatch(line)
        if matched and (name := _NAMES.get(matched[1].lower())):
            found.setdefault(name, matched[2].strip())
    if "author" in found:
        found["author"] = re.sub(r"^(?:\(c\)|©|copyright)?\s*(?:\d{4}(?:-\d{4})?\s+)?", "", found["author"], flags=re.I)
    return found


def _json(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return _fields(value) if isinstance(value, Mapping) else {}


def _fields(value: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, name in _NAMES.items():
        if isinstance(value.get(key), str) and value[key].strip():
            found.setdefault(name, value[key])
    return found


def _manifest(root: Path, roots: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Rows of the manifest of an indexed folder: absolute path -> fields."""
    if text_file(root / "manifest.jsonl", roots) is None:
        return {}
    try:
        clips = read_manifest(root / "manifest.jsonl")
    except DataError:  # a file of another program; indexing has reported it
        return {}
    return {
        os.path.abspath(clip.path): {"licence": clip.licence, "source": clip.source, **_fields(clip.extra)}
        for clip in clips
    }


def _pack(lines: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """Sounds in the text that comes with a pack of Freesound: name -> fields."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in lines:
        text = line.strip().lstrip("*").strip()
        if re.fullmatch(r"\d+__.+\.\w{2,5}", text):
            current = found.setdefault(normal(text), {})
        elif matched := re.fullmatch(r"(url|license|licence):\s*(\S.*)", text, flags=re.I):
            current.setdefault(_NAMES[matched[1].lower()], matched[2])
    return dict(found)


def _captioned(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Fields in the text file of the sound, whose lines are stored as its captions."""
    captions = metadata.get("caption", [])
    return _lines(captions if isinstance(captions, list) else [str(captions)])


def _tagged(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Fields in tags. A copyright or a comment is a licence only where it names a known one."""
    texts = {key: str(value) for key, value in metadata.items() if isinstance(value, str | int | float)}
    found = _fields(texts)
    if "licence" not in found:
        for key in ("copyright", "comment", "description"):
            if (text := texts.get(key, "")) and normalise(text).commercial is not None:
                found["licence"] = text
                break
    for key in ("comment", "copyright", "description"):
        if "source" not in found and (url := _URL.search(texts.get(key, ""))) and "creativecommons.org" not in url[0]:
            found["source"] = url[0].rstrip(".,;")
    return found


def _named(path: str) -> dict[str, str]:
    matched = _FREESOUND.fullmatch(readable(os.path.splitext(os.path.basename(path))[0]))
    if matched is None:
        return {}
    title = matched[3].replace("-", " ").replace("_", " ")
    return {"title": title, "author": matched[2], "source": f"https://freesound.org/s/{matched[1]}/"}
