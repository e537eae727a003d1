"""What a reader reports about a data set besides its clips: where it comes from, its faulty rows, its counts.

A recall figure means nothing without the number of clips that were ranked (papers report 975, 957 and 883 clips for
one and the same test set), so every number of this project is printed with a ``DatasetSummary``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Literal

from askaudio.core.types import Json, Split


@dataclass(frozen=True, slots=True)
class About:
    """Where a data set comes from. ``licence`` is a note for people, not legal advice."""

    version: str = ""
    language: str = ""
    licence: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem in one row: ``kind`` is a short name for counting, ``where`` is file:line."""

    kind: str
    where: str
    what: str
    level: Literal["error", "warning"] = "error"
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """Counts that belong beside every number computed on a data set.

    Args:
        name: Data set and split.
        version: Version of the data set, or "".
        clips: Clips whose audio was found (all clips where only captions are read).
        captions: Captions of these clips.
        missing_clips: Clips that the caption file lists and whose audio was not found.
        missing_captions: Captions of the missing clips.
        faulty_rows: Rows of the caption files that were left out or corrected.
        broken_clips: Clips that were left out because their audio cannot be read.
    """

    name: str
    version: str
    _: KW_ONLY
    clips: int
    captions: int
    missing_clips: int = 0
    missing_captions: int = 0
    faulty_rows: int = 0
    broken_clips: int = 0

    def __str__(self) -> str:
        title = f"{self.name} ({self.version})" if self.version else self.name
        text = f"{title}: {self.clips:,} clips, {self.captions:,} captions"
        if self.missing_clips:
            listed = self.clips + self.missing_clips
            text += f"; {self.missing_clips:,} of {listed:,} listed clips missing ({self.missing_captions:,} captions)"
        if self.broken_clips:
            text += f"; {self.broken_clips:,} broken"
        if self.faulty_rows:
            text += f"; {self.faulty_rows:,} faulty rows"
        return text

    def to_json(self) -> Json:
        """The counts as a dictionary."""
        return asdict(self)


def count_kinds(faults: Iterable[Fault]) -> dict[str, int]:
    """Number of faults of each kind, most frequent first."""
    return dict(Counter(fault.kind for fault in faults).most_common())
