"""Fast candidates from faiss for a large table; whoever asks scores them exactly afterwards.

- up to FLAT_ROWS rows: every vector in half precision, a full scan (46 ms a million rows of 512 numbers on one core);
- above: as few dimensions as keep ENERGY of the vectors' length (trained encoders fill a small part of their space), in
  inverted lists over 4-bit codes, of which PROBES are read for a query; the best of them are ranked by 8-bit codes.
  A text lies far from all sounds, so its neighbours are spread over many lists: 64 of 2,048 lists missed 8 % of them,
  so many lists of small codes beat few lists of large ones. How much energy is kept decides for encoders that
  fill their space, as the one in the box does: .98 of it missed 12 % of the texts' neighbours, .998 misses 1 %.

Costs at a million rows of 512 numbers from a trained encoder: see ``benchmarks/index/results.md``.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.engines.local.table import VectorFile
from askaudio.index.ranking import MARGIN_F16

FLAT_ROWS = 50_000
ENERGY = 0.998
PROBES = 192
_REFINED, _LEAST_REFINED = 4, 1024  # candidates ranked by 8-bit codes: for each one that is wanted, and at least
_BLOCK = 50_000


def build(vectors: VectorFile | FloatArray, target: Path) -> None:
    """Build an index over (N, D) vectors of length 1 and write it to ``target`` (not atomic: give a temporary name)."""
    import faiss

    index: Any
    n = len(vectors)
    dim = int(vectors.shape[1]) if isinstance(vectors, np.ndarray) else vectors.dim
    if n <= FLAT_ROWS:
        index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    else:
        lists = 2 ** round(np.log2(2 * sqrt(n)))  # 2048 at a million
        rows = np.sort(np.random.default_rng(0).choice(n, min(n, 40 * lists), replace=False))  # seeded: same index
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
    """The directions (d, D) that hold most of the length of the rows (M, D), a strong one beside a weak one.

    Not centred, unlike principal components: products of rows must stay what they are. Each 4-bit code stands for two
    directions; where both are strong, 16 values are too few (59 % of the ten best among the first 20 candidates, with
    the strongest first), where one of them is weak, nearly all serve the other (89 %).

    Source: Ge et al., "Optimized Product Quantization", CVPR 2013 (eigenvalue allocation).
    """
    energy, directions = np.linalg.eigh(sample.T @ sample)  # weakest first
    kept = np.cumsum(energy[::-1]) / energy.sum()
    dim = min(sample.shape[1] // 2 * 2, 8 * -(-(int(np.searchsorted(kept, ENERGY)) + 1) // 8))  # whole registers
    strongest = directions[:, ::-1][:, :dim].T
    order = np.stack([np.arange(dim // 2), dim - 1 - np.arange(dim // 2)], axis=1).ravel()
    return np.ascontiguousarray(strongest[order], dtype=np.float32)


def _transform(matrix: FloatArray) -> Any:
    """The map x -> matrix @ x in the library's own form."""
    import faiss

    transform = faiss.LinearTransform(matrix.shape[1], matrix.shape[0], False)
    faiss.copy_array_to_vector(matrix.ravel(), transform.A)
    transform.is_trained = True
    return transform


def _rows(vectors: VectorFile | FloatArray, rows: IntArray) -> FloatArray:
    return vectors[rows] if isinstance(vectors, np.ndarray) else vectors.rows(rows)


class Accelerator:
    """An index that ``build`` wrote, opened for searching."""

    def __init__(self, path: Path) -> None:
        import faiss

        self._faiss: Any = faiss
        self._index: Any = faiss.read_index(str(path))
        reduced = getattr(self._index, "index", None)
        self.exhaustive = reduced is None
        self._lists: Any = None  # below the reduction of dimensions and the ranking by 8-bit codes
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
            count: How many.
            keep: (N,) rows that may be returned; None for all.

        Returns:
            Approximate scores (Q, count), best first, and row numbers (Q, count), -1 where there are fewer.
        """
        bits = None if keep is None else np.packbits(keep, bitorder="little")
        selector = None if bits is None else self._faiss.IDSelectorBitmap(bits)
        if self.exhaustive:
            parameters = self._faiss.SearchParameters(sel=selector) if selector is not None else None
        else:
            share = 1.0 if keep is None else max(float(keep.mean()), 1e-9)
            # few rows left by a filter lie in few lists: read more of them
            probes = min(int(PROBES * max(1.0, 0.25 / share)), self._lists.nlist)
            inner = self._faiss.SearchParametersIVF(sel=selector, nprobe=probes)
            factor = max(_REFINED, _LEAST_REFINED / count)
            refined = self._faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=inner)
            parameters = self._faiss.SearchParametersPreTransform(index_params=refined)
        scores, rows = self._index.search(queries, count, params=parameters)
        return scores, rows
