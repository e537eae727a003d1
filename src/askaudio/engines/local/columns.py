"""An immutable set of entries as flat columns, in memory or in a folder whose files are mapped into memory.

The layout follows from how search uses it:

- Windows of one recording share path and metadata. This shared part is stored once as a "doc" (one line of JSON), and
  ``doc_of`` points from each entry to its doc. JSON is parsed only for hits that are shown.
- A filter must not parse a million docs. So every text and word of a doc is a term of an inverted index (term -> docs),
  and every number is a column. A filter becomes a boolean mask over docs, and ``doc_of`` spreads it over the entries.
- Everything is sorted: entries by id, docs by clip id, terms by text. So a lookup is a binary search, ties in a ranking
  are ordered by row number, and no hash table must be built on opening.

Costs for a million entries of 512 numbers: 2 GB of disk, some 30 MB of memory, 0.1 s to open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.engines.local.strings import StringColumn
from askaudio.engines.local.vector_file import VectorFile
from askaudio.index.checksum import checksums_of, lower_half
from askaudio.index.entries import Doc, Entry, Match, doc_text
from askaudio.index.filters import (
    DOC_NUMBERS,
    ENTRY_NUMBERS,
    IDS,
    Compare,
    Filter,
    fold,
    number_of,
    terms_of,
)
from askaudio.index.words import matches_inside, name_of, words_of

# Words and file names are terms of the same inverted index as ``field=text``. The control character keeps them apart:
# a field name in a filter cannot contain it.
WORD = "\x01word="
NAME = "\x01name="
IN_MEMORY = 20_000  # up to this number of rows, opening reads all vectors: 40 MB at D = 512
_DOCS_KEPT = 2048  # parsed docs in the cache, about 2 kB each
_STRINGS = ("ids", "docs", "doc_clips", "terms")
_ARRAYS = ("doc_of", "numbers", "seq", "clip_of", "doc_numbers", "starts", "postings")
_CHECKSUMS = "checksums"  # beside the arrays, but missing in folders of older versions
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """N entries sorted by id, over M docs sorted by (clip_id, text), with V sorted terms.

    Attributes:
        ids: (N,) entry ids.
        doc_of: (N,) doc of each entry.
        numbers: (2, N) start_s and end_s.
        seq: (N,) write number of each entry.
        docs: (M,) JSON ``[clip_id, path, metadata]``.
        doc_clips: (M,) clip ids, sorted. Also part of ``docs``, but here they can be searched.
        clip_of: (M,) number of each doc's clip: 0, 1, ... in the order of clip ids.
        doc_numbers: (len(DOC_NUMBERS), M), NaN where missing.
        terms: (V,) texts and words.
        starts: (V + 1,) docs of term v are ``postings[starts[v]:starts[v + 1]]``, ascending.
        postings: Docs of all terms, one list after the other.
        vectors: (N, D), of length 1.
        checksums: (N,) checksums of the rows; None in a folder that an older version wrote.
    """

    ids: StringColumn
    doc_of: npt.NDArray[np.int32]
    numbers: Float64Array
    seq: IntArray
    docs: StringColumn
    doc_clips: StringColumn
    clip_of: npt.NDArray[np.int32]
    doc_numbers: Float64Array
    terms: StringColumn
    starts: IntArray
    postings: npt.NDArray[np.int32]
    vectors: VectorFile | FloatArray
    checksums: IntArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    # --- rows -> entries --------------------------------------------------------------------------------------
    def doc(self, row: int) -> tuple[str, str, dict[str, object]]:
        """(clip_id, path, metadata) of a doc. The metadata is shared: do not change it."""
        return self._doc(row)

    @cached_property
    def _doc(self) -> Callable[[int], tuple[str, str, dict[str, object]]]:
        # a cache per object; lru_cache on the method itself would be shared and keep dead objects alive
        def read(row: int) -> tuple[str, str, dict[str, object]]:
            try:
                clip, path, metadata = json.loads(self.docs[row])
            except ValueError as error:  # this may happen after a search, when a hit is shown: too late to fall back
                raise IndexStoreError(
                    f"the search cache is damaged: doc {row} is not JSON. Fix: askaudio collection repair"
                ) from error
            return clip, path, metadata

        return lru_cache(_DOCS_KEPT)(read)

    def _entry(self, row: int, vector: FloatArray) -> Entry:
        clip, path, metadata = self.doc(int(self.doc_of[row]))
        start, end = float(self.numbers[0, row]), float(self.numbers[1, row])
        return Entry(self.ids[row], clip, vector, start, end, path, metadata)

    def matches(self, rows: IntArray, scores: FloatArray, vectors: FloatArray) -> list[Match]:
        """Matches of some rows.

        A search makes hundreds of matches and shows ten, so this reads whole columns at once and leaves the docs
        unparsed: a ``Doc`` reads its JSON when its path or metadata is used.

        Args:
            rows: (K,) row numbers.
            scores: (K,).
            vectors: (K, D).
        """
        docs = self.doc_of[rows].tolist()
        texts = zip(self.ids.take(rows.tolist()), self.doc_clips.take(docs), docs, strict=True)
        columns = scores, *self.numbers[:, rows]
        found = []
        for (key, clip, doc), score, start, end, vector in zip(
            texts, *(column.tolist() for column in columns), vectors, strict=True
        ):
            found.append(Match(key, clip, score, start, end, Doc(self._doc, doc), vector))
        return found

    def entries(self, rows: Iterable[int], vectors: bool = True) -> list[Entry]:
        """The entries of some rows; without vectors, their ``vector`` has shape (0,)."""
        rows = list(rows)
        found = self.rows_of_vectors(np.asarray(rows, np.int64)) if vectors else np.zeros((len(rows), 0), np.float32)
        return [self._entry(row, vector) for row, vector in zip(rows, found, strict=True)]

    def rows_of_vectors(self, rows: IntArray) -> FloatArray:
        """Vectors of (K,) rows -> (K, D)."""
        return self.vectors[rows] if isinstance(self.vectors, np.ndarray) else self.vectors.rows(rows)

    def verify_vectors(self) -> None:
        """Read all vectors and compare them with their checksums.

        Raises:
            ValueError: A vector does not match; those in memory were verified when they were read.
        """
        for start in range(0, len(self), IN_MEMORY):
            self.rows_of_vectors(np.arange(start, min(len(self), start + IN_MEMORY)))

    def in_memory(self) -> FloatArray | None:
        """All vectors (N, D) if they are in memory, else None."""
        return self.vectors if isinstance(self.vectors, np.ndarray) else None

    # --- filters ----------------------------------------------------------------------------------------------
    def mask(self, where: Filter) -> BoolArray:
        """Which entries match a filter -> (N,)."""
        return fold(where, self._leaf, np.logical_and.reduce, np.logical_or.reduce, np.logical_not)

    def _leaf(self, compare: Compare) -> BoolArray:
        name = compare.field
        if name == "entry_id":
            keep = np.zeros(len(self), np.bool_)
            keep[[row for value in compare.values if (row := self.ids.find(str(value))) >= 0]] = True
            return keep
        if name in ENTRY_NUMBERS:
            return _compare_column(self.numbers[ENTRY_NUMBERS.index(name)], compare)
        return np.asarray(self._doc_leaf(compare)[self.doc_of], np.bool_)

    def _doc_leaf(self, compare: Compare) -> BoolArray:
        """Which docs satisfy a comparison -> (M,)."""
        name = compare.field
        if name in DOC_NUMBERS:
            return _compare_column(self.doc_numbers[DOC_NUMBERS.index(name)], compare)
        keep = np.zeros(len(self.docs), np.bool_)
        if name in IDS:
            for value in compare.values:
                keep[self.docs_of_clip(str(value))] = True
        elif compare.op == "~":
            # terms of one field are neighbours in the sorted column: only those are looked at
            for row in self.terms.with_prefix(f"{name}="):
                if str(compare.values[0]) in self.terms[row][len(name) + 1 :]:
                    keep[self._docs_with(row)] = True
        else:
            for value in compare.values:
                if (row := self.terms.find(f"{name}={value}")) >= 0:
                    keep[self._docs_with(row)] = True
        return keep

    # --- recordings -------------------------------------------------------------------------------------------
    def rows_of_clips(self, clip_ids: Iterable[str]) -> IntArray:
        """Rows of all windows of some recordings, ascending, found without a scan over the other rows."""
        order = self._rows_by_doc
        of_doc = self.doc_of if order is None else self.doc_of[order]
        # the bounds must have the dtype of the column: for any other, searchsorted copies the whole column first
        bounds = of_doc.searchsorted(np.stack(self._docs_of_clips(list(set(clip_ids))), axis=1).astype(of_doc.dtype))
        rows = np.concatenate([np.zeros(0, np.int64), *(np.arange(first, end) for first, end in bounds.tolist())])
        return np.sort(rows if order is None else order[rows])

    @cached_property
    def _rows_by_doc(self) -> IntArray | None:
        """Rows in the order of their docs; None if they are in that order already.

        Ingestion makes entry ids from clip ids (``CLIP#0``, ``CLIP#1``, ...). So rows sorted by entry id are usually
        sorted by clip, hence by doc, and no second order of a million rows is needed.
        """
        if np.all(self.doc_of[1:] >= self.doc_of[:-1]):
            return None
        return np.argsort(self.doc_of, kind="stable")

    def docs_of_clip(self, clip_id: str) -> slice:
        """Docs of a recording: one, or several if its entries differ in path or metadata; an empty slice if unknown."""
        first, end = self._docs_of_clips([clip_id])
        return slice(int(first[0]), int(end[0]))

    def _docs_of_clips(self, clip_ids: Sequence[str]) -> tuple[IntArray, IntArray]:
        """Bounds (n,) and (n,) of each recording's docs; equal bounds for an unknown recording."""
        first = self.doc_clips.places(clip_ids)
        end = first.copy()
        # ``places`` says where an id is or would be inserted: an id is known if the doc at this place carries it
        inside = np.flatnonzero(first < len(self.docs))
        texts = self.doc_clips.take(first[inside].tolist())
        known = inside[[text == clip_ids[k] for text, k in zip(texts, inside.tolist(), strict=True)]]
        # docs of one clip are neighbours with the same number in clip_of
        end[known] = self.clip_of.searchsorted(self.clip_of[first[known]], "right")
        return first, end

    def clips_with(self, term: str, docs: BoolArray | None) -> IntArray:
        """Numbers of the clips that carry a term, ascending, each once.

        Args:
            term: ``WORD`` or ``NAME`` and a text.
            docs: (M,) docs that count; None for all.
        """
        row = self.terms.find(term)
        having = self._docs_with(row) if row >= 0 else np.zeros(0, np.int64)
        if term.startswith(WORD) and matches_inside(word := term.removeprefix(WORD)):
            rows = self.terms.containing(word, self.terms.with_prefix(WORD))
            having = np.unique(np.concatenate([having, *map(self._docs_with, rows)]))
        clips = self.clip_of[having if docs is None else having[docs[having]]]
        # ascending, because the docs of a term are: equal numbers are neighbours, and no sort is needed
        return clips[np.diff(clips, prepend=-1) > 0].astype(np.int64)

    def fields(self) -> set[str]:
        """Names of the facts that recordings have, found by one lookup for each name."""
        found = {name for name, column in zip(DOC_NUMBERS, self.doc_numbers, strict=True) if not np.isnan(column).all()}
        row = self.terms.with_prefix("\x01").stop  # words and names of files come first
        while row < len(self.terms):
            name = self.terms[row].partition("=")[0]
            found.add(name)
            row = max(row + 1, self.terms.with_prefix(f"{name}=").stop)
        return found

    @property
    def n_clips(self) -> int:
        """Number of recordings."""
        return int(self.clip_of[-1]) + 1 if len(self.clip_of) else 0

    def clip_ids(self, clips: IntArray) -> list[str]:
        """Ids of clips (n,) by their numbers."""
        return self.doc_clips.take(self.clip_of.searchsorted(clips.astype(self.clip_of.dtype)).tolist())

    def _docs_with(self, row: int) -> IntArray:
        """Docs that carry the term of a row, ascending."""
        return self.postings[self.starts[row] : self.starts[row + 1]].astype(np.int64)

    def reindexed(self) -> Columns:
        """The same entries, with terms made again by the present rules (``words.RULES``)."""
        return replace(self, **_index_docs(self.docs))

    # --- files ------------------------------------------------------------------------------------------------
    @classmethod
    def of(cls, entries: Sequence[Entry], seq: Sequence[int], dim: int) -> Columns:
        """Build columns in memory.

        Args:
            entries: N entries in any order, with distinct ids.
            seq: (N,) their write numbers.
            dim: D, for the case that there are no entries.
        """
        order = sorted(range(len(entries)), key=lambda i: entries[i].entry_id)
        keep = [entries[i] for i in order]
        texts: dict[str, int] = {}
        text_of = [texts.setdefault(doc_text(e.clip_id, e.path, e.metadata), len(texts)) for e in keep]
        return build_columns(
            ids=[e.entry_id for e in keep],
            texts=list(texts),
            text_of=np.array(text_of, np.int64),
            numbers=np.array([[e.start_s for e in keep], [e.end_s for e in keep]], np.float64),
            seq=np.array([seq[i] for i in order], np.int64),
            vectors=np.stack([e.vector for e in keep]) if keep else np.zeros((0, dim), np.float32),
            checksums=checksums_of(keep, dim),
        )

    def save(self, folder: Path) -> None:
        """Write all columns into an existing folder. Vectors in a ``VectorFile`` are already there and stay."""
        for name in _STRINGS:
            getattr(self, name).save(folder, name)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        if self.checksums is not None:
            np.save(folder / f"{_CHECKSUMS}.npy", self.checksums)
        if isinstance(self.vectors, np.ndarray):
            np.save(folder / "vectors.npy", self.vectors)

    @classmethod
    def load(cls, folder: Path) -> Columns:
        """Map what ``save`` wrote.

        Raises:
            ValueError: A file is damaged, or the files do not belong together.
            OSError: A file is missing.
        """
        strings: dict[str, Any] = {name: StringColumn.load(folder, name) for name in _STRINGS}
        # asarray: a numpy.memmap object is slower to index than an array over the same memory
        arrays: dict[str, Any] = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in _ARRAYS
        }
        sums = None
        if (folder / f"{_CHECKSUMS}.npy").exists():
            sums = np.asarray(np.load(folder / f"{_CHECKSUMS}.npy", allow_pickle=False))
        vectors = VectorFile(folder / "vectors.npy", None if sums is None else lower_half(sums))
        if len(vectors) != len(strings["ids"]) or len(arrays["doc_of"]) != len(vectors):
            raise ValueError(f"{folder}: {len(vectors)} vectors, {len(strings['ids'])} ids")
        kept = vectors.all() if len(vectors) <= IN_MEMORY else vectors
        return cls(**strings, **arrays, vectors=kept, checksums=sums)


def build_columns(
    *,
    ids: Sequence[str],
    texts: Sequence[str],
    text_of: IntArray,
    numbers: Float64Array,
    seq: IntArray,
    vectors: VectorFile | FloatArray,
    checksums: IntArray,
) -> Columns:
    """Build the columns from rows that are sorted by id.

    Args:
        ids: (N,) entry ids.
        texts: (M,) JSON ``[clip_id, path, metadata]``, each once, in any order.
        text_of: (N,) index into ``texts`` of each row.
        numbers: (2, N) start_s and end_s.
        seq: (N,) write numbers.
        vectors: (N, D) in the same order.
        checksums: (N,) checksums of the rows.
    """
    clip_ids = [json.loads(text)[0] for text in texts]
    order = sorted(range(len(texts)), key=lambda i: (clip_ids[i], texts[i]))
    # order[new] = old; the inverse maps the index of a text to the row of its doc
    rank_of = np.empty(len(texts), np.int32)
    rank_of[order] = np.arange(len(texts), dtype=np.int32)
    clips = [clip_ids[i] for i in order]
    docs = StringColumn.of(texts[i] for i in order)
    return Columns(
        ids=StringColumn.of(ids),
        doc_of=rank_of[text_of],
        numbers=numbers,
        seq=seq,
        docs=docs,
        doc_clips=StringColumn.of(clips),
        # a clip's number is the count of changes of clip id before it
        clip_of=np.cumsum([0, *(a != b for a, b in pairwise(clips))], dtype=np.int32)[: len(clips)],
        vectors=vectors,
        checksums=checksums,
        **_index_docs(docs),
    )


def _index_docs(texts: Sequence[str]) -> dict[str, Any]:
    """The columns terms, starts, postings and doc_numbers of M docs."""
    terms: dict[str, list[int]] = {}
    values = np.full((len(DOC_NUMBERS), len(texts)), np.nan)
    for row, text in enumerate(texts):  # one parsed doc at a time: a million of them would take a gigabyte
        _, path, metadata = json.loads(text)
        words = {WORD + word for word in words_of(path, metadata)}
        for term in terms_of(path, metadata) | words | {NAME + name_of(path)}:
            terms.setdefault(term, []).append(row)
        for column, name in enumerate(DOC_NUMBERS):
            if (value := number_of(metadata, name)) is not None:
                values[column, row] = value
    names = sorted(terms)
    starts = np.zeros(len(names) + 1, np.int64)
    np.cumsum([len(terms[name]) for name in names], out=starts[1:])
    postings = np.fromiter((row for name in names for row in terms[name]), np.int32, int(starts[-1]))
    return {"terms": StringColumn.of(names), "starts": starts, "postings": postings, "doc_numbers": values}


def _compare_column(column: Float64Array, compare: Compare) -> BoolArray:
    """``filters.compare_numbers`` for a whole column; NaN satisfies nothing."""
    first = float(compare.values[0])
    match compare.op:
        case "<":
            return np.less(column, first)
        case "<=":
            return np.less_equal(column, first)
        case ">":
            return np.greater(column, first)
        case ">=":
            return np.greater_equal(column, first)
    return np.isin(column, [float(v) for v in compare.values])
