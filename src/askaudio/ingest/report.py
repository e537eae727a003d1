"""The result of an update, and the list of broken files that is kept between updates."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from askaudio.core.files import atomic_path
from askaudio.core.types import Json


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a file could not be read, and its stamp at that time."""

    reason: str
    stamp: str


@dataclass
class Report:
    """Result of an update.

    Attributes:
        added: New files encoded.
        changed: Files whose content changed.
        unchanged: Files that were skipped.
        renamed: Files found under a new path; their vectors were kept.
        removed: Files that are gone.
        kept: Missing files whose entries were kept, because their whole folder is empty (is a disk not mounted?).
        broken: path -> why the file could not be read.
        audio_s: Seconds of sound encoded.
        took_s: Seconds the run took.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    renamed: int = 0
    removed: int = 0
    kept: int = 0
    broken: dict[str, Broken] = field(default_factory=dict)
    audio_s: float = 0.0
    took_s: float = 0.0

    @property
    def found_something(self) -> bool:
        """Whether the update changed the collection."""
        return bool(self.added or self.changed or self.renamed or self.removed)

    def to_json(self) -> Json:
        """A JSON-able dict."""
        return asdict(self)


def write_broken(report: Report, target: Path) -> None:
    """Write the broken files as JSON lines; the file is empty when there are none."""
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as file:
        for path in sorted(report.broken):
            file.write(json.dumps({"path": path, **asdict(report.broken[path])}) + "\n")


def read_broken(source: Path) -> dict[str, Broken]:
    """Read what ``write_broken`` wrote; an empty dict when the file is missing or damaged."""
    try:
        with source.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return {row["path"]: Broken(row["reason"], row["stamp"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
