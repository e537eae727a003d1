"""The phrase table: classes of real recordings, which recordings belong to them, and how people call them.

The table that is shipped (``phrases.yaml``) knows the labels and file names of several free sound libraries; your own
is a YAML file of the same form::

    dog:
      label: [dog bark]                 # recordings with exactly this label, or
      text: ['dog barking.*']           # with a first caption that this regular expression matches as a whole
      nouns: [a barking dog, the bark of a dog]
      clauses: [a dog barks, a dog is barking]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from askaudio.core.errors import DataError
from askaudio.data.manifest import Clip, Manifest
from askaudio.scenes.wording import Wording

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where PyYAML was built with it: 10x


@dataclass(frozen=True, slots=True)
class SoundClass:
    """A class of recordings: exact labels and patterns over the whole lower-case text, and its phrases."""

    name: str
    labels: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    wording: Wording

    def holds(self, clip: Clip) -> bool:
        """Whether the recording belongs to this class."""
        text = clip.captions[0].text.lower() if clip.captions else ""
        return clip.label in self.labels or any(p.fullmatch(text) for p in self.patterns)


def read_phrases(path: Path | str | None = None) -> tuple[SoundClass, ...]:
    """Read a phrase table; without a path, the one that is shipped.

    Raises:
        DataError: Not YAML, or a class lacks a field; all faults are reported together.
    """
    source = files("askaudio.scenes") / "phrases.yaml" if path is None else Path(path)
    try:
        table = yaml.load(source.read_text(encoding="utf-8"), Loader=_LOADER)  # a safe loader
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the phrase table {source}: {error}") from error
    if not isinstance(table, dict) or not table:
        raise DataError(f"the phrase table {source} must map class names to phrases; see askaudio.scenes.phrases")
    faults = [fault for name, row in table.items() for fault in _faults(str(name), row)]
    if faults:
        raise DataError(f"phrase table {source}: " + "; ".join(faults))
    return tuple(_sound_class(str(name), row) for name, row in table.items())


def sort_recordings(manifest: Manifest, classes: tuple[SoundClass, ...]) -> dict[str, list[Clip]]:
    """Class name -> its recordings; a recording belongs to the first class that holds it, or to none."""
    found: dict[str, list[Clip]] = {c.name: [] for c in classes}
    cache: dict[tuple[str, str], str | None] = {}
    for clip in manifest:
        key = (clip.label, clip.captions[0].text if clip.captions else "")
        if key not in cache:
            cache[key] = next((c.name for c in classes if c.holds(clip)), None)
        name = cache[key]
        if name is not None:
            found[name].append(clip)
    return found


def _faults(name: str, row: Any) -> list[str]:
    if not isinstance(row, Mapping):
        return [f"{name}: expected fields, got {type(row).__name__}"]
    faults = [f"{name}: unknown field {k!r}" for k in row if k not in ("label", "text", "nouns", "clauses")]
    for key in ("label", "text", "nouns", "clauses"):
        value = row.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            faults.append(f"{name}: {key!r} must be a list of texts")
        elif key in ("nouns", "clauses") and len(value) < 2:
            faults.append(f"{name}: {key!r} needs at least two phrases")
        elif key == "text":
            faults += [f"{name}: {v!r} is no regular expression ({why})" for v in value if (why := _regex_fault(v))]
    if not row.get("label") and not row.get("text"):
        faults.append(f"{name}: needs 'label' or 'text', or no recording can belong to it")
    return faults


def _regex_fault(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""


def _sound_class(name: str, row: Mapping[str, list[str]]) -> SoundClass:
    wording = Wording(name, tuple(row["nouns"]), tuple(row["clauses"]))
    patterns = tuple(re.compile(p) for p in row.get("text", []))
    return SoundClass(name, frozenset(row.get("label", [])), patterns, wording)
