"""What is found: clips in order, each with its best place in time; windows of one clip are merged into segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from askaudio.core.types import Json


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording that answers the query; ``score`` is the best cosine inside it."""

    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True)
class Twin:
    """Another take of a hit, so near to it that it is folded into it."""

    clip_id: str
    path: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One clip that answers a query.

    Attributes:
        rank: 1 for the best.
        clip_id: Id in the collection (stable while the file keeps its path).
        path: The file, absolute.
        score: Cosine between the query's positive part and the clip's best window, in [-1, 1].
        match: 0-100 for people: 50 stands out clearly from this collection, 90 is a strong match, under 20 is noise.
        start_s: Start of the best segment, in seconds.
        end_s: End of the best segment, in seconds.
        segments: All segments that answer the query, best first.
        words: Words of the query that stand in the clip's name, tags or caption.
        twins: Near-identical takes that were folded into this hit.
        metadata: What ingestion stored: duration_s, channels, sample_rate_hz, tags, caption, ...
    """

    rank: int
    clip_id: str
    path: str
    score: float
    match: float
    start_s: float
    end_s: float
    segments: tuple[Segment, ...] = ()
    words: tuple[str, ...] = ()
    twins: tuple[Twin, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """A JSON-able dict of all fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """One stored clip without a query: what the server shows and serves."""

    clip_id: str
    path: str
    windows: int
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """A JSON-able dict of all fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CaptionHit:
    """One stored caption that describes a sound: the audio-to-text direction."""

    rank: int
    caption: str
    score: float
    clip_id: str
