"""All reading verbs over one frozen state: a large base (with its accelerator) and a small delta of later changes.

A row of the base that was replaced or removed since is dead; the delta holds what took its place. Candidates come from
the accelerator or from a full scan, their scores are always exact, so the answers agree with ``exact``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.index.accelerator import Accelerator
from askaudio.index.entries import Entry, Match, StoredClip
from askaudio.index.filters import Filter
from askaudio.index.ranking import MARGIN_F32, best_rows, exact_scores, rank
from askaudio.index.store import page
from askaudio.index.table import Table
from askaudio.index.words import WordMatch, rank_words

_SCAN = 5_000  # a filter that leaves so few rows of a large base is answered by reading just those
_BLOCK = 2_000


@dataclass(frozen=True)
class View:
    """One state of a collection.

    Attributes:
        base: N rows.
        delta: Rows that are newer than the base.
        dead: (N,) rows of the base that are gone or replaced.
        accelerator: Over the base, when it is large.
    """

    base: Table
    delta: Table
    dead: BoolArray = field(repr=False)
    accelerator: Accelerator | None = None

    def __len__(self) -> int:
        return len(self.base) - int(self.dead.sum()) + len(self.delta)

    # --- changing: a new view each time -----------------------------------------------------------------------
    def changed(self, upserts: Sequence[Entry], seqs: Sequence[int], gone: Iterable[str]) -> View:
        """The view after some entries were added or replaced and others removed."""
        touched = {e.entry_id for e in upserts} | set(gone)
        dead = self.dead.copy()
        dead[[row for key in touched if (row := self.base.ids.find(key)) >= 0]] = True
        keep = [row for row in range(len(self.delta)) if self.delta.ids[row] not in touched]
        entries = [*self.delta.entries(keep), *upserts]
        dim = upserts[0].vector.shape[0] if upserts else self.delta.rows_of_vectors(np.zeros(0, np.int64)).shape[1]
        delta = Table.of(entries, [*(int(self.delta.seq[row]) for row in keep), *seqs], dim)
        return replace(self, delta=delta, dead=dead)

    # --- verbs ------------------------------------------------------------------------------------------------
    def search(self, queries: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        """Rank for each row of (Q, D) rows of length 1."""
        keep = self._keep(where)
        base_rows = self._base_rows(queries, top_k, keep)
        delta_keep = None if where is None else np.flatnonzero(self.delta.mask(where))
        found = []
        for query, rows in zip(queries, base_rows, strict=True):
            pool = _scored(self.base, rows, query)
            pool += _scored(self.delta, _scan(self.delta, query, top_k, delta_keep), query)
            scores = np.array([p[0] for p in pool], np.float32)
            order = rank(scores, [p[1] for p in pool], top_k)
            found.append([pool[i][2].match(pool[i][3], pool[i][0]) for i in order])
        return found

    def _keep(self, where: Filter | None) -> BoolArray | None:
        """Rows of the base that may be returned; None for all."""
        alive = None if not self.dead.any() else ~self.dead
        if where is None:
            return alive
        mask = self.base.mask(where)
        return mask if alive is None else mask & alive

    def _base_rows(self, queries: FloatArray, top_k: int, keep: BoolArray | None) -> list[IntArray]:
        kept = None if keep is None else np.flatnonzero(keep)
        if self.accelerator is None:
            return [_scan(self.base, query, top_k, kept) for query in queries]
        if kept is not None and len(kept) <= max(_SCAN, top_k):
            matrix = self.base.rows_of_vectors(kept)
            return [kept[best_rows(matrix @ query, top_k, MARGIN_F32)] for query in queries]
        total = len(self.base) if kept is None else len(kept)
        count = min(total, 4 * top_k + 40)
        scores, rows = self.accelerator.candidates(queries, count, keep)
        if not self.accelerator.exhaustive:
            return [row[row >= 0] for row in rows]
        return [
            self._separated(q, top_k, count, total, keep, s, r) for q, s, r in zip(queries, scores, rows, strict=True)
        ]

    def _separated(
        self, query: FloatArray, top_k: int, count: int, total: int, keep: BoolArray | None,
        scores: FloatArray, rows: IntArray,
    ) -> IntArray:  # fmt: skip
        """Ask for more candidates until the last lies clearly below the k-th: then no tie was cut off."""
        if self.accelerator is None:
            return rows
        margin = 2 * self.accelerator.margin
        while count < total and top_k <= count and scores[count - 1] >= scores[min(top_k, count) - 1] - margin:
            count = min(total, 4 * count)
            more_scores, more_rows = self.accelerator.candidates(query[None], count, keep)
            scores, rows = more_scores[0], more_rows[0]
        return rows[rows >= 0]

    def find_words(self, wanted: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        """Rank recordings by the words they carry, from the inverted indexes of both tables."""
        keep = self._keep(where)
        alive = [
            self._docs_alive(self.base, keep),
            self._docs_alive(self.delta, None if where is None else self.delta.mask(where)),
        ]
        stored = [self._docs_alive(self.base, self._keep(None)), self._docs_alive(self.delta, None)]
        having: dict[str, int] = {}
        found: dict[str, list[str]] = {}
        for word in wanted:
            clips: set[str] = set()
            for table, keeps, stays in zip((self.base, self.delta), alive, stored, strict=True):
                docs = table.docs_with_word(word)
                clips.update(table.doc_clips[int(d)] for d in docs[stays[docs]])
                for doc in docs[keeps[docs]]:
                    carried = found.setdefault(table.doc_clips[int(doc)], [])
                    if word not in carried:
                        carried.append(word)
            having[word] = len(clips)
        return rank_words(found, having, self._count_clips(stored), top_k)

    @staticmethod
    def _docs_alive(table: Table, keep: BoolArray | None) -> BoolArray:
        """Docs of which some row is kept -> (M,)."""
        alive = np.zeros(len(table.docs), np.bool_)
        alive[table.doc_of if keep is None else table.doc_of[keep]] = True
        return alive

    def _count_clips(self, stored: list[BoolArray]) -> int:
        if not len(self.delta):
            return int(stored[0].sum())
        clips = {self.delta.doc_clips[int(d)] for d in np.flatnonzero(stored[1])}
        new = sum(not stored[0][self.base.docs_of_clip(clip)].any() for clip in clips)
        return int(stored[0].sum()) + new

    def get(self, entry_ids: Sequence[str]) -> list[Entry]:
        """Entries of these ids in this order; unknown ids are left out."""
        found = []
        for key in entry_ids:
            if (row := self.delta.ids.find(key)) >= 0:
                found += self.delta.entries([row])
            elif (row := self.base.ids.find(key)) >= 0 and not self.dead[row]:
                found += self.base.entries([row])
        return found

    def count(self, where: Filter | None) -> int:
        """Number of entries."""
        if where is None:
            return len(self)
        keep = self._keep(where)
        return (0 if keep is None else int(keep.sum())) + int(self.delta.mask(where).sum())

    def iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        """Entries in the order of their ids."""
        keep = self._keep(where)
        base = np.arange(len(self.base)) if keep is None else np.flatnonzero(keep)
        delta = np.arange(len(self.delta)) if where is None else np.flatnonzero(self.delta.mask(where))
        pieces = (_stream(self.base, base, vectors), _stream(self.delta, delta, vectors))
        return heapq.merge(*pieces, key=lambda entry: entry.entry_id)

    def sample(self, count: int) -> FloatArray:
        """Up to ``count`` vectors at even distances in the order of ids (dead rows do no harm) -> (M, D)."""
        table = self.base if len(self.base) >= len(self.delta) else self.delta
        rows = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(np.int64))
        return table.rows_of_vectors(rows)

    def clips(self, where: Filter | None, offset: int = 0, limit: int | None = None) -> list[StoredClip]:
        """Recordings, sorted by clip_id; without a delta only those of the page are read."""
        found: dict[str, StoredClip] = {}
        keeps = (self._keep(where), None if where is None else self.delta.mask(where))
        sorted_already = len(self.delta) == 0
        for table, keep in zip((self.base, self.delta), keeps, strict=True):
            counts = np.bincount(table.doc_of if keep is None else table.doc_of[keep], minlength=len(table.docs))
            docs = np.flatnonzero(counts)
            for doc in page(docs, offset, limit) if sorted_already else docs:
                text = table.docs[int(doc)]
                clip, path, metadata = table.doc(int(doc))
                windows = int(counts[doc]) + (found[text].windows if text in found else 0)
                found[text] = StoredClip(clip, path, metadata, windows)
        if sorted_already:
            return list(found.values())
        order = sorted(found, key=lambda k: (found[k].clip_id, k))
        return [found[key] for key in page(order, offset, limit)]


def _scan(table: Table, query: FloatArray, top_k: int, kept: IntArray | None) -> IntArray:
    """Rows of a table that may belong to the first top_k: a full scan of the kept rows."""
    matrix = table.in_memory()
    if matrix is None:
        matrix = table.rows_of_vectors(np.arange(len(table)))
    if not len(matrix):
        return np.zeros(0, np.int64)
    scores = matrix @ query
    if kept is None:
        return best_rows(scores, top_k, MARGIN_F32)
    return kept[best_rows(scores[kept], top_k, MARGIN_F32)]


def _scored(table: Table, rows: IntArray, query: FloatArray) -> list[tuple[float, str, Table, int]]:
    """(score, id, table, row) of candidate rows."""
    if not len(rows):
        return []
    scores = exact_scores(query, table.rows_of_vectors(rows))
    return [(float(s), table.ids[int(r)], table, int(r)) for s, r in zip(scores, rows, strict=True)]


def _stream(table: Table, rows: IntArray, vectors: bool) -> Iterator[Entry]:
    for start in range(0, len(rows), _BLOCK):
        yield from table.entries(rows[start : start + _BLOCK].tolist(), vectors)
