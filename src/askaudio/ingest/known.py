"""What a store holds of each recording: enough to decide whether its file has changed."""

from __future__ import annotations

from dataclasses import dataclass

from askaudio.index.bookkeeping import Bookkeeping, Stamp
from askaudio.index.store import VectorStore
from askaudio.measurements.meter import RULES


@dataclass(slots=True)
class Known:
    """What the store holds of one clip."""

    path: str
    stamp: Stamp | None
    content_hash: str
    whole: bool  # all its windows are stored, and they come from one content
    measured: bool  # its samples were measured by the present rules


def read_known(store: VectorStore) -> dict[str, Known]:
    """All recordings of a store, by clip_id."""
    found: dict[str, Known] = {}
    for clip in store.clips():
        noted = Bookkeeping.of(clip.metadata)
        whole = clip.windows == noted.windows and clip.clip_id not in found
        found[clip.clip_id] = Known(clip.path, noted.stamp, noted.content_hash, whole, noted.measured == RULES)
    return found
