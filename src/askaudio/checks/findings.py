"""What a check of data sets has found: counted findings with a few examples each, and the report that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from askaudio.core.types import Json
from askaudio.data.gallery import Pool

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
N_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing found in one place.

    Args:
        level: error: a number computed on this set would be wrong or unfair; warning: look at it; note: know it.
        kind: Short name, stable for machines, for example "shared recording".
        where: Data set, split, or two of them.
        count: How often.
        text: The sentence for people, with the mend where there is one.
        examples: A few of them.
    """

    level: Level
    kind: str
    where: str
    count: int
    text: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetSummary:
    """One data set or split: its pool, the checksum of its captions, its audio in seconds."""

    pool: Pool
    checksum: str
    official: str
    audio_s: float | None = None
    shortest_s: float | None = None
    longest_s: float | None = None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All sets and all findings, errors first."""

    sets: tuple[SetSummary, ...]
    findings: tuple[Finding, ...]

    @property
    def n_errors(self) -> int:
        """Findings of level error."""
        return sum(finding.level == "error" for finding in self.findings)

    def to_json(self) -> Json:
        """The report as plain values."""
        return {
            "sets": [{**asdict(one), "pool": one.pool.to_json()} for one in self.sets],
            "findings": [asdict(finding) for finding in self.findings],
            "errors": self.n_errors,
        }


def some(examples: Iterable[str]) -> tuple[str, ...]:
    """The first few examples."""
    return tuple(example for _, example in zip(range(N_EXAMPLES), examples, strict=False))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes."""
    return tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level)))
