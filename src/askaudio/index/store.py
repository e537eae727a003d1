"""The contract of every engine: ``VectorStore``.

A store holds entries (one vector per window of a recording) and remembers which encoder made them; vectors of another
encoder are refused. Score = cosine similarity as float32; ties are ordered by smaller entry_id. ``engines/exact.py``
is the reference: every engine must return the same as it does.

Callers use the 20 public methods of ``VectorStore``. An engine implements four private ones: ``_upsert``, ``_delete``,
``_iterate`` and ``version``. Everything else has a default that reads all entries (``index/scans.py``); a fast engine
overrides what it can do better, ``_search`` first. Public methods check their input, parse the filter and take the
lock, so the private ones need none of that.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import FloatArray
from askaudio.index.accept import accept_entries, accept_queries
from askaudio.index.checksum import AuditedRow
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, StoredClip
from askaudio.index.filters import Compare, Filter, clips_are, parse_filter, unknown_field, unlisted_fields
from askaudio.index.scans import scan_best_windows, scan_clips, scan_search, scan_words
from askaudio.index.words import WordMatch, possible_names, spelled_words


class VectorStore(ABC):
    """A collection of entries. ``engines.open.open_store`` opens one; it is a context manager and thread-safe.

    Args:
        url: Address, for messages.
        identity: Identity of the encoder that made the vectors.
        mode: "r" to read, "w" to write.

    Attributes:
        capabilities: What the engine can do.
        lock: Held during every call; engines may take it again.
    """

    capabilities: Capabilities

    def __init__(self, url: str, identity: Identity, mode: Mode) -> None:
        self.url = url
        self.identity = identity
        self.mode = mode
        self.lock = threading.RLock()

    # --- what an engine must implement ------------------------------------------------------------------------
    @abstractmethod
    def _upsert(self, entries: list[Entry]) -> None:
        """Insert or replace entries, all or none. Their ids are unique and their vectors have length 1."""

    @abstractmethod
    def _delete(self, where: Filter) -> int:
        """Remove the entries that match a filter; return their number."""

    @abstractmethod
    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        """Entries that match a filter, ordered by id; without vectors, their ``vector`` has shape (0,)."""

    @abstractmethod
    def version(self) -> str:
        """A text that changes whenever the content changes: the key of caches."""

    # --- what an engine may do better than the default --------------------------------------------------------
    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        """Rank entries for each of (Q, D) rows of length 1."""
        return scan_search(self._iterate(where, vectors=True), vectors, top_k)

    def _best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        """The best windows of some recordings for a query (D,) of length 1."""
        return scan_best_windows(self._iterate(clips_are(clip_ids), vectors=True), query, each)

    def _find_words(self, words: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        """Rank recordings by words, each given once, and by file names that the query may mean."""
        every = self._clips(None, 0, None)
        kept = every if where is None else self._clips(where, 0, None)
        return scan_words(every, kept, words, names, top_k)

    def _clips(self, where: Filter | None, offset: int, limit: int | None) -> list[StoredClip]:
        """Recordings sorted by clip_id, ``limit`` of them from ``offset`` on."""
        return scan_clips(self._iterate(where, vectors=False))[offset:][:limit]

    def _clip_ids(self, where: Filter | None) -> list[str]:
        """Ids of recordings, sorted."""
        return sorted({clip.clip_id for clip in self._clips(where, 0, None)})

    def _fields(self) -> set[str]:
        """Names of the facts that recordings have, in lower case."""
        return {key.lower() for clip in self._clips(None, 0, None) for key in clip.metadata}

    def _count_clips(self) -> int:
        """Number of recordings."""
        return len({clip.clip_id for clip in self._clips(None, 0, None)})

    def _get(self, entry_ids: Sequence[str]) -> list[Entry]:
        """Entries of these ids in this order; unknown ids are left out."""
        found = {e.entry_id: e for e in self._iterate(Compare("entry_id", "in", tuple(entry_ids)), vectors=True)}
        return [found[key] for key in entry_ids if key in found]

    def _count(self, where: Filter | None) -> int:
        """Number of entries that match a filter."""
        return sum(1 for _ in self._iterate(where, vectors=False))

    def _sample(self, count: int) -> FloatArray:
        """Up to ``count`` vectors (M, D)."""
        rows = [entry.vector for entry in islice(self._iterate(None, vectors=True), count)]
        return np.stack(rows) if rows else np.zeros((0, self.identity.embed_dim), np.float32)

    def _audit(self) -> Iterator[AuditedRow]:
        """Every row as it is stored, in any order; an engine with checksums compares them and does not stop at faults.

        Rows come from the content itself, never from a cache of it.
        """
        return (AuditedRow(entry, verified=False) for entry in self._iterate(None, vectors=True))

    def _snapshot(self, name: str) -> None:
        """Keep the current content; only called if the capabilities include snapshots."""
        raise NotImplementedError

    def _restore(self, name: str) -> None:
        """Return to an existing snapshot; only called if the capabilities include snapshots."""
        raise NotImplementedError

    def snapshots(self) -> list[str]:
        """Names of the snapshots, sorted."""
        return []

    def save(self) -> None:  # noqa: B027 - nothing to do in an engine that writes at once
        """Make added entries durable and search fast again; takes time in large stores."""

    def close(self) -> None:  # noqa: B027 - nothing to do in an engine that holds nothing open
        """Release files, locks and connections. Without ``save``, an engine without durable_add loses changes."""

    # --- what callers use -------------------------------------------------------------------------------------
    def add(self, entries: Iterable[Entry]) -> int:
        """Insert entries, or replace those with the same entry_id; all of them or none.

        Returns:
            Number of entries given.

        Raises:
            IndexStoreError: Open for reading, an id twice in one call, a wrong dimension, or NaN.
        """
        self._must_write()
        given = list(entries)
        if given:
            accepted = accept_entries(given, self.identity.embed_dim)
            with self.lock:
                self._upsert(accepted)
        return len(given)

    def search(self, vectors: FloatArray, top_k: int = 10, where: str | Filter | None = None) -> list[list[Match]]:
        """Rank the entries for query vectors.

        Args:
            vectors: (Q, D) or (D,), of any length; they are scaled to length 1 here.
            top_k: Largest number of matches for each query.
            where: A filter such as ``"duration<3 and tag=rain"``.

        Returns:
            For each query, at most top_k matches, best first, ties by smaller entry_id.

        Raises:
            IndexStoreError: Wrong dimension or values that are not finite.
        """
        queries = accept_queries(vectors, self.identity.embed_dim, self.url)
        if top_k < 1:
            raise IndexStoreError(f"top_k is {top_k}; expected 1 or more")
        with self.lock:
            return self._search(queries, top_k, parse_filter(where))

    def best_windows(self, vector: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        """The windows of some recordings that are nearest to a query, best first.

        Args:
            vector: (D,), of any length.
            clip_ids: Recordings; unknown ids are ignored.
            each: Largest number of windows per recording.
        """
        query = accept_queries(vector, self.identity.embed_dim, self.url)[0]
        with self.lock:
            return self._best_windows(query, clip_ids, each) if clip_ids else []

    def find_words(self, text: str, top_k: int = 10, where: str | Filter | None = None) -> list[WordMatch]:
        """Rank recordings by the words of their names, tags and captions.

        Args:
            text: What a person typed.
            top_k: Largest number of recordings.
            where: A filter.

        Returns:
            Recordings that carry at least one of the words. A recording whose file has exactly this name comes first,
            the others follow by score, ties by smaller clip_id.
        """
        spelled = spelled_words(text)
        if not spelled:
            return []
        with self.lock:
            found = self._find_words(list(spelled), possible_names(text), top_k, parse_filter(where))
        return [replace(match, words=tuple(spelled[word] for word in match.words)) for match in found]

    def check_filter(self, where: str | Filter | None) -> Filter | None:
        """Parse a filter and check that recordings of this collection have its fields.

        Raises:
            ConfigError: The text is not a filter, or a field is unknown; the message lists the known ones.
        """
        tree = parse_filter(where)
        if tree is not None and (unlisted := unlisted_fields(tree)):
            with self.lock:
                known = self._fields()
            for name in sorted(unlisted - known):
                raise unknown_field(name, known)
        return tree

    def delete(self, where: str | Filter) -> int:
        """Remove the entries that match a filter; return their number."""
        self._must_write()
        parsed = parse_filter(where)
        if parsed is None:
            raise IndexStoreError('delete needs a filter; to remove everything, use where="start_s>=0"')
        with self.lock:
            return self._delete(parsed)

    def update(self, where: str | Filter, metadata: Mapping[str, Any]) -> int:
        """Merge metadata into the entries that match a filter; vectors do not change.

        Args:
            where: A filter.
            metadata: New values by key; None removes the key.

        Returns:
            Number of entries changed.
        """
        self._must_write()
        with self.lock:
            changed = []
            for entry in self._iterate(parse_filter(where), vectors=True):
                merged = {k: v for k, v in {**entry.metadata, **metadata}.items() if v is not None}
                changed.append(replace(entry, metadata=merged))
            if changed:
                self._upsert(changed)
        return len(changed)

    def get(self, entry_ids: Sequence[str]) -> list[Entry]:
        """Entries of these ids in this order; unknown ids are left out."""
        with self.lock:
            return self._get(entry_ids) if entry_ids else []

    def iterate(self, where: str | Filter | None = None, vectors: bool = True) -> Iterator[Entry]:
        """Entries that match a filter, ordered by id.

        Args:
            where: A filter; None for all entries.
            vectors: False leaves the vectors out (shape (0,)), which is much faster.
        """
        return self._iterate(parse_filter(where), vectors)

    def clips(self, where: str | Filter | None = None, offset: int = 0, limit: int | None = None) -> list[StoredClip]:
        """The recordings of the entries that match a filter, sorted by clip_id.

        Entries of one recording that differ in path or metadata give one item for each difference.

        Args:
            where: A filter; None for all recordings.
            offset: Number of items to skip.
            limit: Largest number of items; None for all.
        """
        with self.lock:
            return self._clips(parse_filter(where), offset, limit)

    def clip_ids(self, where: str | Filter | None = None) -> list[str]:
        """Ids of the recordings that have entries which match a filter, sorted; much faster than ``clips``."""
        with self.lock:
            return self._clip_ids(parse_filter(where))

    def count(self, where: str | Filter | None = None) -> int:
        """Number of entries, or of those that match a filter."""
        with self.lock:
            return self._count(parse_filter(where))

    def count_clips(self) -> int:
        """Number of recordings."""
        with self.lock:
            return self._count_clips()

    def sample(self, count: int) -> FloatArray:
        """Up to ``count`` stored vectors (M, D), the same ones each time: a background to judge scores by."""
        with self.lock:
            return self._sample(count)

    def audit(self) -> Iterator[AuditedRow]:
        """Every row as it is stored, and what is wrong with it: what ``engines.check`` reads.

        Raises:
            IndexStoreError: Rows cannot be read at all.
        """
        return self._audit()

    def snapshot(self, name: str) -> None:
        """Keep the current content under a name; an older snapshot of this name is replaced."""
        self._must_write()
        self._must_have_snapshots()
        with self.lock:
            self._snapshot(name)

    def restore(self, name: str) -> None:
        """Return to a snapshot; later changes are lost.

        Raises:
            IndexStoreError: No snapshot of this name, or the engine has none.
        """
        self._must_write()
        self._must_have_snapshots()
        with self.lock:
            if name not in (names := self.snapshots()):
                raise IndexStoreError(f"{self.url} has no snapshot {name!r}; it has: {', '.join(names) or 'none'}")
            self._restore(name)

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _must_write(self) -> None:
        if self.mode != "w":
            raise IndexStoreError(f"{self.url} is open for reading only; open it with mode='w'")

    def _must_have_snapshots(self) -> None:
        if not self.capabilities.snapshots:
            raise IndexStoreError(
                f"{type(self).__name__} has no snapshots. Fix: copy the collection instead: askaudio copy SOURCE TARGET"
            )
