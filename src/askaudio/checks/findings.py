"""Results of a check of data sets: counted findings with a few examples each, and the report of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Literal

from askaudio.core.types import Json
from askaudio.data.summary import DatasetSummary

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
N_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of problem in one place.

    Args:
        level: "error": a number computed on this set would be wrong or unfair; "warning": to be looked at; "note":
            for information.
        kind: Short name, stable for machines, for example "shared recording".
        where: Data set, split, or two of them.
        count: Number of occurrences.
        text: The sentence that follows the number, with the fix where there is one.
        examples: A few of them.
    """

    level: Level
    kind: str
    where: str
    count: int
    text: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedSet:
    """One data set or split: its counts, the checksum of its captions, the length of its audio.

    Args:
        summary: Counts of clips, captions and missing clips.
        checksum: ``captions.alignment_checksum`` of its clips.
        official: "as published", "not as published", or "" where no published checksum is known.
        audio_s: Length of all audio in seconds; None where no audio was read.
        shortest_s: Length of the shortest clip.
        longest_s: Length of the longest clip.
    """

    summary: DatasetSummary
    checksum: str
    official: str
    _: KW_ONLY
    audio_s: float | None = None
    shortest_s: float | None = None
    longest_s: float | None = None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All sets and all findings, errors first."""

    sets: tuple[CheckedSet, ...]
    findings: tuple[Finding, ...]

    @property
    def n_errors(self) -> int:
        """Number of findings of level error."""
        return sum(finding.level == "error" for finding in self.findings)

    def to_json(self) -> Json:
        """The report as JSON-able values."""
        return {
            "sets": [_renamed(asdict(one)) for one in self.sets],
            "findings": [asdict(finding) for finding in self.findings],
            "errors": self.n_errors,
        }


def findings_of(
    level: Level, kind: str, where: str, text: str, examples: Sequence[str], *, count: int | None = None
) -> tuple[Finding, ...]:
    """One finding that counts ``examples``, or none where there are no examples.

    Args:
        level: See ``Finding``.
        kind: See ``Finding``.
        where: Data set, split, or two of them.
        text: The sentence that follows the number.
        examples: Everything that was found; the first ``N_EXAMPLES`` are kept.
        count: The number to report, where it is not the number of examples.
    """
    if not examples:
        return ()
    return (Finding(level, kind, where, len(examples) if count is None else count, text, tuple(examples[:N_EXAMPLES])),)


def _renamed(one: Json) -> Json:
    """The counts are called "pool" in the JSON output."""
    return {"pool": one.pop("summary"), **one}


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes."""
    return tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level)))
