"""Vectors of files that are to be tagged: from the collection where it has them, else encoded now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from askaudio.core.errors import AskAudioError
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.encoder import Encoder, pool_windows
from askaudio.encoders.recording import READ_ERRORS, encode_recording, reason_of
from askaudio.index.bookkeeping import Bookkeeping
from askaudio.index.entries import Entry
from askaudio.index.filters import clips_are
from askaudio.index.store import VectorStore
from askaudio.ingest.walk import clip_id_of, stamp_of

_AT_ONCE = 500


def stored_vectors(store: VectorStore, where: str | None, progress: Progress = silent) -> dict[str, FloatArray]:
    """Path -> vector (D,) of the recordings of a collection.

    Args:
        store: Open collection.
        where: A filter.
        progress: Called with entries read.
    """
    tree = store.check_filter(where)
    sums: dict[str, FloatArray] = {}
    total = store.count(tree)
    for number, entry in enumerate(store.iterate(tree), start=1):
        sums[entry.path] = sums.get(entry.path, np.float32(0)) + entry.vector
        if not number % _AT_ONCE:
            progress(number, total, "reading vectors")
    return {path: pool_windows(row[None]) for path, row in sums.items()}


def file_vectors(
    paths: Sequence[str], encoder: Encoder, store: VectorStore | None, progress: Progress = silent
) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Path -> vector (D,) of files, and path -> reason for those that cannot be read.

    Args:
        paths: The files.
        encoder: Encodes what the collection does not have; the collection holds its vectors.
        store: Open collection; None to encode all files.
        progress: Called after each file.
    """
    found: dict[str, FloatArray] = {}
    broken: dict[str, str] = {}
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        if store is not None:
            found |= _unchanged(store, some)
        for number, path in enumerate(some, start=start + 1):
            if path not in found:
                try:
                    found[path] = encode_recording(encoder, path, partial=True).pooled
                except (*READ_ERRORS, AskAudioError) as error:
                    broken[path] = reason_of(error)
            progress(number, len(paths), "encoding")
    return found, broken


def _unchanged(store: VectorStore, paths: Sequence[str]) -> dict[str, FloatArray]:
    """Vectors of files that have not changed since they were indexed."""
    windows: dict[str, list[Entry]] = {}
    for entry in store.iterate(clips_are([clip_id_of(path) for path in paths])):
        windows.setdefault(entry.path, []).append(entry)
    found = {}
    for path, entries in windows.items():
        noted, now = Bookkeeping.of(entries[0].metadata).stamp, stamp_of(path)
        same = noted is not None and now is not None and now.modified_ns == noted.modified_ns
        if same and now is not None and noted is not None and now.size_bytes == noted.size_bytes:
            found[path] = pool_windows(np.stack([entry.vector for entry in entries]))
    return found
