"""Write the moments of hits to a file or a folder: ``askaudio search --moments --export-moments OUT``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.delivery.deliver import Delivery
    from askaudio.index.store import VectorStore
    from askaudio.search.hits import Hit

# end of the name of OUT -> kind of delivery; a name without one of these is a folder of WAV cuts
KINDS = {
    ".regions.csv": "regions", ".csv": "csv", ".tsv": "tsv", ".json": "json", ".txt": "labels", ".rpp": "rpp",
    ".otio": "otio", ".m3u8": "m3u", ".zip": "zip",
}  # fmt: skip


def export_moments(
    store: VectorStore, hits: Sequence[Hit], query: str, target: str, handles_s: float = 0.0
) -> Delivery:
    """Write all moments of the hits.

    Args:
        store: The collection.
        hits: Hits with moments.
        query: Text of the query: the name of each region and label.
        target: File or new folder; its name decides the kind.
        handles_s: Seconds to add before and after each WAV cut.

    Raises:
        ConfigError: There are no moments, or the target exists.
    """
    from askaudio.delivery.deliver import deliver
    from askaudio.projects.projects import NewItem

    items = [
        NewItem(hit.clip_id, round(moment.start_s, 3), round(moment.end_s, 3), f"{query} ({moment.score:.2f})")
        for hit in hits
        for moment in sorted(hit.moments, key=lambda moment: moment.start_s)
    ]
    if not items:
        raise ConfigError("no moments were found, so nothing is exported; try other words, or a larger --top")
    kind = next((kind for end, kind in KINDS.items() if target.lower().endswith(end)), "folder")
    return deliver(store, items, target, kind, handles_s=handles_s)
