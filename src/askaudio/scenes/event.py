"""Ground truth of a generated scene: its events in order, and their relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray, Json
from askaudio.data.manifest import Clip

# single: one event. sequence: one after the other, in list order. together: all sound at one moment.
# background: the first is louder than the others, which sound at the same time.
Relation = Literal["single", "sequence", "together", "background"]


@dataclass(frozen=True, slots=True)
class Event:
    """One sound in a scene.

    Args:
        label: Class of a recording or kind of a synthesised sound.
        start_s: Where it begins.
        end_s: Where it ends.
        attributes: What a caption may name, attribute -> value, such as ``{"pitch": "high", "count": "three"}``.
        gain_db: Loudness against the scene's reference loudness.
        recording: clip_id of the recording, or "" if synthesised.
        repeats: How often a short recording was played.
    """

    label: str
    start_s: float
    end_s: float
    attributes: Mapping[str, str] = field(default_factory=dict)
    gain_db: float = 0.0
    recording: str = ""
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip, its waveform (S,) float32 in [-1, 1], and the truth about it."""

    clip: Clip
    samples: FloatArray
    events: tuple[Event, ...]
    relation: Relation


def truth(events: tuple[Event, ...], relation: Relation) -> Json:
    """Ground truth as the manifest stores it beside the captions."""
    return {"relation": relation, "events": [asdict(event) for event in events]}


def events_of(clip: Clip) -> tuple[tuple[Event, ...], Relation]:
    """Read the truth of a generated clip back from its manifest row.

    Raises:
        DataError: The clip was not made by the scene generator.
    """
    rows: Any = clip.extra.get("events")
    if not isinstance(rows, list) or "relation" not in clip.extra:
        raise DataError(
            f"clip {clip.clip_id!r} has no 'events' and 'relation': its truth is not known. "
            "Make scenes that carry theirs with: askaudio data scenes OUT"
        )
    try:
        return tuple(Event(**row) for row in rows), clip.extra["relation"]
    except TypeError as error:
        raise DataError(f"clip {clip.clip_id!r}: an event is not what the scene generator writes ({error})") from error
