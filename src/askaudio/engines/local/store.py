"""The default engine: a folder with a LanceDB table, which has the content, and a cache, which makes search fast.

One process writes, any number of processes read meanwhile. A reader sees a change after about a second. If a writer is
killed, the table contains every ``add`` that returned, and no part of another.

Costs: ``add`` is one commit (20-60 ms). ``save`` merges files and rebuilds the cache if much has changed (45 s and 2 GB
of memory for a million entries, under a second for 20,000).

How a read finds its state: ``_current`` returns the view of the newest version. A writer changes its view along with
the table, so it need not read anything back. A reader compares version names at most once a second and then reads the
cache or, if the cache is older than the table, what differs.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from askaudio.core.errors import DataError, IndexStoreError
from askaudio.core.types import FloatArray
from askaudio.engines.lance_table import TABLE, LanceTable
from askaudio.engines.local.cache import Cache, empty_view, newest_version
from askaudio.engines.local.view import View
from askaudio.engines.sealed import read_sealed, write_sealed
from askaudio.engines.writer_lock import WriterLock
from askaudio.index.checksum import AuditedRow
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, StoredClip
from askaudio.index.filters import IDS, NUMBERS, Compare, Filter, fields_of
from askaudio.index.store import VectorStore
from askaudio.index.words import WordMatch

_PENDING = 20_000  # largest number of changes that a writer keeps in memory; beyond it, they are read from disk
_LOOK_EVERY_S = 1.0  # a reader looks for a new version at most this often
_LOOK_SHARE = 5.0  # and, if reading a new version took t seconds, not before this times t has passed
_UNKNOWN = "unknown"  # no version has this name
_BATCH = 2_000  # entries in one commit of a rewritten table
_DESCRIPTION = ("engine", "identity", "files")  # keys of collection.json before it had a checksum
REPAIR = "repairing"  # folder of a table that is being rewritten
T = TypeVar("T")


class EmbeddedStore(VectorStore):
    """A collection in a folder.

    Args:
        folder: Folder of the collection.
        identity: Identity of the encoder; a new collection records it.
        mode: "r" or "w"; "w" takes the writer's lock and creates the collection if it does not exist.
    """

    def __init__(self, folder: Path, identity: Identity, mode: Mode = "r") -> None:
        super().__init__(str(folder), identity, mode)
        self.capabilities = Capabilities(
            durable_add=True, snapshots=True, readers_while_writing=True, writers=1, approximate=True
        )
        self._folder = folder
        self._lance_table: LanceTable | None = None
        self._cache = Cache(folder, identity.embed_dim)
        self._pending: dict[str, tuple[Entry, int]] = {}  # written to the table, not yet in the view
        self._lock = WriterLock(folder / ".writer.lock") if mode == "w" else None
        if mode == "w" and not (folder / "collection.json").exists():
            self._create(identity)
        self._view: View | None = None
        self._at = _UNKNOWN  # the version of the table that the view shows
        self._stamp = ""  # content of current.json when the view was loaded
        self._next_look = 0.0
        self._last_seq = 0
        self._refused = ""  # stamp of a cache that was found to be damaged

    def _create(self, identity: Identity) -> None:
        """Create the table, then collection.json: if a crash separates the two, the next open continues here."""
        lance = LanceTable(str(self._folder))
        if lance.exists():
            lance.open()
        else:
            lance.create(identity)
        self._lance_table = lance
        self._write_description()

    def _write_description(self) -> None:
        write_sealed(self._folder / "collection.json", {"engine": "lance", "identity": self.identity.to_json()})

    # --- methods of an engine ---------------------------------------------------------------------------------
    def _upsert(self, entries: list[Entry]) -> None:
        # the clock makes it larger than those of earlier processes; two calls may read the same time, hence the + 1
        self._last_seq = max(self._last_seq + 1, time.time_ns())
        up_to_date = self._view_is_newest()  # before the commit makes a newer version
        self._lance().upsert(entries, self._last_seq, self.identity.embed_dim)
        if not up_to_date:
            return  # the next read brings the view up to date, with these entries
        # Not applied to the view yet: that sorts the whole delta, too slow to do for each of many adds in a row.
        self._pending.update((e.entry_id, (e, self._last_seq)) for e in entries)
        self._at = newest_version(self._folder)
        if len(self._pending) > _PENDING:
            self._forget()

    def _delete(self, where: Filter) -> int:
        gone = [entry.entry_id for entry in self._iterate(where, vectors=False)]
        if gone:
            view = self._current()
            # older entries of the table have texts by older rules; the view compares by the present ones
            by_text = fields_of(where) - {*IDS, *NUMBERS}
            self._lance().delete(Compare("entry_id", "in", tuple(gone)) if by_text else where)
            self._view = view.changed([], [], gone)
            self._at = newest_version(self._folder)
        return len(gone)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        with self.lock:
            entries = self._current().iterate(where, vectors)  # a view never changes, so iteration needs no lock
        last = ""
        while True:
            try:
                entry = next(entries, None)
            except Exception as error:
                with self.lock:
                    rest = self._without_damage(error).iterate(where, vectors)
                entries = (entry for entry in rest if entry.entry_id > last)
                continue
            if entry is None:
                return
            last = entry.entry_id
            yield entry

    def _audit(self) -> Iterator[AuditedRow]:
        return self._lance().audit()

    def version(self) -> str:
        """For a writer, the newest version on disk; for a reader, the version that it reads."""
        if self.mode == "w":
            return newest_version(self._folder)
        with self.lock:
            self._current()
            return self._at

    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        return self._answer(lambda view: view.search(vectors, top_k, where))

    def _best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        return self._answer(lambda view: view.best_windows(query, clip_ids, each))

    def _find_words(self, words: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        return self._answer(lambda view: view.find_words(words, names, top_k, where))

    def _clips(self, where: Filter | None, offset: int, limit: int | None) -> list[StoredClip]:
        return self._answer(lambda view: view.clips(where, offset, limit))

    def _clip_ids(self, where: Filter | None) -> list[str]:
        return self._answer(lambda view: view.clip_ids(where))

    def _fields(self) -> set[str]:
        return self._answer(lambda view: view.fields())

    def _get(self, entry_ids: Sequence[str]) -> list[Entry]:
        return self._answer(lambda view: view.get(entry_ids))

    def _count(self, where: Filter | None) -> int:
        return self._answer(lambda view: view.count(where))

    def _count_clips(self) -> int:
        return self._answer(lambda view: view.clip_count)

    def _sample(self, count: int) -> FloatArray:
        return self._answer(lambda view: view.sample(count))

    # --- keeping ----------------------------------------------------------------------------------------------
    def save(self) -> None:
        """Merge the files of the table and write the cache, so that the next open and search are fast."""
        self._must_write()
        with self.lock:
            if self._cache.version() == newest_version(self._folder):
                return  # nothing has changed since the last save
            view = self._for_saving()
            self._lance().optimize()
            try:
                self._view = self._cache.publish(view, self._lance())
            except OSError as error:
                raise IndexStoreError(
                    f"{self.url}: cannot write the search cache ({error}); all entries are safe. "
                    f"Fix: free disk space, then: askaudio collection repair --collection {self.url}"
                ) from error
            self._at = newest_version(self._folder)

    def _snapshot(self, name: str) -> None:
        self._lance().snapshot(name)

    def snapshots(self) -> list[str]:
        """Names of the snapshots, sorted."""
        with self.lock:
            return self._lance().snapshots()

    def _restore(self, name: str) -> None:
        # First the mark, then the table: after a crash between the two, the mark only costs time. In the other order,
        # readers could take a stale cache for an up-to-date one.
        self._cache.will_go_back()
        self._lance().restore(name)
        self._forget()

    def cache_faults(self) -> list[str]:
        """Damage of the cache, as sentences: every byte of it is read."""
        with self.lock:
            if faults := self._cache.faults():
                return faults
            if self._cache.version() != newest_version(self._folder):
                return ["the search cache is missing or older than the table: search is slow, but correct"]
            return []

    def table_faults(self) -> list[str]:
        """Damage of the table's files and of collection.json, as sentences."""
        path = self._folder / "collection.json"
        faults = self._cache.table_faults()
        try:
            read_sealed(path, _DESCRIPTION)
        except DataError as error:
            faults.append(str(error))
        return faults

    def rebuild_table(self) -> bool:
        """Write the table again: from the cache if that is intact and up to date, else from the table's sound rows.

        Snapshots are lost: their files may have the same damage.

        Returns:
            Whether it was written from the cache, so that no entry is lost.
        """
        self._must_write()
        with self.lock:
            at, view = "", None
            if not self._cache.faults():
                at, view = self._cache.load(thorough=True)
            intact = view is not None and at == newest_version(self._folder) != ""
            if view is not None and intact:
                entries = view.iterate(None, vectors=True)
            else:
                entries = (row.entry for row in self._lance().audit() if not row.fault)
            self._replace_table(entries)
            self._write_description()
            self._cache.forget_table_files()
            self.rebuild_cache()
            return intact

    def _replace_table(self, entries: Iterator[Entry]) -> None:
        """Write entries into a new table beside the old one, then exchange the two by renaming."""
        work, place = self._folder / REPAIR, self._folder / f"{TABLE}.lance"
        shutil.rmtree(work, ignore_errors=True)
        table = LanceTable(str(work))
        table.create(self.identity)
        while batch := list(islice(entries, _BATCH)):
            self._last_seq = max(self._last_seq + 1, time.time_ns())
            table.upsert(batch, self._last_seq, self.identity.embed_dim)
        self._lance_table = None
        if place.exists():
            place.rename(work / "damaged.lance")
        finish_exchange(self._folder)

    def rebuild_cache(self) -> None:
        """Build the cache again from the table."""
        self._must_write()
        with self.lock:
            self._cache.drop()
            self._forget()
            self.save()

    def close(self) -> None:
        """Release the lock and the memory; everything added is on disk already."""
        with self.lock:
            self._view, self._lance_table = None, None
            self._at = _UNKNOWN
            if self._lock is not None:
                self._lock.release()

    # --- internals --------------------------------------------------------------------------------------------
    def _lance(self) -> LanceTable:
        """The table, opened when it is first needed."""
        if self._lance_table is None:
            if self.mode == "w":
                finish_exchange(self._folder)
            lance = LanceTable(str(self._folder))
            lance.open()
            self._lance_table = lance
        return self._lance_table

    def _view_is_newest(self) -> bool:
        """Whether view and pending changes together show the newest version of the table."""
        return self._view is not None and self._at == newest_version(self._folder)

    def _forget(self) -> None:
        """Drop the view; the next read loads it from disk."""
        self._view, self._at = None, _UNKNOWN
        self._pending.clear()

    def _answer(self, work: Callable[[View], T]) -> T:
        """Read from the newest view; if damage of the cache prevents it, once more without the cache.

        Large files of the cache are not verified when they are opened, so their damage shows when they are read: as a
        text that is not JSON, an offset outside of a file, or a vector that does not match its checksum.
        """
        view = self._current()
        try:
            return work(view)
        except Exception as error:
            return work(self._without_damage(error))

    def _without_damage(self, error: Exception) -> View:
        """The newest view without a damaged cache.

        Raises:
            Exception: ``error``, if the cache is not damaged.
        """
        if self._refused or not self._cache.faults():
            raise error
        self._refused = self._cache.stamp()
        self._forget()
        return self._current()

    def _current(self) -> View:
        """The view of the newest version; a reader looks for a newer one at most once a second."""
        if self._view is not None and self._pending:
            entries, seqs = zip(*self._pending.values(), strict=True)
            self._view = self._view.changed(entries, seqs, gone=())
            self._pending.clear()
        now = time.monotonic()
        # the lock makes a writer the only one: its own view cannot be outdated
        if self._view is not None and (self.mode == "w" or now < self._next_look):
            return self._view
        newest = newest_version(self._folder)
        if self._view is None or newest != self._at:
            self._view = self._follow(newest)
            self._at = newest
        took = time.monotonic() - now
        self._next_look = now + took + max(_LOOK_EVERY_S, _LOOK_SHARE * took)  # following a busy writer stays cheap
        return self._view

    def _for_saving(self) -> View | None:
        """The newest view; None if so much differs from the cache that the base is built from the table anyway."""
        if self._view_is_newest():
            return self._current()
        _, cached = self._load_cache(self._cache.stamp())
        return self._cache.complete_small(cached, self._lance())

    def _follow(self, newest: str) -> View:
        """The view of a version: the cache if it is of this version, else the nearest known view and the changes."""
        if not newest:
            return empty_view(self.identity.embed_dim)
        stamp = self._cache.stamp()
        view = self._view
        if view is None or stamp != self._stamp:  # a cache that was published meanwhile is nearer than the own view
            cached_at, view = self._load_cache(stamp)
            self._stamp = stamp
            if cached_at == newest:
                return view
            if not cached_at and self.mode == "w" and self._cache.exists():
                # damaged: built again before anything is decided by it; a full disk leaves the slow way
                with contextlib.suppress(OSError):
                    return self._cache.publish(None, self._lance())
        return self._cache.complete(view, self._lance())

    def _load_cache(self, stamp: str) -> tuple[str, View]:
        """The cache, unless this publication was found to be damaged."""
        if self._refused and self._refused == stamp:
            return "", empty_view(self.identity.embed_dim)
        self._refused = ""
        return self._cache.load(thorough=self.mode == "w")


def finish_exchange(folder: Path) -> None:
    """Put a rewritten table in its place, also after a crash between the two renames of ``rebuild_table``."""
    work, place = folder / REPAIR, folder / f"{TABLE}.lance"
    if not place.exists() and (work / f"{TABLE}.lance").exists():
        (work / f"{TABLE}.lance").rename(place)
        shutil.rmtree(work, ignore_errors=True)


def read_identity(folder: Path) -> tuple[str, Identity] | None:
    """(engine, identity) of the collection in a folder; None if there is no collection.

    If collection.json is damaged, the identity is read from the table, which has a copy of it.
    """
    path = folder / "collection.json"
    if not path.exists():
        return None
    try:
        value, _ = read_sealed(path, _DESCRIPTION)
        return str(value.get("engine", "lance")), Identity.from_json(value.get("identity"), str(folder))
    except (DataError, IndexStoreError) as error:
        if not (folder / f"{TABLE}.lance").exists() or "newer askaudio" in str(error):
            raise IndexStoreError(f"{error}. Fix: run askaudio index again into a new collection") from error
        return "lance", LanceTable(str(folder)).open()
