"""Run: the scores of a system, query_id -> gallery_id -> score, from a matrix, embeddings or ranked lists."""

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
    """Scores with ids. Created by ``from_matrix``, ``from_embeddings`` or ``from_dict``.

    Attributes:
        query_ids: Q ids.
        gallery_ids: N ids.
        scores: Source of the (Q, N) scores.
        name: Name of the system.

    Example:
        >>> from askaudio.evaluation.run import Run
        >>> run = Run.from_dict({"a dog barks": {"dog.wav": 0.9, "cat.wav": 0.1}}, name="mine")
        >>> run.top(1)["a dog barks"].keys()
        dict_keys(['dog.wav'])
        >>> Run.from_embeddings([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], ["q"], ["a", "b"]).top(2)
        {'q': {'a': 1.0, 'b': 0.0}}
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
        """Run from a full score matrix.

        Args:
            scores: (Q, N) scores; higher is better.
            query_ids: Q ids.
            gallery_ids: N ids.
            name: Name of the system.

        Raises:
            DataError: The numbers of ids do not fit the matrix.
        """
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
        """Run from embeddings; the score is the cosine.

        Args:
            queries: (Q, D) embeddings.
            gallery: (N, D) embeddings.
            query_ids: Q ids.
            gallery_ids: N ids.
            name: Name of the system.

        Raises:
            DataError: Shapes that do not fit, or a value that is not finite.
        """
        scores = EmbeddingScores.of(queries, gallery)
        return cls(tuple(query_ids), tuple(gallery_ids), scores, name)

    @classmethod
    def from_dict(cls, lists: Mapping[str, Mapping[str, float]], name: str = "run") -> Run:
        """Run from ranked lists ``{query_id: {gallery_id: score}}``; items that are not listed count as not retrieved.

        Raises:
            DataError: A score that is not finite.
        """
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
        """True for ranked lists, which cannot be transposed."""
        return isinstance(self.scores, SparseScores)

    def transposed(self) -> Run:
        """The other direction.

        Raises:
            DataError: The run consists of ranked lists.
        """
        return Run(self.gallery_ids, self.query_ids, self.scores.transposed(), self.name)

    def aligned(self, relevance: Relevance) -> Run:
        """The same scores in the order of ``relevance``.

        A query without a row is kept with an empty list (it then counts as a miss).

        Raises:
            DataError: A query or gallery id that the relevance lacks; a full matrix without a column for every item.
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
                "score the whole gallery, or remove these clips from the data"
            )
        scores = self.scores.reordered(rows, columns)
        return Run(relevance.query_ids, relevance.gallery_ids, scores, self.name)

    def _refuse_unknown(self, ids: Sequence[str], known: Sequence[str], what: str) -> None:
        unknown = set(ids).difference(known)
        if unknown:
            first = next(i for i in ids if i in unknown)
            raise DataError(
                f"run {self.name}: {what} {first!r} is not in the data ({len(unknown)} such ids); "
                "is it a run of another split or another gallery?"
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


def _places(ids: Sequence[str], available: Sequence[str]) -> npt.NDArray[np.int64]:
    place = {x: i for i, x in enumerate(available)}
    return np.array([place.get(x, -1) for x in ids], dtype=np.int64)
