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

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from askaudio.core.errors import IndexStoreError
from askaudio.core.files import read_json, write_json
from askaudio.core.types import FloatArray
from askaudio.engines.lance_table import LanceTable
from askaudio.engines.local.cache import Cache, empty_view, newest_version
from askaudio.engines.local.view import View
from askaudio.engines.writer_lock import WriterLock
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, StoredClip
from askaudio.index.filters import Filter
from askaudio.index.store import VectorStore
from askaudio.index.words import WordMatch

_PENDING = 20_000  # largest number of changes that a writer keeps in memory; beyond it, they are read from disk
_LOOK_EVERY_S = 1.0  # a reader looks for a new version at most this often
_LOOK_SHARE = 5.0  # and, if reading a new version took t seconds, not before this times t has passed
_UNKNOWN = "unknown"  # no version has this name


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

    def _create(self, identity: Identity) -> None:
        """Create the table, then collection.json: if a crash separates the two, the next open continues here."""
        lance = LanceTable(str(self._folder))
        if lance.exists():
            lance.open()
        else:
            lance.create(identity)
        self._lance_table = lance
        write_json(self._folder / "collection.json", {"engine": "lance", "identity": identity.to_json()})

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
        view = self._current()
        gone = [entry.entry_id for entry in view.iterate(where, vectors=False)]
        if gone:
            self._lance().delete(where)
            self._view = view.changed([], [], gone)
            self._at = newest_version(self._folder)
        return len(gone)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        with self.lock:
            view = self._current()
        return view.iterate(where, vectors)  # a view never changes, so iteration needs no lock

    def version(self) -> str:
        """For a writer, the newest version on disk; for a reader, the version that it reads."""
        if self.mode == "w":
            return newest_version(self._folder)
        with self.lock:
            self._current()
            return self._at

    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        return self._current().search(vectors, top_k, where)

    def _best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        return self._current().best_windows(query, clip_ids, each)

    def _find_words(self, words: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        return self._current().find_words(words, names, top_k, where)

    def _clips(self, where: Filter | None, offset: int, limit: int | None) -> list[StoredClip]:
        return self._current().clips(where, offset, limit)

    def _get(self, entry_ids: Sequence[str]) -> list[Entry]:
        return self._current().get(entry_ids)

    def _count(self, where: Filter | None) -> int:
        return self._current().count(where)

    def _count_clips(self) -> int:
        return self._current().clip_count

    def _sample(self, count: int) -> FloatArray:
        return self._current().sample(count)

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
        """Differences between cache and table, as sentences."""
        with self.lock:
            cached_at, cached = self._cache.load()
            if cached_at != newest_version(self._folder):
                return ["the search cache is missing or older than the table: search is slow, but correct"]
            if len(cached) != (count := self._lance().count(None)):
                return [f"the search cache holds {len(cached)} entries, the table {count}"]
            return []

    def rebuild_cache(self) -> None:
        """Build the cache again from the table."""
        self._must_write()
        with self.lock:
            (self._folder / "cache" / "current.json").unlink(missing_ok=True)
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
        _, cached = self._cache.load()
        return self._cache.complete_small(cached, self._lance())

    def _follow(self, newest: str) -> View:
        """The view of a version: the cache if it is of this version, else the nearest known view and the changes."""
        if not newest:
            return empty_view(self.identity.embed_dim)
        stamp = self._cache.stamp()
        view = self._view
        if view is None or stamp != self._stamp:  # a cache that was published meanwhile is nearer than the own view
            cached_at, view = self._cache.load()
            self._stamp = stamp
            if cached_at == newest:
                return view
        return self._cache.complete(view, self._lance())


def read_identity(folder: Path) -> tuple[str, Identity] | None:
    """(engine, identity) of the collection in a folder; None if there is no collection."""
    path = folder / "collection.json"
    if not path.exists():
        return None
    value = read_json(path)
    if not isinstance(value, dict):
        raise IndexStoreError(f"{path} is damaged. Fix: run askaudio index again")
    return str(value.get("engine", "lance")), Identity.from_json(value.get("identity"), str(folder))
