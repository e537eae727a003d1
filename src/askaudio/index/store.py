"""The contract of every store: about ten verbs, one engine a file, ``exact`` as the truth that all others must equal.

A store holds entries (one vector a window of a recording) and remembers which encoder made them; vectors of another
encoder are refused. Score = cosine similarity as float32, ties go to the smaller entry_id. An engine that cannot do a
verb says so in its capabilities and raises IndexStoreError with the way out.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import FloatArray, Json
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, StoredClip, doc_text, match_of
from askaudio.index.filters import Filter, clips_are, parse_filter
from askaudio.index.ranking import exact_scores, rank, unit_rows
from askaudio.index.words import WordMatch, gather_words, name_of, names_asked, rank_words, split_words, words_of


class VectorStore(ABC):
    """A store of entries. Open one with ``index.open.open_store``; it is a context manager and safe for threads."""

    capabilities: Capabilities

    def __init__(self, url: str, identity: Identity, mode: Mode) -> None:
        self.url = url
        self.identity = identity
        self.mode = mode
        self.lock = threading.RLock()

    # --- the verbs of an engine -------------------------------------------------------------------------------
    @abstractmethod
    def _upsert(self, entries: list[Entry]) -> None:
        """Insert or replace entries whose ids are unique and whose vectors have length 1; all or nothing."""

    @abstractmethod
    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        """Rank for each row of (Q, D) rows of length 1."""

    @abstractmethod
    def _delete(self, where: Filter) -> int:
        """Remove what the filter names; the number of entries removed."""

    @abstractmethod
    def get(self, entry_ids: Sequence[str]) -> list[Entry]:
        """Entries of these ids in this order; unknown ids are left out."""

    @abstractmethod
    def _count(self, where: Filter | None) -> int:
        """Number of entries."""

    @abstractmethod
    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        """Entries in the order of their ids; without vectors, (0,) arrays stand in their place."""

    @abstractmethod
    def version(self) -> str:
        """A text that changes whenever the content changes: what caches are keyed by."""

    @abstractmethod
    def save(self) -> None:
        """Make all that was added durable and searching fast again; costs time in large stores."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files, locks and connections; without ``save`` first, an engine without durable_add forgets."""

    def snapshot(self, name: str) -> None:
        """Keep the present content under a name."""
        raise self._cannot("snapshots", "copy it instead: askaudio copy SOURCE TARGET")

    def snapshots(self) -> list[str]:
        """Names of the kept snapshots."""
        return []

    def restore(self, name: str) -> None:
        """Go back to a snapshot."""
        raise self._cannot("snapshots", "copy it instead: askaudio copy SOURCE TARGET")

    # --- what all engines share: checking the input once, at the door -----------------------------------------
    def add(self, entries: Iterable[Entry]) -> int:
        """Insert entries, or replace those with the same entry_id; all of them or none.

        Returns:
            Number of entries given.

        Raises:
            IndexStoreError: Opened for reading, an id twice in one call, a wrong dimension, or NaN.
        """
        self._must_write()
        checked = self._checked(list(entries))
        if checked:
            with self.lock:
                self._upsert(checked)
        return len(checked)

    def search(self, vectors: FloatArray, top_k: int = 10, where: str | Filter | None = None) -> list[list[Match]]:
        """Rank the entries against query vectors.

        Args:
            vectors: (Q, D) or (D,); scaled to length 1 here.
            top_k: How many to return for each query.
            where: A filter such as ``"duration<3 and tag=rain"``.

        Returns:
            For each query, at most top_k matches, best first, ties by smaller entry_id.

        Raises:
            IndexStoreError: Wrong dimension or values that are not finite.
        """
        queries = self._queries(vectors)
        if top_k < 1:
            raise IndexStoreError(f"top_k is {top_k}; expected 1 or more")
        with self.lock:
            return self._search(queries, top_k, parse_filter(where))

    def _queries(self, vectors: FloatArray) -> FloatArray:
        """Checked query vectors (Q, D), scaled to length 1."""
        queries = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        if queries.ndim != 2 or queries.shape[1] != self.identity.embed_dim:
            raise IndexStoreError(
                f"query vectors have the shape {np.shape(vectors)}; "
                f"{self.url} holds {self.identity.embed_dim}-d vectors"
            )
        if not np.isfinite(queries).all():
            raise IndexStoreError("query vectors hold NaN or infinity; check the encoder")
        return unit_rows(queries)

    def best_windows(self, vector: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        """The windows of some recordings that are nearest to a query, at most ``each`` of each of them, best first.

        Args:
            vector: (D,).
            clip_ids: Recordings; unknown ones are left out.
            each: How many of a recording.
        """
        query = self._queries(vector)[0]
        with self.lock:
            return self._best_windows(query, clip_ids, each) if clip_ids else []

    def _best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        entries = list(self._iterate(clips_are(clip_ids), vectors=True))
        if not entries:
            return []
        scores = exact_scores(query, np.stack([entry.vector for entry in entries]))
        order = rank(scores, [entry.entry_id for entry in entries], len(entries))
        return first_of_each_clip((match_of(entries[i], float(scores[i])) for i in order), each)

    def delete(self, where: str | Filter) -> int:
        """Remove the entries that a filter names; returns how many."""
        self._must_write()
        parsed = parse_filter(where)
        if parsed is None:
            raise IndexStoreError('delete needs a filter; to remove everything, say where="start_s>=0"')
        with self.lock:
            return self._delete(parsed)

    def find_words(self, text: str, top_k: int = 10, where: str | Filter | None = None) -> list[WordMatch]:
        """Rank recordings by the words of their names, tags and captions.

        Args:
            text: What a person typed.
            top_k: How many recordings to return.
            where: A filter.

        Returns:
            Recordings that carry at least one of the words: those whose file has exactly this name, then by score,
            ties by smaller clip_id.
        """
        wanted = list(dict.fromkeys(split_words(text)))
        with self.lock:
            return self._find_words(wanted, names_asked(text), top_k, parse_filter(where)) if wanted else []

    def _find_words(self, wanted: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        """Read every recording: right for small stores; engines with an inverted index do better."""
        clips = self._clips(None)
        carried = gather_words((clip.clip_id, words_of(clip.path, clip.metadata)) for clip in clips)
        having = {word: sum(word in words for words in carried.values()) for word in wanted}
        kept = clips if where is None else self._clips(where)
        found = gather_words((clip.clip_id, words_of(clip.path, clip.metadata)) for clip in kept)
        named = {clip.clip_id for clip in kept if name_of(clip.path) in names}
        return rank_words(found, having, len(carried), top_k, named)

    def clips(self, where: str | Filter | None = None, offset: int = 0, limit: int | None = None) -> list[StoredClip]:
        """The recordings behind the entries, or behind those that a filter names, sorted by clip_id.

        Entries of one clip that differ in path or metadata give one item for each difference.

        Args:
            where: A filter.
            offset: Items to leave out at the beginning.
            limit: Most items to return; None for all.
        """
        with self.lock:
            return self._clips(parse_filter(where), offset, limit)

    def _clips(self, where: Filter | None, offset: int = 0, limit: int | None = None) -> list[StoredClip]:
        found: dict[str, StoredClip] = {}
        for e in self._iterate(where, vectors=False):
            key = doc_text(e.clip_id, e.path, e.metadata)
            windows = found[key].windows + 1 if key in found else 1
            found[key] = StoredClip(e.clip_id, e.path, e.metadata, windows)
        order = sorted(found, key=lambda k: (found[k].clip_id, k))
        return [found[key] for key in page(order, offset, limit)]

    def update(self, where: str | Filter, metadata: Mapping[str, Any]) -> int:
        """Merge new metadata into the entries that a filter names (None removes a key); vectors stay.

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

    def count(self, where: str | Filter | None = None) -> int:
        """Number of entries, or of those that a filter names."""
        with self.lock:
            return self._count(parse_filter(where))

    def count_clips(self) -> int:
        """Number of recordings."""
        return len({clip.clip_id for clip in self.clips()})

    def iterate(self, where: str | Filter | None = None, vectors: bool = True) -> Iterator[Entry]:
        """All entries, or those that a filter names, in the order of their ids.

        Args:
            where: A filter.
            vectors: False leaves the vectors out, which is much faster.
        """
        return self._iterate(parse_filter(where), vectors)

    def sample(self, count: int) -> FloatArray:
        """Up to ``count`` stored vectors (M, D), the same ones every time: a background to judge scores by."""
        rows = [entry.vector for entry in islice(self.iterate(), count)]
        return np.stack(rows) if rows else np.zeros((0, self.identity.embed_dim), np.float32)

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _must_write(self) -> None:
        if self.mode != "w":
            raise IndexStoreError(f"{self.url} is open for reading only; open it with mode='w'")

    def _cannot(self, what: str, way_out: str) -> IndexStoreError:
        return IndexStoreError(f"{type(self).__name__} cannot do {what}; {way_out}")

    def _checked(self, entries: list[Entry]) -> list[Entry]:
        if not entries:
            return []
        if len({e.entry_id for e in entries}) != len(entries):
            raise IndexStoreError("an entry_id occurs twice in one add; ids must be unique")
        dim = self.identity.embed_dim
        for entry in entries:
            if not entry.entry_id or not entry.clip_id:
                raise IndexStoreError(f"an entry has an empty id (clip {entry.clip_id!r}, path {entry.path!r})")
            if np.shape(entry.vector) != (dim,):
                raise IndexStoreError(
                    f"entry {entry.entry_id} has a vector of the shape {np.shape(entry.vector)}; expected ({dim},)"
                )
        vectors = unit_rows(np.stack([e.vector for e in entries]))
        if not np.isfinite(vectors).all():
            raise IndexStoreError("a vector holds NaN or infinity; check the encoder")
        return [
            replace(e, vector=v, start_s=float(e.start_s), end_s=float(e.end_s), metadata=_plain(e))
            for e, v in zip(entries, vectors, strict=True)
        ]


def first_of_each_clip(matches: Iterable[Match], each: int) -> list[Match]:
    """Matches in their order, without those of a recording that already has ``each``."""
    seen: dict[str, int] = {}
    kept = []
    for match in matches:
        seen[match.clip_id] = seen.get(match.clip_id, 0) + 1
        if seen[match.clip_id] <= each:
            kept.append(match)
    return kept


def page(items: Any, offset: int, limit: int | None) -> Any:
    """A piece of a list."""
    return items[offset:] if limit is None else items[offset : offset + limit]


def _plain(entry: Entry) -> Json:
    """The metadata as JSON gives it back, so that every engine returns the same."""
    try:
        text = json.dumps(dict(entry.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise IndexStoreError(f"metadata of {entry.entry_id} is not JSON: {error}") from error
    if "\\u0000" in text or "\0" in entry.path:
        raise IndexStoreError(f"metadata or path of {entry.entry_id} holds a NUL character; strip it first")
    value: Json = json.loads(text)
    return value
