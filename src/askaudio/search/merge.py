"""From found windows to clips: windows of one recording become time-stamped segments; names and vectors are fused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from askaudio.index.entries import Match
from askaudio.index.words import WordMatch
from askaudio.search.hits import Segment

FADE = 0.15  # windows that lose more than this share of the clip's lead over the background end a segment
RRF = 60.0  # rank constant of reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009)
LEAST_WORDS = 0.5  # recordings that carry less of the query's words (by weight) do not count as named so


@dataclass(slots=True)
class Candidate:
    """A recording on its way to become a hit; ``best`` is its best window."""

    clip_id: str
    best: Match
    windows: list[Match] = field(default_factory=list)
    words: tuple[str, ...] = ()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What ingestion stored."""
        return self.best.metadata


def by_clip(matches: Iterable[Match]) -> list[Candidate]:
    """Group windows that come best first; clips in the order of their best window."""
    found: dict[str, Candidate] = {}
    for match in matches:
        candidate = found.get(match.clip_id)
        if candidate is None:
            candidate = found[match.clip_id] = Candidate(match.clip_id, match)
        candidate.windows.append(match)
    return list(found.values())


def segments(windows: Sequence[Match], floor: float) -> tuple[Segment, ...]:
    """Merge touching windows whose score holds up; best first.

    Args:
        windows: Found windows of one recording.
        floor: The query's usual score in the collection; a window must keep most of the best one's lead over it.
    """
    best = max(w.score for w in windows)
    enough = best - FADE * max(best - floor, 0.0)
    merged: list[Segment] = []
    for window in sorted(windows, key=lambda w: (w.start_s, w.end_s)):
        if window.score < enough:
            continue
        if merged and window.start_s <= merged[-1].end_s:
            last = merged[-1]
            merged[-1] = Segment(last.start_s, max(last.end_s, window.end_s), max(last.score, window.score))
        else:
            merged.append(Segment(window.start_s, window.end_s, window.score))
    return tuple(sorted(merged, key=lambda s: (-s.score, s.start_s)))


def fuse(candidates: Sequence[Candidate], named: Sequence[WordMatch]) -> list[Candidate]:
    """Reciprocal rank fusion of the ranking by vectors (the given order) with the ranking by words.

    A recording that carries all words of the query ranks as if it were first in a second list; one that carries part
    of them gains by the square of that part. Recordings that are named alike keep the order of their vectors. A file
    whose name is the query comes before all others: who types a whole name wants that file.
    """
    share = {match.clip_id: match.score for match in named}
    first = {match.clip_id for match in named if match.named}
    gain = {
        c.clip_id: 1.0 / (RRF + rank) + share.get(c.clip_id, 0.0) ** 2 / (RRF + 1) + (c.clip_id in first)
        for rank, c in enumerate(candidates, start=1)
    }
    order = {c.clip_id: rank for rank, c in enumerate(candidates)}
    return sorted(candidates, key=lambda c: (-gain[c.clip_id], order[c.clip_id]))
