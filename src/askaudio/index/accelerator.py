"""Fast candidates from faiss for a large table; whoever asks scores them exactly afterwards.

- up to FLAT_ROWS rows: every vector in half precision, a full scan (46 ms a million rows of 512 numbers on one core);
- above: inverted lists over 8-bit codes (``IVF,SQ8``), of which PROBES are read for a query.

Costs at a million rows of 512 numbers: 2.5 CPU-minutes to build, 0.5 GB of memory.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.index.ranking import MARGIN_F16
from askaudio.index.table import VectorFile

FLAT_ROWS = 200_000
PROBES = 16
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
        lists = 2 ** round(np.log2(4 * sqrt(n)))  # 4096 at a million
        index = faiss.index_factory(dim, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        rows = np.sort(np.random.default_rng(0).choice(n, min(n, 40 * lists), replace=False))  # seeded: same index
        index.train(_rows(vectors, rows))
    for start in range(0, n, _BLOCK):
        index.add(_rows(vectors, np.arange(start, min(n, start + _BLOCK))))
    faiss.write_index(index, str(target))


def _rows(vectors: VectorFile | FloatArray, rows: IntArray) -> FloatArray:
    return vectors[rows] if isinstance(vectors, np.ndarray) else vectors.rows(rows)


class Accelerator:
    """An index that ``build`` wrote, opened for searching."""

    def __init__(self, path: Path) -> None:
        import faiss

        self._faiss: Any = faiss
        self._index: Any = faiss.read_index(str(path))
        self.exhaustive = not hasattr(self._index, "nprobe")
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
            probes = min(int(PROBES * max(1.0, 0.25 / share)), self._index.nlist)
            parameters = self._faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        scores, rows = self._index.search(queries, count, params=parameters)
        return scores, rows
