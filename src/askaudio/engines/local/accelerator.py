"""Candidates from a faiss index for a large base; ``View`` scores them exactly afterwards.

Two kinds of index, by the number of rows:

- Up to FLAT_ROWS: all vectors in half precision and a full scan (46 ms for a million rows of 512 numbers on one core).
- Above: the vectors are reduced to the dimensions that keep ENERGY of their squared length, because trained encoders
  use a small part of their space. The result goes into inverted lists of 4-bit codes. A query reads PROBES lists, and
  the best of their rows are ranked by 8-bit codes.

Why this number of lists: a text is far from all sounds, so its neighbors are spread over many lists. Reading 64 of
2,048 lists missed 8 % of them; many lists of small codes found more in the same time than few lists of large codes.
Why this much energy: the shipped encoder uses most of its space. ENERGY = 0.98 missed 12 % of the neighbors of texts,
0.998 misses 1 %.

Costs for a million rows of 512 numbers from a trained encoder: see ``benchmarks/index/results.md``.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.engines.local.vector_file import VectorFile
from askaudio.index.ranking import MARGIN_F16

FLAT_ROWS = 50_000
ENERGY = 0.998
PROBES = 192
_REFINED, _LEAST_REFINED = 4, 1024  # candidates ranked by 8-bit codes: per requested row, and at least
_BLOCK = 50_000


def build(vectors: VectorFile | FloatArray, target: Path) -> None:
    """Build an index over (N, D) vectors of length 1.

    Args:
        vectors: (N, D), read in blocks.
        target: File to write. Writing is not atomic, so it must be in a folder that nobody opens yet.
    """
    import faiss

    index: Any
    n = len(vectors)
    dim = int(vectors.shape[1]) if isinstance(vectors, np.ndarray) else vectors.dim
    if n <= FLAT_ROWS:
        index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    else:
        lists = 2 ** round(np.log2(2 * sqrt(n)))  # 2048 at a million
        # a fixed seed: the same vectors give the same index
        rows = np.sort(np.random.default_rng(0).choice(n, min(n, 40 * lists), replace=False))
        sample = _rows(vectors, rows)
        reduction = _reduction(sample)
        kind = f"IVF{lists},PQ{len(reduction) // 2}x4fs,Refine(SQ8)"
        inner = faiss.index_factory(len(reduction), kind, faiss.METRIC_INNER_PRODUCT)
        index = faiss.IndexPreTransform(_transform(reduction), inner)
        index.train(sample)
    for start in range(0, n, _BLOCK):
        index.add(_rows(vectors, np.arange(start, min(n, start + _BLOCK))))
    faiss.write_index(index, str(target))


def _reduction(sample: FloatArray) -> FloatArray:
    """Directions (d, D) that keep ENERGY of the squared length of the rows (M, D), strong and weak ones alternating.

    The rows are not centred, unlike in principal component analysis, because inner products must not change. One 4-bit
    code describes two neighboring directions. If both are strong, its 16 values are too few: with the strongest
    directions first, 59 % of the ten best rows were among the first 20 candidates. If one of the two is weak, nearly
    all values serve the other: 89 %.

    Source: Ge et al., "Optimized Product Quantization", CVPR 2013 (eigenvalue allocation).
    """
    energy, directions = np.linalg.eigh(sample.T @ sample)  # weakest first
    kept = np.cumsum(energy[::-1]) / energy.sum()
    needed = int(np.searchsorted(kept, ENERGY)) + 1
    dim = min(sample.shape[1] // 2 * 2, 8 * -(-needed // 8))  # rounded up to whole registers of faiss
    strongest = directions[:, ::-1][:, :dim].T
    order = np.stack([np.arange(dim // 2), dim - 1 - np.arange(dim // 2)], axis=1).ravel()
    return np.ascontiguousarray(strongest[order], dtype=np.float32)


def _transform(matrix: FloatArray) -> Any:
    """The map x -> matrix @ x as an object of faiss."""
    import faiss

    transform = faiss.LinearTransform(matrix.shape[1], matrix.shape[0], False)
    faiss.copy_array_to_vector(matrix.ravel(), transform.A)
    transform.is_trained = True
    return transform


def _rows(vectors: VectorFile | FloatArray, rows: IntArray) -> FloatArray:
    return vectors[rows] if isinstance(vectors, np.ndarray) else vectors.rows(rows)


class Accelerator:
    """An index that ``build`` wrote, open for search.

    Attributes:
        exhaustive: Whether every row is scored, so that only ties and rounding need more candidates.
        margin: Bound of the error of its scores, if exhaustive.
    """

    def __init__(self, path: Path) -> None:
        import faiss

        self._faiss: Any = faiss
        self._index: Any = faiss.read_index(str(path))
        reduced = getattr(self._index, "index", None)
        self.exhaustive = reduced is None
        self._lists: Any = None  # the inverted lists, inside two wrappers: reduction and ranking by 8-bit codes
        if reduced is not None:
            refined: Any = faiss.downcast_index(reduced)
            self._lists = faiss.downcast_index(refined.base_index)
        self.margin = MARGIN_F16 if self.exhaustive else 0.0

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def candidates(self, queries: FloatArray, count: int, keep: BoolArray | None) -> tuple[FloatArray, IntArray]:
        """The ``count`` nearest rows for each query.

        Args:
            queries: (Q, D) rows of length 1.
            count: Number of rows for each query.
            keep: (N,) rows that may be returned; None for all.

        Returns:
            Approximate scores (Q, count), best first, and row numbers (Q, count), -1 if there are fewer.
        """
        bits = None if keep is None else np.packbits(keep, bitorder="little")
        selector = None if bits is None else self._faiss.IDSelectorBitmap(bits)
        if self.exhaustive:
            parameters = self._faiss.SearchParameters(sel=selector) if selector is not None else None
        else:
            share = 1.0 if keep is None else max(float(keep.mean()), 1e-9)
            # a filter that keeps few rows leaves few in each list: read more lists
            probes = min(int(PROBES * max(1.0, 0.25 / share)), self._lists.nlist)
            inner = self._faiss.SearchParametersIVF(sel=selector, nprobe=probes)
            factor = max(_REFINED, _LEAST_REFINED / count)
            refined = self._faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=inner)
            parameters = self._faiss.SearchParametersPreTransform(index_params=refined)
        scores, rows = self._index.search(queries, count, params=parameters)
        return scores, rows
