"""What a search returns. ``Hit.to_json`` is its only JSON form: the command line, the API and MCP all use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from askaudio.core.types import Json
from askaudio.index.bookkeeping import Stamp
from askaudio.moments.moment import Moment

# matches from which a hit is called a strong, good or possible match; the page has the same numbers in results.js
STRONG, GOOD, POSSIBLE = 60.0, 40.0, 20.0
NOTHING_FITS = "Nothing here fits well; these are the nearest sounds."


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording that answers the query; ``score`` is the best cosine inside it."""

    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True)
class Twin:
    """A near-identical take that was folded into a hit; ``similarity`` is the cosine between the two."""

    clip_id: str
    path: str
    similarity: float
    duration_s: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    format: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One clip that answers a query; ``match`` (0-100) is for people, ``score`` is the cosine.

    Attributes:
        rank: 1 for the best.
        clip_id: Id in the collection; it stays the same while the file keeps its path.
        path: The file, absolute.
        score: Cosine between the query and the clip's best window, in [-1, 1].
        match: 0-100. For a model that was measured (``small``, ``efficientat``) the probability in percent that the
            hit is right; for others, how clearly it stands out from the collection (50 is clear, under 20 is noise).
        start_s: Start of the best segment, in seconds.
        end_s: End of the best segment, in seconds.
        segments: All segments that answer the query, best first.
        words: Words of the query that occur in the clip's name, tags or caption.
        twins: Near-identical takes that were folded into this hit.
        moments: Stretches that answer the query to about 0.3 s, best first; empty unless the search asks for them.
        metadata: Facts about the recording: duration_s, channels, sample_rate_hz, tags, caption, ...

    Example:
        >>> hit = Hit(rank=1, clip_id="4be1", path="/sounds/rain.wav", score=0.41, match=88.0, start_s=2.0, end_s=12.0)
        >>> f"{hit.path} from {hit.start_s:.0f} to {hit.end_s:.0f} s"
        '/sounds/rain.wav from 2 to 12 s'
        >>> hit.to_json()["match"]
        88.0
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
    moments: tuple[Moment, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """All fields, as JSON has them."""
        return _to_json(self)


class Hits(list[Hit]):
    """Hits, best first, and what a user should know about the whole answer.

    Args:
        hits: Best first.
        notes: Sentences about the query, for example that the model does not know its words.

    Attributes:
        notes: The same.
        fits: False if no hit is a possible match and none carries the words of the query.
    """

    def __init__(self, hits: Iterable[Hit] = (), notes: tuple[str, ...] = ()) -> None:
        super().__init__(hits)
        self.notes = notes
        self.fits = any(hit.match >= POSSIBLE or hit.words for hit in self)


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """One stored clip.

    Attributes:
        clip_id: Id in the collection.
        path: The file, absolute.
        windows: Number of windows that are stored for it.
        metadata: Facts about the recording.
        stamp: State of the file when it was indexed; not part of the JSON.
    """

    clip_id: str
    path: str
    windows: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    stamp: Stamp | None = None

    def to_json(self) -> Json:
        """All fields but the stamp, as JSON has them."""
        return {"clip_id": self.clip_id, "path": self.path, "windows": self.windows, "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class CaptionHit:
    """One stored caption that describes a sound: the audio-to-text direction."""

    rank: int
    caption: str
    score: float
    clip_id: str

    def to_json(self) -> Json:
        """All fields, as JSON has them."""
        return _to_json(self)


def _to_json(value: Any) -> Any:
    """Dataclasses as dicts and tuples as lists; unlike ``dataclasses.asdict`` without copying the metadata deeply."""
    if is_dataclass(value):
        return {f.name: _to_json(getattr(value, f.name)) for f in fields(value)}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value
