"""Take folders or files out of a collection that are gone for good, without looking at the disk."""

from __future__ import annotations

import os
from pathlib import Path

from askaudio.index.entries import StoredClip
from askaudio.index.filters import clips_are
from askaudio.index.store import VectorStore
from askaudio.ingest.walk import absolute_roots, is_below

_AT_ONCE = 1000


def clips_below(store: VectorStore, path: str | Path) -> list[StoredClip]:
    """Recordings of a collection whose file is this path or lies below it, sorted by path.

    Args:
        store: The collection.
        path: A folder or file; it need not exist.
    """
    root = str(absolute_roots([path])[0])
    return sorted(
        (clip for clip in store.clips() if is_below(clip.path, root)), key=lambda clip: os.fsencode(clip.path)
    )


def forget(store: VectorStore, path: str | Path) -> int:
    """Remove the recordings below a path from a collection; the files themselves are not touched.

    Args:
        store: The collection, open for writing.
        path: A folder or file; it need not exist.

    Returns:
        Number of recordings removed.

    Example:
        >>> from askaudio.engines.open import open_store
        >>> with open_store("~/.askaudio/collection", "w") as store:  # doctest: +SKIP
        ...     forget(store, "/mnt/old")
        12
    """
    clips = list(dict.fromkeys(clip.clip_id for clip in clips_below(store, path)))
    remove_clips(store, clips)
    store.save()
    return len(clips)


def remove_clips(store: VectorStore, clip_ids: list[str]) -> None:
    """Delete all entries of recordings, a thousand recordings at a time."""
    for start in range(0, len(clip_ids), _AT_ONCE):
        store.delete(clips_are(clip_ids[start : start + _AT_ONCE]))
