"""Run: what a system answered, query_id -> gallery_id -> score, from a matrix, embeddings or ranked lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.scores import DenseScores, EmbeddingScores, Scores, SparseScores


@dataclass(frozen=True)
class Run:
    """Scores with ids. Make one by ``from_matrix``, ``from_embeddings`` or ``from_dict``.

    Attributes:
        query_ids: Q ids.
        gallery_ids: N ids.
        scores: Where the (Q, N) scores come from.
        name: Name of the system.
    """

    query_ids: tuple[str, ...]
    gallery_ids: tuple[str, ...]
    scores: Scores
    name: str = "run"

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.query_ids), len(self.gallery_ids)):
            raise DataError(
                f"run {self.name}: scores have shape {self.scores.shape}, "
                f"but there are {len(self.query_ids)} query ids and {len(self.gallery_ids)} gallery ids"
            )

    @classmethod
    def from_matrix(
        cls, scores: npt.ArrayLike, query_ids: Iterable[str], gallery_ids: Iterable[str], name: str = "run"
    ) -> Run:
        """Run from a full (Q, N) score matrix, higher is better."""
        return cls(tuple(query_ids), tuple(gallery_ids), DenseScores(np.asarray(scores, dtype=np.float32)), name)

    @classmethod
    def from_embeddings(
        cls,
        queries: npt.ArrayLike,
        gallery: npt.ArrayLike,
        query_ids: Iterable[str],
        gallery_ids: Iterable[str],
        name: str = "run",
    ) -> Run:
        """Run from embeddings (Q, D) and (N, D): the score is the cosine."""
        scores = EmbeddingScores.of(queries, gallery)
        return cls(tuple(query_ids), tuple(gallery_ids), scores, name)

    @classmethod
    def from_dict(cls, lists: Mapping[str, Mapping[str, float]], name: str = "run") -> Run:
        """Run from ``{query_id: {gallery_id: score}}``; what is not listed counts as not retrieved."""
        gallery = sorted({g for row in lists.values() for g in row})
        place = {g: i for i, g in enumerate(gallery)}
        counts = [len(row) for row in lists.values()]
        items = np.array([place[g] for row in lists.values() for g in row], dtype=np.int64)
        values = np.array([s for row in lists.values() for s in row.values()], dtype=np.float32)
        if not np.isfinite(values).all():
            raise DataError(f"run {name}: scores must be finite numbers, got {values[~np.isfinite(values)][0]}")
        sparse = SparseScores(len(gallery), np.cumsum([0, *counts]), items, values)
        return cls(tuple(lists), tuple(gallery), sparse, name)

    @property
    def is_sparse(self) -> bool:
        """True for ranked lists, which cannot be turned round."""
        return isinstance(self.scores, SparseScores)

    def transposed(self) -> Run:
        """The other direction.

        Raises:
            DataError: The run consists of ranked lists.
        """
        return Run(self.gallery_ids, self.query_ids, self.scores.transposed(), self.name)

    def aligned(self, relevance: Relevance) -> Run:
        """The same scores in the order of ``relevance``.

        A query without a row stays, with an empty list (it will count as a miss).

        Raises:
            DataError: A query or gallery id that the relevance does not know; a full matrix with a hole.
        """
        if self.query_ids == relevance.query_ids and self.gallery_ids == relevance.gallery_ids:
            return self
        self._refuse_unknown(self.query_ids, relevance.query_ids, "query")
        self._refuse_unknown(self.gallery_ids, relevance.gallery_ids, "gallery item")
        rows = _places(relevance.query_ids, self.query_ids)
        columns = _places(relevance.gallery_ids, self.gallery_ids)
        if not self.is_sparse and (columns < 0).any():
            missing = relevance.gallery_ids[int(np.flatnonzero(columns < 0)[0])]
            raise DataError(
                f"run {self.name}: {int((columns < 0).sum())} items of the gallery have no column (first: {missing}); "
                "score the whole pool, or take these clips out of the data"
            )
        scores = self.scores.reordered(rows, columns)
        return Run(relevance.query_ids, relevance.gallery_ids, scores, self.name)

    def _refuse_unknown(self, ids: Sequence[str], known: Sequence[str], what: str) -> None:
        strangers = set(ids).difference(known)
        if strangers:
            first = next(i for i in ids if i in strangers)
            raise DataError(
                f"run {self.name}: {what} {first!r} is not in the data ({len(strangers)} such ids); "
                "is it a run of another split or another pool?"
            )

    def of_queries(self, query_ids: Sequence[str]) -> Run:
        """The rows of some of the queries, against the same gallery."""
        if tuple(query_ids) == self.query_ids:
            return self
        rows, columns = _places(query_ids, self.query_ids), np.arange(len(self.gallery_ids))
        return Run(tuple(query_ids), self.gallery_ids, self.scores.reordered(rows, columns), self.name)

    def missing_queries(self, relevance: Relevance) -> int:
        """Number of queries that the run has no row for."""
        return len(set(relevance.query_ids) - set(self.query_ids))

    def top(self, k: int) -> dict[str, dict[str, float]]:
        """The k best items of every query, best first, ties by smaller id: ``{query_id: {gallery_id: score}}``."""
        order_of_id = np.argsort(np.argsort(np.array(self.gallery_ids)))
        lists: dict[str, dict[str, float]] = {}
        for row, query in enumerate(self.query_ids):
            scores: FloatArray = self.scores.block(row, row + 1)[0]
            best = np.lexsort((order_of_id, -scores))[:k]
            lists[query] = {self.gallery_ids[i]: float(scores[i]) for i in best if scores[i] > -np.inf}
        return lists


def _places(wanted: Sequence[str], have: Sequence[str]) -> npt.NDArray[np.int64]:
    place = {x: i for i, x in enumerate(have)}
    return np.array([place.get(x, -1) for x in wanted], dtype=np.int64)
