"""What a run of ingestion did, and the list of broken files that it leaves behind."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from askaudio.core.files import atomic_path
from askaudio.core.types import Json


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a file could not be read, and its stamp when that was found."""

    reason: str
    stamp: str


@dataclass
class Report:
    """What a run did.

    Attributes:
        added: New files encoded.
        changed: Files whose content changed.
        unchanged: Files that were skipped.
        renamed: Files found under a new path; their vectors were kept.
        removed: Files that are gone.
        kept: Gone files that were kept because their whole folder looks empty (an unplugged disk?).
        broken: path -> why it could not be read, and its stamp then.
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
        """Whether anything in the collection is different now."""
        return bool(self.added or self.changed or self.renamed or self.removed)

    def to_json(self) -> Json:
        """A JSON-able dict."""
        return asdict(self)


def write_broken(report: Report, target: Path) -> None:
    """Write the broken files of a run as JSON lines; a run without any leaves an empty file."""
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as file:
        for path in sorted(report.broken):
            file.write(json.dumps({"path": path, **asdict(report.broken[path])}) + "\n")


def read_broken(source: Path) -> dict[str, Broken]:
    """What ``write_broken`` wrote; nothing when the file is missing or damaged."""
    try:
        with source.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return {row["path"]: Broken(row["reason"], row["stamp"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
