"""Sources of scores: a full matrix, two embedding tables, or ranked lists; all return blocks of rows on demand.

Embedding scores are summed in float64 and rounded to float32: a row's score then does not depend on the block it was
computed in, and equal clips get equal scores (in plain float32 they differ in the last bit, which breaks ties at
random). Costs twice the time of a float32 product: 0.18 s for 5,225 x 1,045 at D = 512 on one core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, IntArray


class Scores(Protocol):
    """Q rows of N scores, higher is better; -inf means that the item was not retrieved."""

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, N)."""
        ...

    def block(self, start: int, stop: int) -> FloatArray:
        """Rows ``start`` to ``stop`` -> (stop - start, N) float32."""
        ...

    def transposed(self) -> Scores:
        """The same scores with queries and gallery exchanged."""
        ...

    def reordered(self, rows: IntArray, columns: IntArray) -> Scores:
        """Rows and columns in another order; row -1 is a query with an empty list."""
        ...


@dataclass(frozen=True)
class DenseScores:
    """A full matrix (Q, N) float32."""

    matrix: FloatArray

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2:
            raise DataError(f"scores must be a (queries, gallery) matrix, got shape {self.matrix.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, N)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def block(self, start: int, stop: int) -> FloatArray:
        """Rows ``start`` to ``stop``."""
        return self.matrix[start:stop]

    def transposed(self) -> DenseScores:
        """Queries and gallery exchanged."""
        return DenseScores(np.ascontiguousarray(self.matrix.T))

    def reordered(self, rows: IntArray, columns: IntArray) -> DenseScores:
        """Rows and columns in another order."""
        matrix = self.matrix[rows][:, columns]
        matrix[rows < 0] = -np.inf
        return DenseScores(matrix)


@dataclass(frozen=True)
class EmbeddingScores:
    """Cosines of two embedding tables, computed a block at a time.

    Attributes:
        queries: (Q, D) rows of length 1.
        gallery: (N, D) rows of length 1.
    """

    queries: FloatArray
    gallery: FloatArray

    @classmethod
    def of(cls, queries: npt.ArrayLike, gallery: npt.ArrayLike) -> EmbeddingScores:
        """Check embeddings (Q, D) and (N, D) and scale their rows to length 1 (a row of zeros stays zero).

        Raises:
            DataError: Not two tables of one dimension, or a value that is not finite.
        """
        tables = []
        for name, rows in (("query", np.asarray(queries)), ("gallery", np.asarray(gallery))):
            if rows.ndim != 2 or rows.shape[1] != np.shape(queries)[-1]:
                raise DataError(
                    f"embeddings must be (Q, D) and (N, D), got {np.shape(queries)} and {np.shape(gallery)}"
                )
            bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
            if len(bad):
                raise DataError(f"{name} embedding in row {bad[0]} is not finite ({len(bad)} such rows)")
            tables.append(normalise_rows(rows))
        return cls(*tables)

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, N)."""
        return len(self.queries), len(self.gallery)

    def block(self, start: int, stop: int) -> FloatArray:
        """Cosines of rows ``start`` to ``stop`` with the whole gallery, 4,096 gallery rows at a time."""
        rows = self.queries[start:stop].astype(np.float64)
        out = np.empty((len(rows), len(self.gallery)), dtype=np.float32)
        for first in range(0, len(self.gallery), 4096):  # (b, D) @ (D, n) -> (b, n); bounds the float64 copy
            part = self.gallery[first : first + 4096].astype(np.float64)
            out[:, first : first + 4096] = rows @ part.T
        return out

    def transposed(self) -> EmbeddingScores:
        """Queries and gallery exchanged."""
        return EmbeddingScores(self.gallery, self.queries)

    def reordered(self, rows: IntArray, columns: IntArray) -> EmbeddingScores:
        """Rows and columns in another order.

        Raises:
            DataError: A query without a row.
        """
        if (rows < 0).any():
            raise DataError("embedding scores have a value for every pair: a query cannot be missing")
        return EmbeddingScores(self.queries[rows], self.gallery[columns])


@dataclass(frozen=True)
class SparseScores:
    """Ranked lists: for each query some gallery rows with scores; items that are not listed were not retrieved.

    Attributes:
        n_gallery: N.
        indptr: (Q + 1,).
        items: (L,) gallery rows.
        values: (L,) scores.
    """

    n_gallery: int
    indptr: IntArray
    items: IntArray
    values: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, N)."""
        return len(self.indptr) - 1, self.n_gallery

    def block(self, start: int, stop: int) -> FloatArray:
        """Rows ``start`` to ``stop``, -inf where nothing is listed."""
        out = np.full((stop - start, self.n_gallery), -np.inf, dtype=np.float32)
        span = slice(self.indptr[start], self.indptr[stop])
        rows = np.repeat(np.arange(stop - start), np.diff(self.indptr[start : stop + 1]))
        out[rows, self.items[span]] = self.values[span]
        return out

    def transposed(self) -> SparseScores:
        """Not possible: the best clips of a text are not the best texts of a clip.

        Raises:
            DataError: Always.
        """
        raise DataError(
            "ranked lists of clips for texts do not determine the ranking of texts for clips; "
            "score audio-to-text from its own run file, or from a full score matrix or embeddings"
        )

    def reordered(self, rows: IntArray, columns: IntArray) -> SparseScores:
        """Rows in another order; ``columns[new] = old``, -1 where the new gallery item was never retrieved."""
        # compressed rows: ``take`` lists the positions in ``items`` of the new rows one after the other
        new_of_old = np.full(self.n_gallery, -1)
        new_of_old[columns[columns >= 0]] = np.flatnonzero(columns >= 0)
        counts = np.where(rows < 0, 0, np.diff(self.indptr)[rows])
        starts = np.where(rows < 0, 0, self.indptr[:-1][rows])
        take = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
        return SparseScores(
            n_gallery=len(columns),
            indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=new_of_old[self.items[take]],
            values=self.values[take],
        )
