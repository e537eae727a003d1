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
from askaudio.engines.local.accelerator import Accelerator
from askaudio.engines.local.table import Table
from askaudio.engines.local.word_search import Docs, Sides, find_words
from askaudio.index.entries import Entry, Match, StoredClip
from askaudio.index.filters import Compare, Filter
from askaudio.index.ranking import MARGIN_F32, best_rows, exact_scores, rank
from askaudio.index.store import first_of_each_clip, page
from askaudio.index.words import WordMatch

_SCAN = 5_000  # a filter that leaves so few rows of a large base is answered by reading just those
_MORE = 30  # candidates beyond top_k that are scored exactly
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
        base_rows = self._base_rows(queries, top_k, where)
        delta_keep = self._delta_kept(where)
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
        if where is None:
            return self._alive
        mask = self.base.mask(where)
        return mask if self._alive is None else mask & self._alive

    def _base_kept(self, where: Filter | None) -> IntArray | None:
        """Rows of the base that may be returned; None for all. Those of named recordings, without looking at others."""
        if (clips := _clips_asked(where)) is not None:
            rows = self.base.rows_of_clips(clips)
            return rows[~self.dead[rows]]
        keep = self._keep(where)
        return None if keep is None else np.flatnonzero(keep)

    def _delta_kept(self, where: Filter | None) -> IntArray | None:
        """The same for the delta."""
        if (clips := _clips_asked(where)) is not None:
            return self.delta.rows_of_clips(clips)
        return None if where is None else np.flatnonzero(self.delta.mask(where))

    def _rows(self, where: Filter | None) -> tuple[IntArray, IntArray]:
        """Rows of base and delta that may be returned."""
        base, delta = self._base_kept(where), self._delta_kept(where)
        return (
            np.arange(len(self.base)) if base is None else base,
            np.arange(len(self.delta)) if delta is None else delta,
        )

    def _base_rows(self, queries: FloatArray, top_k: int, where: Filter | None) -> list[IntArray]:
        """Rows that may belong to the first top_k of each query."""
        if self.accelerator is None or _clips_asked(where) is not None:
            kept = self._base_kept(where)
            return [_scan(self.base, query, top_k, kept) for query in queries]
        keep = self._keep(where)
        total = len(self.base) if keep is None else int(np.count_nonzero(keep))
        if keep is not None and total <= max(_SCAN, top_k):
            return [_scan(self.base, query, top_k, np.flatnonzero(keep)) for query in queries]
        count = min(total, top_k + _MORE)
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

    def best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        """The best windows of some recordings, at most ``each`` of each: only those become matches."""
        base, delta = self.base.rows_of_clips(clip_ids), self.delta.rows_of_clips(clip_ids)
        found = _best(self.base, base[~self.dead[base]], query, None, each)
        if not len(delta):
            return found
        found += _best(self.delta, delta, query, None, each)
        return first_of_each_clip(sorted(found, key=lambda m: (-m.score, m.entry_id)), each)

    def find_words(self, wanted: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        """Rank recordings by the words they carry."""
        alive: tuple[Docs, Docs] = (self._alive_docs, None)
        kept = alive
        if where is not None:
            kept = (
                self._docs_alive(self.base, self._keep(where)),
                self._docs_alive(self.delta, self.delta.mask(where)),
            )
        sides = Sides(self.base, self.delta, self._shared)
        return find_words(sides, alive, kept, self.clip_count, wanted, names, top_k)

    @staticmethod
    def _docs_alive(table: Table, keep: BoolArray | None) -> BoolArray | None:
        """Docs of which some row is kept -> (M,); None for all."""
        if keep is None:
            return None
        alive = np.zeros(len(table.docs), np.bool_)
        alive[table.doc_of[keep]] = True
        return alive

    @cached_property
    def _alive(self) -> BoolArray | None:
        """(N,) rows of the base that are there; None for all."""
        return ~self.dead if self.dead.any() else None

    @cached_property
    def _alive_docs(self) -> BoolArray | None:
        """(M,) docs of the base that are there; None for all."""
        return self._docs_alive(self.base, self._alive)

    @cached_property
    def _shared(self) -> IntArray:
        """Clips with live entries in both tables -> (number of them, 2): their numbers in base and delta."""
        alive = self._alive_docs
        pairs = []
        for clip in range(self.delta.n_clips):
            docs = self.base.docs_of_clip(self.delta.clip_id(clip))
            if docs.stop > docs.start and (alive is None or alive[docs].any()):
                pairs.append((int(self.base.clip_of[docs.start]), clip))
        return np.array(pairs, np.int64).reshape(-1, 2)

    @cached_property
    def clip_count(self) -> int:
        """Number of recordings."""
        alive = self._alive_docs
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


def _clips_asked(where: Filter | None) -> list[str] | None:
    """The recordings that a filter names, when it does nothing else."""
    if isinstance(where, Compare) and where.field == "clip_id" and where.op in ("=", "in"):
        return [str(value) for value in where.values]
    return None


def _scan(table: Table, query: FloatArray, top_k: int, kept: IntArray | None) -> IntArray:
    """Rows of a table that may belong to the first top_k: a full scan of the kept rows (None: of all)."""
    if kept is not None and len(kept) <= top_k:
        return kept
    matrix = table.in_memory()
    if matrix is None:
        matrix = table.rows_of_vectors(np.arange(len(table)) if kept is None else kept)
    elif kept is not None:
        matrix = matrix[kept]
    if not len(matrix):
        return np.zeros(0, np.int64)
    best = best_rows(matrix @ query, top_k, MARGIN_F32)
    return best if kept is None else kept[best]


def _best(table: Table, rows: IntArray, query: FloatArray, top_k: int | None, each: int | None = None) -> list[Match]:
    """The first top_k of candidate rows by exact score, ties by smaller id: rows are in the order of their ids."""
    vectors = table.rows_of_vectors(rows)
    scores = exact_scores(query, vectors)
    order = np.lexsort((rows, -scores))[:top_k]
    if each is not None:
        order = order[place_in_group(table.clip_of[table.doc_of[rows[order]]]) < each]
    return table.matches(rows[order], scores[order], vectors[order])


def place_in_group(groups: npt.NDArray[np.int32]) -> IntArray:
    """How many of the same group stand before each row (n,)."""
    by_group = np.argsort(groups, kind="stable")
    ordered = groups[by_group]
    first = np.searchsorted(ordered, ordered)  # where each row's group begins
    place = np.empty(len(groups), np.int64)
    place[by_group] = np.arange(len(groups)) - first
    return place


def _stream(table: Table, rows: IntArray, vectors: bool) -> Iterator[Entry]:
    for start in range(0, len(rows), _BLOCK):
        yield from table.entries(rows[start : start + _BLOCK].tolist(), vectors)
