"""A frozen set of entries as flat columns: in memory, or in a folder whose files are mapped rather than read.

What many windows of one recording share (path, metadata) is stored once, as a "doc". Texts and words have an inverted
index (term -> docs), numbers a column, so a filter becomes a mask without touching the metadata. Vectors are read row
by row with pread: mapping them would count every touched page as resident memory.

Costs a million entries of 512 numbers: 2 GB of disk, some 30 MB of memory, 0.1 s to open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.engines.local.strings import StringColumn
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
from askaudio.index.words import name_of, words_of

WORD = "\x01word="  # field names that no filter can spell
NAME = "\x01name="
_DOCS_KEPT = 2048  # docs that are kept as they were read: 2 kB each
IN_MEMORY = 20_000  # up to so many rows the vectors are read whole on opening: 40 MB at D = 512
COLUMNS = ("doc_of", "numbers", "seq", "clip_of", "doc_numbers", "starts", "postings")
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """N entries sorted by id, over M docs sorted by (clip_id, path, metadata), with V terms in order.

    Attributes:
        ids: (N,) entry ids.
        doc_of: (N,) doc of each entry.
        numbers: (2, N) start_s and end_s.
        seq: (N,) write number of each entry.
        docs: (M,) JSON ``[clip_id, path, metadata]``.
        doc_clips: (M,) clip ids, sorted.
        clip_of: (M,) number of each doc's clip, counted from 0 in the order of clip ids.
        doc_numbers: (numbers, M), NaN where missing.
        terms: (V,) facts and words.
        postings: docs of term v are ``postings[starts[v]:starts[v + 1]]``.
        vectors: (N, D).
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

    def __len__(self) -> int:
        return len(self.ids)

    # --- reading ----------------------------------------------------------------------------------------------
    def doc(self, row: int) -> tuple[str, str, dict[str, object]]:
        """(clip_id, path, metadata) of a doc; the metadata is shared, do not change it."""
        return self._doc(row)

    @cached_property
    def _doc(self) -> Callable[[int], tuple[str, str, dict[str, object]]]:
        def read(row: int) -> tuple[str, str, dict[str, object]]:
            clip, path, metadata = json.loads(self.docs[row])
            return clip, path, metadata

        return lru_cache(_DOCS_KEPT)(read)

    def entry(self, row: int, vector: FloatArray) -> Entry:
        """The entry of a row, given its vector (D,)."""
        clip, path, metadata = self.doc(int(self.doc_of[row]))
        start, end = float(self.numbers[0, row]), float(self.numbers[1, row])
        return Entry(self.ids[row], clip, vector, start, end, path, metadata)

    def matches(self, rows: IntArray, scores: FloatArray, vectors: FloatArray) -> list[Match]:
        """The entries of some rows as matches, given their scores and vectors (K, D)."""
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
        """The entries of some rows."""
        rows = list(rows)
        wanted = self.rows_of_vectors(np.asarray(rows, np.int64)) if vectors else np.zeros((len(rows), 0), np.float32)
        return [self.entry(row, vector) for row, vector in zip(rows, wanted, strict=True)]

    def rows_of_vectors(self, rows: IntArray) -> FloatArray:
        """Vectors of some rows -> (K, D)."""
        return self.vectors[rows] if isinstance(self.vectors, np.ndarray) else self.vectors.rows(rows)

    def in_memory(self) -> FloatArray | None:
        """All vectors (N, D) when they are in memory, else None."""
        return self.vectors if isinstance(self.vectors, np.ndarray) else None

    # --- filters and words ------------------------------------------------------------------------------------
    def mask(self, where: Filter) -> BoolArray:
        """Which entries satisfy a filter -> (N,)."""
        return fold(where, self._leaf, np.logical_and.reduce, np.logical_or.reduce, np.logical_not)

    def _leaf(self, compare: Compare) -> BoolArray:
        name = compare.field
        if name == "entry_id":
            keep = np.zeros(len(self), np.bool_)
            keep[[row for value in compare.values if (row := self.ids.find(str(value))) >= 0]] = True
            return keep
        if name in ENTRY_NUMBERS:
            return compare_numbers_of(self.numbers[ENTRY_NUMBERS.index(name)], compare)
        return np.asarray(self._doc_leaf(compare)[self.doc_of], np.bool_)

    def _doc_leaf(self, compare: Compare) -> BoolArray:
        name = compare.field
        if name in DOC_NUMBERS:
            return compare_numbers_of(self.doc_numbers[DOC_NUMBERS.index(name)], compare)
        keep = np.zeros(len(self.docs), np.bool_)
        if name in IDS:
            for value in compare.values:
                keep[self.docs_of_clip(str(value))] = True
        elif compare.op == "~":
            for row in self.terms.with_prefix(f"{name}="):
                if str(compare.values[0]) in self.terms[row][len(name) + 1 :]:
                    keep[self._docs_with(row)] = True
        else:
            for value in compare.values:
                if (row := self.terms.find(f"{name}={value}")) >= 0:
                    keep[self._docs_with(row)] = True
        return keep

    def rows_of_clips(self, clip_ids: Iterable[str]) -> IntArray:
        """Rows of the windows of some recordings, in order, without looking at all others."""
        order = self._rows_by_doc
        of_doc = self.doc_of if order is None else self.doc_of[order]
        # of the column's own kind: for any other, numpy would copy the whole column first
        bounds = of_doc.searchsorted(np.stack(self.docs_of_clips(list(set(clip_ids))), axis=1).astype(of_doc.dtype))
        rows = np.concatenate([np.zeros(0, np.int64), *(np.arange(first, end) for first, end in bounds.tolist())])
        return np.sort(rows if order is None else order[rows])

    @cached_property
    def _rows_by_doc(self) -> IntArray | None:
        """Rows in the order of their docs; None when they are so already, as ingestion's ids make them."""
        if np.all(self.doc_of[1:] >= self.doc_of[:-1]):
            return None
        return np.argsort(self.doc_of, kind="stable")

    def docs_of_clip(self, clip_id: str) -> slice:
        """Docs of a recording: one, or several when its entries differ in path or metadata."""
        first, end = self.docs_of_clips([clip_id])
        return slice(int(first[0]), int(end[0]))

    def docs_of_clips(self, clip_ids: Sequence[str]) -> tuple[IntArray, IntArray]:
        """First doc of each recording and the one after its last (n,); an empty range for an unknown one."""
        first = self.doc_clips.places(clip_ids)
        end = first.copy()
        inside = np.flatnonzero(first < len(self.docs))
        there = first[inside].tolist()
        known = inside[
            [text == clip_ids[k] for text, k in zip(self.doc_clips.take(there), inside.tolist(), strict=True)]
        ]
        end[known] = self.clip_of.searchsorted(self.clip_of[first[known]], "right")
        return first, end

    def clips_with(self, term: str, docs: BoolArray | None) -> IntArray:
        """Numbers of the clips that carry a term in one of the docs (M,) that count (None: all do), in order."""
        row = self.terms.find(term)
        if row < 0:
            return np.zeros(0, np.int64)
        having = self._docs_with(row)
        clips = self.clip_of[having if docs is None else having[docs[having]]]  # in order, as docs are
        return clips[np.diff(clips, prepend=-1) > 0].astype(np.int64)

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return int(self.clip_of[-1]) + 1 if len(self.clip_of) else 0

    def clip_id(self, clip: int) -> str:
        """Id of a clip by its number."""
        return self.clip_ids(np.array([clip]))[0]

    def clip_ids(self, clips: IntArray) -> list[str]:
        """Ids of clips (n,) by their numbers."""
        return self.doc_clips.take(self.clip_of.searchsorted(clips.astype(self.clip_of.dtype)).tolist())

    def _docs_with(self, row: int) -> IntArray:
        return self.postings[self.starts[row] : self.starts[row + 1]].astype(np.int64)

    # --- making -----------------------------------------------------------------------------------------------
    @classmethod
    def of(cls, entries: Sequence[Entry], seq: Sequence[int], dim: int) -> Table:
        """Build in memory from entries in any order."""
        order = sorted(range(len(entries)), key=lambda i: entries[i].entry_id)
        keep = [entries[i] for i in order]
        vectors = np.stack([e.vector for e in keep]) if keep else np.zeros((0, dim), np.float32)
        texts: dict[str, int] = {}
        text_of = [texts.setdefault(doc_text(e.clip_id, e.path, e.metadata), len(texts)) for e in keep]
        return make_table(
            [e.entry_id for e in keep],
            list(texts),
            np.array(text_of, np.int64),
            np.array([[e.start_s for e in keep], [e.end_s for e in keep]], np.float64),
            np.array([seq[i] for i in order], np.int64),
            vectors,
        )

    def save(self, folder: Path) -> None:
        """Write all columns but the vectors (whoever made those wrote them) into an existing folder."""
        for name in ("ids", "docs", "doc_clips", "terms"):
            getattr(self, name).save(folder, name)
        for name in COLUMNS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        if isinstance(self.vectors, np.ndarray):
            np.save(folder / "vectors.npy", self.vectors)

    @classmethod
    def load(cls, folder: Path) -> Table:
        """Map what ``save`` wrote; ValueError or OSError when it is damaged."""
        strings: dict[str, Any] = {
            name: StringColumn.load(folder, name) for name in ("ids", "docs", "doc_clips", "terms")
        }
        arrays: dict[str, Any] = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in COLUMNS
        }
        vectors = VectorFile(folder / "vectors.npy")
        if len(vectors) != len(strings["ids"]) or len(arrays["doc_of"]) != len(vectors):
            raise ValueError(f"{folder}: {len(vectors)} vectors, {len(strings['ids'])} ids")
        kept = vectors.all() if len(vectors) <= IN_MEMORY else vectors
        return cls(**strings, **arrays, vectors=kept)


def make_table(
    ids: Sequence[str], texts: Sequence[str], text_of: IntArray, numbers: Float64Array, seq: IntArray,
    vectors: VectorFile | FloatArray,
) -> Table:  # fmt: skip
    """Build the columns from rows that are sorted by id.

    Args:
        ids: (N,) entry ids.
        texts: (M,) JSON ``[clip_id, path, metadata]``, each once, in any order.
        text_of: (N,) which of the texts belongs to each row.
        numbers: (2, N) start_s, end_s.
        seq: (N,) write numbers.
        vectors: (N, D) in the same order.
    """
    clip_ids = [json.loads(text)[0] for text in texts]
    order = sorted(range(len(texts)), key=lambda i: (clip_ids[i], texts[i]))
    rank_of = np.empty(len(texts), np.int32)
    rank_of[order] = np.arange(len(texts), dtype=np.int32)
    clips = [clip_ids[i] for i in order]
    having: dict[str, list[int]] = {}
    values = np.full((len(DOC_NUMBERS), len(texts)), np.nan)
    for row, i in enumerate(order):  # one parsed doc at a time: all of them would take a gigabyte
        _, path, metadata = json.loads(texts[i])
        words = {WORD + word for word in words_of(path, metadata)}
        for term in terms_of(path, metadata) | words | {NAME + name_of(path)}:
            having.setdefault(term, []).append(row)
        for column, name in enumerate(DOC_NUMBERS):
            if (value := number_of(metadata, name)) is not None:
                values[column, row] = value
    terms = sorted(having)
    starts = np.zeros(len(terms) + 1, np.int64)
    np.cumsum([len(having[t]) for t in terms], out=starts[1:])
    return Table(
        ids=StringColumn.of(ids),
        doc_of=rank_of[text_of],
        numbers=numbers,
        seq=seq,
        docs=StringColumn.of(texts[i] for i in order),
        doc_clips=StringColumn.of(clips),
        clip_of=np.cumsum([0, *(a != b for a, b in pairwise(clips))], dtype=np.int32)[: len(clips)],
        doc_numbers=values,
        terms=StringColumn.of(terms),
        starts=starts,
        postings=np.fromiter((row for t in terms for row in having[t]), np.int32, int(starts[-1])),
        vectors=vectors,
    )


class VectorFile:
    """Rows of a float32 .npy file, read on demand with pread; safe for threads."""

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.ndim != 2 or mapped.dtype != np.float32:
            raise ValueError(f"{path} holds {mapped.dtype} of shape {mapped.shape}, expected float32 (N, D)")
        self._rows, self.dim = mapped.shape
        self._offset = int(mapped.offset)
        self._path = path
        self._file = path.open("rb", buffering=0)

    def __len__(self) -> int:
        return self._rows

    def rows(self, rows: IntArray) -> FloatArray:
        """(K,) row numbers -> (K, D); rows that follow each other are read in one go."""
        out = np.empty((len(rows), self.dim), np.float32)
        size, descriptor = 4 * self.dim, self._file.fileno()
        bytes_out = out.data.cast("B") if len(rows) else memoryview(b"")
        starts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist()]
        for first, last in pairwise([*starts, len(rows)]):
            place = self._offset + int(rows[first]) * size if len(rows) else 0
            _read_fully(descriptor, bytes_out[first * size : last * size], place)
        return out

    def all(self) -> FloatArray:
        """Everything -> (N, D)."""
        return np.load(self._path, allow_pickle=False)


class VectorWriter:
    """A float32 .npy file of (N, D) rows that are written in any order: the counterpart of ``VectorFile``.

    A mapped file would do, but then every page that was written counts as memory of this process.
    """

    def __init__(self, path: Path, rows: int, dim: int) -> None:
        self._file = path.open("wb", buffering=0)
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._offset, self._row_bytes = self._file.tell(), 4 * dim
        self._file.truncate(self._offset + rows * self._row_bytes)

    def write(self, rows: IntArray, vectors: FloatArray) -> None:
        """Put (K, D) vectors at (K,) row numbers; rows that follow each other are written in one go."""
        data = np.ascontiguousarray(vectors, dtype="<f4")
        starts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist()]
        for first, last in pairwise([*starts, len(rows)]):
            self._file.seek(self._offset + int(rows[first]) * self._row_bytes)
            left = data[first:last].data.cast("B")
            while len(left):  # one call writes at most 2 GiB
                left = left[self._file.write(left) :]

    def close(self) -> None:
        """Make it safe on disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def _read_fully(descriptor: int, target: memoryview, place: int) -> None:
    """One call reads at most 2 GiB, and the system may give less than was asked for."""
    while len(target):
        count = os.preadv(descriptor, [target], place)
        if count <= 0:
            raise OSError("a file of vectors ends too early")
        target, place = target[count:], place + count


def compare_numbers_of(column: Float64Array, compare: Compare) -> BoolArray:
    """``compare_numbers`` for a whole column."""
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
