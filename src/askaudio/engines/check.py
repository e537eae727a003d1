"""Find faults of a collection, and repair what can be repaired without the audio files.

A check reads every byte once: some seconds for 100,000 entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import Json, Progress, silent
from askaudio.engines.copy import delete_entries
from askaudio.engines.local.store import EmbeddedStore
from askaudio.index.bookkeeping import Bookkeeping
from askaudio.index.entries import Entry
from askaudio.index.scans import scan_clips
from askaudio.index.store import VectorStore

_EVERY = 1000  # entries between two reports of progress


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        what: Description, with the entry or file.
        entry_ids: Entries to remove, so that ``askaudio index`` encodes them again; empty for a fault of a file.
        damaged: Whether stored bytes have changed, so that other bytes of the same file may be wrong too.
    """

    what: str
    entry_ids: tuple[str, ...] = ()
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a check.

    Attributes:
        entries: Number of rows that were read.
        faults: What is wrong.
        without_checksum: Rows that an older version wrote, so that a changed bit in them cannot be found; ``repair``
            adds their checksums.
    """

    entries: int
    faults: list[Fault]
    without_checksum: int = 0


def examine(store: VectorStore, progress: Progress = silent) -> Report:
    """Find damaged rows and files, recordings with missing windows, and a cache that is older than its table.

    Rows are read from the table and compared with their checksums; the cache is compared with its own.

    Args:
        store: Open for reading or writing.
        progress: Called with the number of entries read, and of all.
    """
    faults: list[Fault] = []
    sound: list[Entry] = []
    entries = without_checksum = 0
    total = _count(store)
    try:
        for entries, row in enumerate(store.audit(), start=1):
            without_checksum += not row.verified
            if what := row.fault or _vector_fault(row.entry):
                name = f"{row.entry.entry_id} ({row.entry.path})"
                faults.append(Fault(f"{name}: {what}", (row.entry.entry_id,), damaged=bool(row.fault)))
            else:
                sound.append(
                    Entry(row.entry.entry_id, row.entry.clip_id, _NO_VECTOR, 0, 0, row.entry.path, row.entry.metadata)
                )
            if entries % _EVERY == 0:
                progress(entries, total)
        faults += _incomplete(sound)
    except IndexStoreError as error:
        faults.append(Fault(f"the content cannot be read: {error}", damaged=True))
    if isinstance(store, EmbeddedStore):
        faults += [Fault(what, damaged=True) for what in store.table_faults()]
        faults += [Fault(what) for what in store.cache_faults()]
    return Report(entries, faults, without_checksum)


def check(store: VectorStore, progress: Progress = silent) -> list[Fault]:
    """The faults that ``examine`` finds.

    Args:
        store: Open for reading or writing.
        progress: Called with the number of entries read, and of all.
    """
    return examine(store, progress).faults


_NO_VECTOR = np.zeros(0, np.float32)


def _count(store: VectorStore) -> int:
    """Number of entries, for the progress bar; 0 if damage prevents counting."""
    try:
        return store.count()
    except IndexStoreError:
        return 0


def _vector_fault(entry: Entry) -> str:
    length = float(np.linalg.norm(entry.vector))
    fine = np.isfinite(entry.vector).all() and (abs(length - 1.0) < 1e-3 or length == 0.0)
    return "" if fine else f"vector of length {length:.3f}"


def _incomplete(entries: list[Entry]) -> list[Fault]:
    """Recordings whose entries are fewer or more than they say."""
    of_clip: dict[str, list[str]] = {}
    for entry in entries:
        of_clip.setdefault(entry.clip_id, []).append(entry.entry_id)
    faults = []
    for clip in scan_clips(entries):
        windows = Bookkeeping.of(clip.metadata).windows
        if windows is not None and windows != clip.windows:
            what = f"{clip.clip_id} ({clip.path}): {clip.windows} of {windows} windows"
            faults.append(Fault(what, tuple(of_clip[clip.clip_id])))
    return faults


def repair(store: VectorStore, faults: Iterable[Fault]) -> Json:
    """Restore or remove damaged entries, rebuild the cache, and add missing checksums.

    A damaged table of a folder is written again from its cache, if that is intact and up to date: then no entry is
    lost. Without such a cache, damaged entries are removed; ``askaudio index`` encodes them again.

    Args:
        store: Open for writing.
        faults: Result of ``check``.

    Returns:
        ``removed_entries`` (a number), ``rebuilt_cache`` and ``rebuilt_table`` (bools).

    Raises:
        IndexStoreError: The table cannot be read, and there is no intact cache.
    """
    faults = list(faults)
    bad = {key for fault in faults for key in fault.entry_ids}
    rebuilt_table = isinstance(store, EmbeddedStore) and any(fault.damaged for fault in faults)
    if isinstance(store, EmbeddedStore):
        if not rebuilt_table:
            store.rebuild_cache()
        elif store.rebuild_table():
            bad = set()  # the cache had them all
        if rebuilt_table:
            bad |= {key for fault in check(store) for key in fault.entry_ids}
    delete_entries(store, sorted(bad))
    _add_checksums(store)
    store.save()
    return {
        "removed_entries": len(bad),
        "rebuilt_cache": isinstance(store, EmbeddedStore),
        "rebuilt_table": rebuilt_table,
    }


def _add_checksums(store: VectorStore) -> None:
    """Write the entries again that have no checksum."""
    entries = (row.entry for row in store.audit() if not row.verified)
    while batch := list(islice(entries, _EVERY)):
        store.add(batch)
