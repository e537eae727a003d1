"""All reading verbs over one frozen state: a large base (with its accelerator) and a small delta of later changes.

A row of the base that was replaced or removed since is dead; the delta holds what took its place. Candidates come from
the accelerator or from a full scan, their scores are always exact, so the answers agree with ``exact``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.index.accelerator import Accelerator
from askaudio.index.entries import Entry, Match, StoredClip
from askaudio.index.filters import Compare, Filter
from askaudio.index.ranking import MARGIN_F32, best_rows, exact_scores, rank
from askaudio.index.store import page
from askaudio.index.table import Table
from askaudio.index.words import WordMatch, rank_words, word_weight

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
            pool = _best(self.base, rows, query, top_k)
            if len(self.delta):
                pool += _best(self.delta, _scan(self.delta, query, top_k, delta_keep), query, top_k)
                order = rank(np.array([m.score for m in pool], np.float32), [m.entry_id for m in pool], top_k)
                pool = [pool[i] for i in order]
            found.append(pool)
        return found

    def _keep(self, where: Filter | None) -> BoolArray | None:
        """Rows of the base that may be returned; None for all."""
        alive = None if not self.dead.any() else ~self.dead
        if where is None:
            return alive
        mask = self.base.mask(where)
        return mask if alive is None else mask & alive

    def _rows(self, where: Filter | None) -> tuple[IntArray, IntArray]:
        """Rows of base and delta that may be returned; a filter that only names recordings reads no others."""
        if isinstance(where, Compare) and where.field == "clip_id" and where.op in ("=", "in"):
            clips = [str(value) for value in where.values]
            base = self.base.rows_of_clips(clips)
            return base[~self.dead[base]], self.delta.rows_of_clips(clips)
        keep = self._keep(where)
        base = np.arange(len(self.base)) if keep is None else np.flatnonzero(keep)
        delta = np.arange(len(self.delta)) if where is None else np.flatnonzero(self.delta.mask(where))
        return base, delta

    def _base_rows(self, queries: FloatArray, top_k: int, keep: BoolArray | None) -> list[IntArray]:
        kept = None if keep is None else np.flatnonzero(keep)
        if self.accelerator is None:
            return [_scan(self.base, query, top_k, kept) for query in queries]
        if kept is not None and len(kept) <= max(_SCAN, top_k):
            matrix = self.base.rows_of_vectors(kept)
            return [kept[best_rows(matrix @ query, top_k, MARGIN_F32)] for query in queries]
        total = len(self.base) if kept is None else len(kept)
        count = min(total, 2 * top_k + 20)
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

    def find_words(self, wanted: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        """Rank recordings by the words they carry, from the inverted indexes of both tables."""
        tables = (self.base, self.delta)
        stored = [self._docs_alive(self.base, self._keep(None)), None]
        carried = [[t.clips_with_word(w, docs) for w in wanted] for t, docs in zip(tables, stored, strict=True)]
        having = {w: len(b) + len(d) - self._both(b, d) for w, b, d in zip(wanted, *carried, strict=True)}
        weights = [word_weight(self.clip_count, having[w]) for w in wanted]
        kept = stored
        if where is not None:
            kept = [
                self._docs_alive(self.base, self._keep(where)),
                self._docs_alive(self.delta, self.delta.mask(where)),
            ]
            carried = [[t.clips_with_word(w, docs) for w in wanted] for t, docs in zip(tables, kept, strict=True)]
        found: dict[str, set[str]] = {}
        named: set[str] = set()
        for table, docs, lists in zip(tables, kept, carried, strict=True):
            clips = np.unique(np.concatenate(lists))  # (C,)
            carry = np.stack([np.isin(clips, with_word, assume_unique=True) for with_word in lists])  # (words, C)
            is_named = np.isin(clips, np.concatenate([table.clips_named(name, docs) for name in names]))
            score = np.zeros(len(clips))
            for weight, has in zip(weights, carry, strict=True):  # in this order for all: equal words, equal score
                score[has] += weight
            score[is_named] += sum(weights)
            # a clip that is in both tables may gain there: take as many more
            for at in _first(score, top_k + len(self._shared)):
                clip_id = table.clip_id(int(clips[at]))
                found.setdefault(clip_id, set()).update(w for w, has in zip(wanted, carry[:, at], strict=True) if has)
                if is_named[at]:
                    named.add(clip_id)
        return rank_words(found, having, self.clip_count, top_k, named)

    def _both(self, base: IntArray, delta: IntArray) -> int:
        """How many of the shared clips carry a word in both tables, given who carries it: they count once."""
        in_base, in_delta = self._shared.T
        return int((np.isin(in_base, base) & np.isin(in_delta, delta)).sum())

    @staticmethod
    def _docs_alive(table: Table, keep: BoolArray | None) -> BoolArray | None:
        """Docs of which some row is kept -> (M,); None for all."""
        if keep is None:
            return None
        alive = np.zeros(len(table.docs), np.bool_)
        alive[table.doc_of[keep]] = True
        return alive

    @cached_property
    def _shared(self) -> IntArray:
        """Clips with live entries in both tables -> (number of them, 2): their numbers in base and delta."""
        alive = self._docs_alive(self.base, self._keep(None))
        pairs = []
        for clip in range(self.delta.n_clips):
            docs = self.base.docs_of_clip(self.delta.clip_id(clip))
            if docs.stop > docs.start and (alive is None or alive[docs].any()):
                pairs.append((int(self.base.clip_of[docs.start]), clip))
        return np.array(pairs, np.int64).reshape(-1, 2)

    @cached_property
    def clip_count(self) -> int:
        """Number of recordings."""
        alive = self._docs_alive(self.base, self._keep(None))
        in_base = self.base.n_clips if alive is None else len(np.unique(self.base.clip_of[alive]))
        return in_base + self.delta.n_clips - len(self._shared)

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
        base, delta = self._rows(where)
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
        sorted_already = len(self.delta) == 0
        for table, rows in zip((self.base, self.delta), self._rows(where), strict=True):
            docs, counts = np.unique(table.doc_of[rows], return_counts=True)
            pairs = list(zip(docs.tolist(), counts.tolist(), strict=True))
            for doc, count in page(pairs, offset, limit) if sorted_already else pairs:
                text = table.docs[doc]
                clip, path, metadata = table.doc(doc)
                windows = count + (found[text].windows if text in found else 0)
                found[text] = StoredClip(clip, path, metadata, windows)
        if sorted_already:
            return list(found.values())
        order = sorted(found, key=lambda k: (found[k].clip_id, k))
        return [found[key] for key in page(order, offset, limit)]


def _first(score: npt.NDArray[np.float64], top_k: int) -> list[int]:
    """Numbers of the first top_k clips by (higher score, smaller id) among those that have any."""
    rows = np.flatnonzero(score > 0)
    if len(rows) > top_k:
        kth = np.partition(score[rows], len(rows) - top_k)[len(rows) - top_k]
        above = rows[score[rows] > kth]
        rows = np.concatenate([above, rows[score[rows] == kth][: top_k - len(above)]])
    return [int(row) for row in rows]


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


def _best(table: Table, rows: IntArray, query: FloatArray, top_k: int) -> list[Match]:
    """The first top_k of candidate rows by exact score, ties by smaller id."""
    vectors = table.rows_of_vectors(rows)
    scores = exact_scores(query, vectors)
    if len(rows) > top_k:  # ids and metadata are read of those only that may belong to the first
        kept = np.flatnonzero(scores >= np.partition(scores, len(rows) - top_k)[len(rows) - top_k])
        rows, vectors, scores = rows[kept], vectors[kept], scores[kept]
    ids = [table.ids[int(row)] for row in rows]
    return [table.match(int(rows[i]), ids[i], float(scores[i]), vectors[i]) for i in rank(scores, ids, top_k)]


def _stream(table: Table, rows: IntArray, vectors: bool) -> Iterator[Entry]:
    for start in range(0, len(rows), _BLOCK):
        yield from table.entries(rows[start : start + _BLOCK].tolist(), vectors)
