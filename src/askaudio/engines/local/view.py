"""All read operations on one immutable state of a collection: a large base and a small delta of later changes.

Why two parts: building the base (sorted columns, inverted index, accelerator) takes seconds for a large collection, too
long after each added file. So changes go into a second, small ``Columns``, the delta, and rows of the base that were
replaced or removed are marked as dead. A state never changes; a change makes a new ``View`` that shares the base. So a
search needs no lock, and a reader keeps a consistent state while a writer continues.

Candidates come from the accelerator or from a full scan. Their scores are always computed exactly, so results are equal
to those of the exact engine.
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
from askaudio.engines.local.columns import Columns
from askaudio.engines.local.word_search import Docs, Sides, find_words
from askaudio.index.entries import Entry, Match, StoredClip
from askaudio.index.filters import Compare, Filter
from askaudio.index.ranking import MARGIN_F32, best_first, best_rows, exact_scores, first_of_each_clip
from askaudio.index.words import WordMatch

_SCAN = 5_000  # if a filter leaves at most this number of rows, they are scanned instead of asking the accelerator
_MORE = 30  # candidates beyond top_k that are scored exactly
_BLOCK = 2_000  # entries that iteration reads at once


@dataclass(frozen=True)
class View:
    """One state of a collection.

    Attributes:
        base: N rows.
        delta: Rows that are newer than the base.
        dead: (N,) rows of the base that were removed or replaced since.
        accelerator: Index over the base, if it is large.
    """

    base: Columns
    delta: Columns
    dead: BoolArray = field(repr=False)
    accelerator: Accelerator | None = None

    def __len__(self) -> int:
        return len(self.base) - int(self.dead.sum()) + len(self.delta)

    # --- changes: each makes a new view -----------------------------------------------------------------------
    def changed(self, upserts: Sequence[Entry], seqs: Sequence[int], gone: Iterable[str]) -> View:
        """The view after a change.

        Args:
            upserts: Entries that were added or replaced.
            seqs: Their write numbers.
            gone: Ids of entries that were removed.
        """
        touched = {e.entry_id for e in upserts} | set(gone)
        dead = self.dead.copy()
        dead[[row for key in touched if (row := self.base.ids.find(key)) >= 0]] = True
        keep = [row for row in range(len(self.delta)) if self.delta.ids[row] not in touched]
        entries = [*self.delta.entries(keep), *upserts]
        dim = self.delta.rows_of_vectors(np.zeros(0, np.int64)).shape[1]
        delta = Columns.of(entries, [*(int(self.delta.seq[row]) for row in keep), *seqs], dim)
        return replace(self, delta=delta, dead=dead)

    # --- search -----------------------------------------------------------------------------------------------
    def search(self, queries: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        """Rank entries for each of (Q, D) rows of length 1.

        Args:
            queries: (Q, D), rows of length 1.
            top_k: Largest number of matches for each query.
            where: Entries that may match; None admits all.
        """
        base_rows = self._base_candidates(queries, top_k, where)
        delta_keep = self._delta_kept(where)
        found = []
        for query, rows in zip(queries, base_rows, strict=True):
            matches = _best(self.base, rows, query, top_k)
            if len(self.delta):
                matches += _best(self.delta, _scan(self.delta, query, top_k, delta_keep), query, top_k)
                matches = best_first(matches)[:top_k]
            found.append(matches)
        return found

    def _base_candidates(self, queries: FloatArray, top_k: int, where: Filter | None) -> list[IntArray]:
        """For each query, rows of the base that may be among its first top_k."""
        if self.accelerator is None or _named_clips(where) is not None:
            kept = self._base_kept(where)
            return [_scan(self.base, query, top_k, kept) for query in queries]
        keep = self._keep(where)
        total = len(self.base) if keep is None else int(np.count_nonzero(keep))
        if keep is not None and total <= max(_SCAN, top_k):
            return [_scan(self.base, query, top_k, np.flatnonzero(keep)) for query in queries]
        scores, rows = self.accelerator.candidates(queries, min(total, top_k + _MORE), keep)
        if self.accelerator.exhaustive:
            return [
                self._with_all_ties(self.accelerator, query, top_k, total, keep, s, r)
                for query, s, r in zip(queries, scores, rows, strict=True)
            ]
        return [row[row >= 0] for row in rows]  # inverted lists are approximate anyway: no ties to complete

    @staticmethod
    def _with_all_ties(
        accelerator: Accelerator, query: FloatArray, top_k: int, total: int, keep: BoolArray | None,
        scores: FloatArray, rows: IntArray,
    ) -> IntArray:  # fmt: skip
        """Extend the candidates of one query until no row that belongs to the first top_k can be missing.

        Scores of the accelerator are off by less than its margin. As long as the last candidate scores within twice
        the margin of the k-th, a row behind it might be better by exact score, or tie and have a smaller id.

        Args:
            accelerator: An exhaustive one.
            query: (D,).
            top_k: Size of the ranking.
            total: Number of rows that may be returned.
            keep: (N,) which rows these are; None for all.
            scores: (n,) approximate scores of the first candidates, best first.
            rows: (n,) their rows.
        """
        count, margin = len(rows), 2 * accelerator.margin
        while count < total and scores[count - 1] >= scores[min(top_k, count) - 1] - margin:
            count = min(total, 4 * count)
            more_scores, more_rows = accelerator.candidates(query[None], count, keep)
            scores, rows = more_scores[0], more_rows[0]
        return rows[rows >= 0]

    def best_windows(self, query: FloatArray, clip_ids: Sequence[str], each: int) -> list[Match]:
        """The best windows of some recordings for a query (D,), at most ``each`` of every recording.

        Args:
            query: (D,) of length 1.
            clip_ids: Recordings; unknown ids are ignored.
            each: Largest number of windows per recording.
        """
        base, delta = self.base.rows_of_clips(clip_ids), self.delta.rows_of_clips(clip_ids)
        found = _best(self.base, base[~self.dead[base]], query, None, each)
        if not len(delta):
            return found
        found += _best(self.delta, delta, query, None, each)
        return first_of_each_clip(best_first(found), each)

    def find_words(self, words: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        """Rank recordings by the words they carry.

        Args:
            words: Words of the query, each once.
            names: File names that the query may mean.
            top_k: Largest number of matches.
            where: Entries whose recordings may match; None admits all.
        """
        alive: tuple[Docs, Docs] = (self._alive_docs, None)
        kept = alive
        if where is not None:
            base, delta = self._keep(where), self.delta.mask(where)
            kept = _docs_of(self.base, base), _docs_of(self.delta, delta)
        sides = Sides(self.base, self.delta, self._shared)
        return find_words(sides, alive=alive, kept=kept, n_clips=self.clip_count, words=words, names=names, top_k=top_k)

    # --- rows that match a filter -----------------------------------------------------------------------------
    def _keep(self, where: Filter | None) -> BoolArray | None:
        """(N,) rows of the base that may be returned; None for all."""
        if where is None:
            return self._alive
        mask = self.base.mask(where)
        return mask if self._alive is None else mask & self._alive

    def _base_kept(self, where: Filter | None) -> IntArray | None:
        """The same as row numbers; a filter that only names recordings is answered without a mask over all rows."""
        if (clips := _named_clips(where)) is not None:
            rows = self.base.rows_of_clips(clips)
            return rows[~self.dead[rows]]
        keep = self._keep(where)
        return None if keep is None else np.flatnonzero(keep)

    def _delta_kept(self, where: Filter | None) -> IntArray | None:
        """Row numbers of the delta that may be returned; None for all."""
        if (clips := _named_clips(where)) is not None:
            return self.delta.rows_of_clips(clips)
        return None if where is None else np.flatnonzero(self.delta.mask(where))

    def _rows(self, where: Filter | None) -> tuple[IntArray, IntArray]:
        """Row numbers of base and delta that may be returned."""
        base, delta = self._base_kept(where), self._delta_kept(where)
        return (
            np.arange(len(self.base)) if base is None else base,
            np.arange(len(self.delta)) if delta is None else delta,
        )

    @cached_property
    def _alive(self) -> BoolArray | None:
        """(N,) rows of the base that still exist; None for all."""
        return ~self.dead if self.dead.any() else None

    @cached_property
    def _alive_docs(self) -> BoolArray | None:
        """(M,) docs of the base with at least one row that still exists; None for all."""
        return _docs_of(self.base, self._alive)

    @cached_property
    def _shared(self) -> IntArray:
        """Clips with entries in both parts -> (number of such clips, 2): their numbers in base and delta.

        A clip is in both parts when only some of its windows were replaced. It must be counted once.
        """
        alive = self._alive_docs
        pairs = []
        for clip, clip_id in enumerate(self.delta.clip_ids(np.arange(self.delta.n_clips))):
            docs = self.base.docs_of_clip(clip_id)
            if docs.stop > docs.start and (alive is None or alive[docs].any()):
                pairs.append((int(self.base.clip_of[docs.start]), clip))
        return np.array(pairs, np.int64).reshape(-1, 2)

    # --- counting and listing ---------------------------------------------------------------------------------
    def fields(self) -> set[str]:
        """Names of the facts that recordings have."""
        return self.base.fields() | self.delta.fields()

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
        """Number of entries that match a filter."""
        return len(self) if where is None else sum(map(len, self._rows(where)))

    def iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        """Entries that match a filter, ordered by id."""
        base, delta = self._rows(where)
        pieces = (_stream(self.base, base, vectors), _stream(self.delta, delta, vectors))
        return heapq.merge(*pieces, key=lambda entry: entry.entry_id)

    def sample(self, count: int) -> FloatArray:
        """Up to ``count`` vectors at even distances in the order of ids -> (M, D).

        They serve as a background of scores, so dead rows among them do no harm.
        """
        part = self.base if len(self.base) >= len(self.delta) else self.delta
        rows = np.unique(np.linspace(0, len(part) - 1, min(count, len(part))).astype(np.int64))
        return part.rows_of_vectors(rows)

    def clips(self, where: Filter | None, offset: int, limit: int | None) -> list[StoredClip]:
        """Recordings sorted by clip_id, ``limit`` of them from ``offset`` on.

        Args:
            where: Entries whose recordings are listed; None lists all.
            offset: Number of recordings to skip.
            limit: Largest number of recordings; None has no limit.
        """
        found: dict[str, StoredClip] = {}
        # without a delta, docs are in the final order already: cut the page first and parse only its docs
        cut_first = len(self.delta) == 0
        for part, rows in zip((self.base, self.delta), self._rows(where), strict=True):
            docs, counts = np.unique(part.doc_of[rows], return_counts=True)
            pairs = list(zip(docs.tolist(), counts.tolist(), strict=True))
            for doc, count in pairs[offset:][:limit] if cut_first else pairs:
                text = part.docs[doc]
                clip, path, metadata = part.doc(doc)
                windows = count + (found[text].windows if text in found else 0)
                found[text] = StoredClip(clip, path, metadata, windows)
        if cut_first:
            return list(found.values())
        order = sorted(found, key=lambda k: (found[k].clip_id, k))
        return [found[key] for key in order[offset:][:limit]]

    def clip_ids(self, where: Filter | None) -> list[str]:
        """Ids of recordings, sorted; no document is read."""
        found: set[str] = set()
        for part, rows in zip((self.base, self.delta), self._rows(where), strict=True):
            docs = np.zeros(len(part.docs), np.bool_)
            docs[part.doc_of[rows]] = True
            found.update(part.doc_clips.take(np.flatnonzero(docs).tolist()))
        return sorted(found)


def _named_clips(where: Filter | None) -> list[str] | None:
    """The recordings that a filter names, if it does nothing else."""
    if isinstance(where, Compare) and where.field == "clip_id" and where.op in ("=", "in"):
        return [str(value) for value in where.values]
    return None


def _docs_of(part: Columns, keep: BoolArray | None) -> BoolArray | None:
    """Docs (M,) with at least one row in ``keep`` (N,); None for all."""
    if keep is None:
        return None
    docs = np.zeros(len(part.docs), np.bool_)
    docs[part.doc_of[keep]] = True
    return docs


def _scan(part: Columns, query: FloatArray, top_k: int, kept: IntArray | None) -> IntArray:
    """Rows that may be among the first top_k, by a full scan of the kept rows (None: of all)."""
    if kept is not None and len(kept) <= top_k:
        return kept
    matrix = part.in_memory()
    if matrix is None:
        matrix = part.rows_of_vectors(np.arange(len(part)) if kept is None else kept)
    elif kept is not None:
        matrix = matrix[kept]
    if not len(matrix):
        return np.zeros(0, np.int64)
    best = best_rows(matrix @ query, top_k, MARGIN_F32)
    return best if kept is None else kept[best]


def _best(part: Columns, rows: IntArray, query: FloatArray, top_k: int | None, each: int | None = None) -> list[Match]:
    """Matches of candidate rows by exact score.

    Ties are ordered by row, which is the order of ids.

    Args:
        part: Base or delta.
        rows: (K,) candidates.
        query: (D,).
        top_k: Largest number of matches; None for all.
        each: Largest number of matches per recording; None for no limit.
    """
    vectors = part.rows_of_vectors(rows)
    scores = exact_scores(query, vectors)
    order = np.lexsort((rows, -scores))[:top_k]
    if each is not None:
        order = order[_place_in_group(part.clip_of[part.doc_of[rows[order]]]) < each]
    return part.matches(rows[order], scores[order], vectors[order])


def _place_in_group(groups: npt.NDArray[np.int32]) -> IntArray:
    """For each element (n,), the number of equal elements before it."""
    by_group = np.argsort(groups, kind="stable")
    ordered = groups[by_group]
    first = np.searchsorted(ordered, ordered)  # where each element's group begins in the sorted order
    place = np.empty(len(groups), np.int64)
    place[by_group] = np.arange(len(groups)) - first
    return place


def _stream(part: Columns, rows: IntArray, vectors: bool) -> Iterator[Entry]:
    for start in range(0, len(rows), _BLOCK):
        yield from part.entries(rows[start : start + _BLOCK].tolist(), vectors)
