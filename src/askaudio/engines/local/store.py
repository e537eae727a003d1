"""The default store: a folder with a LanceDB table (the record: atomic commits, versions) and a cache for speed.

One process writes, any number read meanwhile; a reader follows the writer within a second or so. Killed at any moment,
the table holds every finished ``add`` and none by halves. Costs: ``add`` one commit (20-60 ms); ``save`` merges files
and rebuilds the cache when much has changed (45 s and 2 GB of memory at a million entries, under a second at 20,000).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from askaudio.core.errors import IndexStoreError
from askaudio.core.files import read_json, write_json
from askaudio.core.types import FloatArray
from askaudio.engines.lance import LanceTable
from askaudio.engines.local.cache import Cache, empty_view, newest_version
from askaudio.engines.local.view import View
from askaudio.engines.lock import WriterLock
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, StoredClip
from askaudio.index.filters import Filter
from askaudio.index.store import VectorStore
from askaudio.index.words import WordMatch

_PENDING = 20_000  # so many changes are kept in memory for reading them back at once; beyond, they are read from disk
_LOOK_EVERY_S = 1.0
_LOOK_SHARE = 5.0  # after a look that took t, the next comes t times this later at the earliest


class EmbeddedStore(VectorStore):
    """A collection in a folder.

    Args:
        folder: Of the collection.
        identity: Of the encoder; for a new collection what it shall remember.
        mode: "r" or "w"; "w" takes the writer's lock and makes the collection when there is none.
    """

    def __init__(self, folder: Path, identity: Identity, mode: Mode = "r") -> None:
        super().__init__(str(folder), identity, mode)
        self.capabilities = Capabilities(
            durable_add=True, snapshots=True, readers_while_writing=True, writers=1, approximate=True
        )
        self._folder = folder
        self._lance_table: LanceTable | None = None
        self._cache = Cache(folder, identity.embed_dim)
        self._pending: dict[str, tuple[Entry, int]] = {}
        self._lock = WriterLock(folder / ".writer.lock") if mode == "w" else None
        if mode == "w" and not (folder / "collection.json").exists():
            self._create(identity)
        self._view: View | None = None
        self._at = "never looked"  # the version that the view stands for
        self._stamp = ""  # the cache that the view was loaded from
        self._next_look = 0.0
        self._last_seq = 0

    def _create(self, identity: Identity) -> None:
        """Make the table first: a folder without collection.json is no collection yet, and is made anew."""
        lance = LanceTable(str(self._folder))
        if lance.exists():
            lance.open()
        else:
            lance.create(identity)
        self._lance_table = lance
        write_json(self._folder / "collection.json", {"engine": "lance", "identity": identity.to_json()})

    # --- verbs ------------------------------------------------------------------------------------------------
    def _upsert(self, entries: list[Entry]) -> None:
        self._last_seq = max(self._last_seq + 1, time.time_ns())
        pending = self._known_before_write()
        self._lance().upsert(entries, self._last_seq, self.identity.embed_dim)
        if not pending:
            return
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

    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        return self._current().search(vectors, top_k, where)

    def _best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        return self._current().best_windows(query, clip_ids, each)

    def _find_words(self, wanted: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        return self._current().find_words(wanted, names, top_k, where)

    def get(self, entry_ids: Sequence[str]) -> list[Entry]:
        """Entries of these ids in this order; unknown ids are left out."""
        with self.lock:
            return self._current().get(entry_ids)

    def _count(self, where: Filter | None) -> int:
        return self._current().count(where)

    def count_clips(self) -> int:
        """Number of recordings."""
        with self.lock:
            return self._current().clip_count

    def _clips(self, where: Filter | None, offset: int = 0, limit: int | None = None) -> list[StoredClip]:
        return self._current().clips(where, offset, limit)

    def sample(self, count: int) -> FloatArray:
        """Up to ``count`` stored vectors (M, D), spread evenly over the ids."""
        with self.lock:
            return self._current().sample(count)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        with self.lock:
            view = self._current()
        return view.iterate(where, vectors)

    def version(self) -> str:
        """Name of the newest version on disk; of the one that is being read, for a reader."""
        if self.mode == "w":
            return newest_version(self._folder)
        with self.lock:
            self._current()
            return self._at

    # --- keeping ----------------------------------------------------------------------------------------------
    def save(self) -> None:
        """Tidy the table and make the next open and search fast."""
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
                    f"Mend: free disk space, then: askaudio collection repair {self.url}"
                ) from error
            self._at = newest_version(self._folder)

    def snapshot(self, name: str) -> None:
        """Keep the present content under a name."""
        self._must_write()
        with self.lock:
            self._lance().snapshot(name)

    def snapshots(self) -> list[str]:
        """Names of the kept snapshots."""
        with self.lock:
            return self._lance().snapshots()

    def restore(self, name: str) -> None:
        """Go back to a snapshot."""
        self._must_write()
        with self.lock:
            if name not in self.snapshots():
                have = ", ".join(self.snapshots()) or "none"
                raise IndexStoreError(f"{self.url} has no snapshot {name!r}; it has: {have}")
            self._cache.will_go_back()
            self._lance().restore(name)
            self._forget()

    def cache_faults(self) -> list[str]:
        """Where the cache differs from the table, in words."""
        with self.lock:
            cached_at, cached = self._cache.load()
            if cached_at == newest_version(self._folder) and len(cached) != self._lance().count(None):
                return [f"the search cache holds {len(cached)} entries, the table {self._lance().count(None)}"]
            if cached_at != newest_version(self._folder):
                return ["the search cache is missing or older than the table: searching is slow, but right"]
            return []

    def rebuild_cache(self) -> None:
        """Make the cache anew from the table: the mend for a damaged one."""
        self._must_write()
        with self.lock:
            (self._folder / "cache" / "current.json").unlink(missing_ok=True)
            self._forget()
            self.save()

    def close(self) -> None:
        """Let go of the lock and the memory; everything added is on disk already."""
        with self.lock:
            self._view, self._lance_table = None, None
            self._at = "never looked"
            if self._lock is not None:
                self._lock.release()

    # --- inside -----------------------------------------------------------------------------------------------
    def _lance(self) -> LanceTable:
        if self._lance_table is None:
            lance = LanceTable(str(self._folder))
            lance.open()
            self._lance_table = lance
        return self._lance_table

    def _known_before_write(self) -> bool:
        """Whether memory mirrors the table right now, so that a write may be mirrored too."""
        return self._view is not None and self._at == newest_version(self._folder)

    def _forget(self) -> None:
        self._view, self._at = None, "never looked"
        self._pending.clear()

    def _current(self) -> View:
        """The view of the newest version; readers look for a newer one at most once a second."""
        if self._view is not None and self._pending:
            entries, seqs = zip(*self._pending.values(), strict=True)
            self._view = self._view.changed(entries, seqs, gone=())
            self._pending.clear()
        now = time.monotonic()
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
        """The newest view; None when so much differs from the cache that it is built from the table anyway."""
        if self._known_before_write():
            return self._current()
        _, cached = self._cache.load()
        return self._cache.complete_small(cached, self._lance())

    def _follow(self, newest: str) -> View:
        if not newest:
            return empty_view(self.identity.embed_dim)
        stamp = self._cache.stamp()
        view = self._view
        if view is None or stamp != self._stamp:
            cached_at, view = self._cache.load()
            self._stamp = stamp
            if cached_at == newest:
                return view
        return self._cache.complete(view, self._lance())


def read_identity(folder: Path) -> tuple[str, Identity] | None:
    """(engine, identity) of the collection in a folder, None when there is none."""
    path = folder / "collection.json"
    if not path.exists():
        return None
    value = read_json(path)
    if not isinstance(value, dict):
        raise IndexStoreError(f"{path} is damaged; mend: askaudio index the folder anew")
    return str(value.get("engine", "lance")), Identity.from_json(value.get("identity"), str(folder))
