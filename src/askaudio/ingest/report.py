"""The result of an update, and the list of files that could not be read which is kept between updates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from askaudio.core.files import atomic_path
from askaudio.core.types import Json


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that could not be read, or not to its end.

    Attributes:
        reason: Why.
        stamp: Stamp of the file at that time; empty when the file is to be tried again.
        readers: Names of the readers that were installed at that time. With other ones the file is tried again.
        damaged: The part before the fault was encoded.
    """

    reason: str
    stamp: str
    readers: str = ""
    damaged: bool = False


@dataclass
class Report:
    """Result of an update.

    Attributes:
        added: New files encoded.
        changed: Files whose content changed.
        unchanged: Files that were skipped.
        measured: Those of them that were read again for facts which an older version did not measure; vectors are kept.
        renamed: Files found under a new path; their vectors were kept.
        removed: Files that are gone.
        kept: Missing files whose entries were kept, because their folder could not be looked at or has lost too many.
        broken: path -> why the file could not be read.
        damaged: path -> where and why the sound ends; it was encoded as far as it could be decoded.
        noted: path -> what else was noticed when it was read (channels that cancel, samples beyond full scale).
        unseen: Folder or file -> why it could not be looked at, or how many of its files are missing.
        irregular: Names of sounds that are pipes, devices or links to nothing -> what they are.
        needs_codec: Files that only the extra ``codec`` or ffmpeg can read.
        silent: Folders that hold no sound file.
        audio_s: Seconds of sound encoded.
        took_s: Seconds the run took.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    measured: int = 0
    renamed: int = 0
    removed: int = 0
    kept: int = 0
    broken: dict[str, Broken] = field(default_factory=dict)
    damaged: dict[str, Broken] = field(default_factory=dict)
    noted: dict[str, list[str]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    irregular: dict[str, str] = field(default_factory=dict)
    needs_codec: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    audio_s: float = 0.0
    took_s: float = 0.0

    @property
    def found_something(self) -> bool:
        """Whether the update changed the collection."""
        return bool(self.added or self.changed or self.renamed or self.removed or self.measured)

    @property
    def faults(self) -> set[tuple[str, str]]:
        """What keeps the collection from being complete, as (kind, path)."""
        kinds = ("broken", "damaged", "unseen", "needs_codec", "silent")
        return {(kind, path) for kind in kinds for path in getattr(self, kind)}

    def to_json(self) -> Json:
        """A JSON-able dict."""
        return asdict(self)


def write_broken(report: Report, target: Path, others: Mapping[str, Broken] | None = None) -> None:
    """Write broken and damaged files as JSON lines; the file is empty when there are none.

    Args:
        report: What an update found.
        target: The file.
        others: Files that the update did not look at.
    """
    rows = {**(others or {}), **report.broken, **report.damaged}
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as file:
        for path in sorted(rows):
            file.write(json.dumps({"path": path, **asdict(rows[path])}) + "\n")


def read_broken(source: Path) -> dict[str, Broken]:
    """Read what ``write_broken`` wrote; an empty dict when the file is missing or damaged."""
    try:
        with source.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return {
            row["path"]: Broken(row["reason"], row["stamp"], row.get("readers", ""), row.get("damaged", False))
            for row in rows
        }
    except (AttributeError, OSError, ValueError, KeyError, TypeError):
        return {}
