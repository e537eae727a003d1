"""Copy a collection from one engine to another, entry by entry.

A copy that was interrupted is continued by copying again: entries are replaced by id.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import Progress, silent
from askaudio.engines.open import check_identity
from askaudio.index.entries import Entry
from askaudio.index.filters import Compare
from askaudio.index.store import VectorStore

_BATCH = 1000


def copy(source: VectorStore, target: VectorStore, progress: Progress = silent) -> int:
    """Make ``target`` hold what ``source`` holds; entries that only the target has are removed.

    Args:
        source: Open for reading or writing.
        target: Open for writing.
        progress: Called with the number of entries copied, and of all.

    Returns:
        Number of entries in the target.

    Raises:
        IndexStoreError: The target holds vectors of another encoder.
    """
    check_identity(target.identity, source.identity, target.url)
    return fill(target, source.iterate(), source.count(), progress)


def fill(target: VectorStore, entries: Iterator[Entry], total: int, progress: Progress = silent) -> int:
    """Make ``target`` hold some entries and no others.

    Args:
        target: Open for writing.
        entries: The entries, with vectors.
        total: Their number.
        progress: Called with the number of entries written, and ``total``.

    Returns:
        ``total``.

    Raises:
        IndexStoreError: Another process writes to the target meanwhile.
    """
    kept: set[str] = set()
    while batch := list(islice(entries, _BATCH)):
        target.add(batch)
        kept.update(entry.entry_id for entry in batch)
        progress(len(kept), total)
    surplus = [e.entry_id for e in target.iterate(vectors=False) if e.entry_id not in kept]
    delete_entries(target, surplus)
    target.save()
    if target.count() != total:
        raise IndexStoreError(
            f"{target.url} holds {target.count()} entries after copying {total}: another process writes to it. "
            "Fix: copy again"
        )
    return total


def delete_entries(store: VectorStore, entry_ids: list[str]) -> None:
    """Remove entries by id, in batches: engines limit the length of a condition."""
    for start in range(0, len(entry_ids), _BATCH):
        store.delete(Compare("entry_id", "in", tuple(entry_ids[start : start + _BATCH])))
