"""Vectors in a float32 .npy file of shape (N, D), read and written row by row.

Why not a memory map: the operating system counts every page of a map that was touched as memory of the process. A
search over a large collection touches most of them, and a service with a memory limit would be killed. Explicit reads
and writes leave the pages in the system's own cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from askaudio.core.types import FloatArray, IntArray
from askaudio.index.checksum import vector_sums


class VectorFile:
    """Rows of a float32 .npy file, read on demand; thread-safe.

    Every row is compared with its checksum when it is read for the first time, so that a flipped bit on disk cannot
    become an answer. This costs 2 us a row of 512 numbers, and nothing on opening.

    Args:
        path: The file; it stays open.
        sums: (N,) CRC-32 of the rows; None to read without verifying.

    Raises:
        ValueError: Not a matrix of float32, or the number of checksums differs from the number of rows.
    """

    def __init__(self, path: Path, sums: IntArray | None = None) -> None:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # reads the header only
        if mapped.ndim != 2 or mapped.dtype != np.float32:
            raise ValueError(f"{path} holds {mapped.dtype} of shape {mapped.shape}, expected float32 (N, D)")
        self._rows, self.dim = mapped.shape
        if sums is not None and sums.shape != (self._rows,):
            raise ValueError(f"{path} has {self._rows} rows and checksums of shape {sums.shape}")
        self._sums = sums
        self._unverified = np.full(self._rows, sums is not None)
        self._offset = int(mapped.offset)
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()  # seek and read are two calls; pread, which is one, does not exist on Windows

    def __len__(self) -> int:
        return self._rows

    def rows(self, rows: IntArray) -> FloatArray:
        """Read (K,) row numbers -> (K, D); consecutive rows are read by one call."""
        out = np.empty((len(rows), self.dim), np.float32)
        if not len(rows):
            return out
        size, bytes_out = 4 * self.dim, out.data.cast("B")
        with self._lock:
            for first, end in _runs(rows):
                self._file.seek(self._offset + int(rows[first]) * size)
                left = bytes_out[first * size : end * size]
                while len(left):  # one call reads at most 2 GiB
                    count = self._file.readinto(left)
                    if not count:
                        raise OSError(f"{self._path} ends too early")
                    left = left[count:]
        self._verify(rows, out)
        return out

    def _verify(self, rows: IntArray, vectors: FloatArray) -> None:
        """Compare (K, D) vectors with the checksums of (K,) rows that were not verified before."""
        if self._sums is None:
            return
        new = np.flatnonzero(self._unverified[rows])
        if len(new):
            wrong = np.flatnonzero(vector_sums(vectors[new]) != self._sums[rows[new]])
            if len(wrong):
                raise ValueError(f"{self._path}: row {rows[new[wrong[0]]]} does not match its checksum")
            self._unverified[rows[new]] = False

    def all(self) -> FloatArray:
        """Read everything -> (N, D)."""
        return self.rows(np.arange(self._rows))


class VectorWriter:
    """A float32 .npy file of (N, D) rows that are written in any order: the counterpart of ``VectorFile``.

    Args:
        path: The file, replaced if it exists.
        rows: N.
        dim: D.
    """

    def __init__(self, path: Path, rows: int, dim: int) -> None:
        self._file = path.open("wb", buffering=0)
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._offset, self._row_bytes = self._file.tell(), 4 * dim
        self._file.truncate(self._offset + rows * self._row_bytes)

    def write(self, rows: IntArray, vectors: FloatArray) -> None:
        """Write (K, D) vectors to (K,) row numbers; consecutive rows are written by one call."""
        data = np.ascontiguousarray(vectors, dtype="<f4")
        for first, end in _runs(rows):
            self._file.seek(self._offset + int(rows[first]) * self._row_bytes)
            left = data[first:end].data.cast("B")
            while len(left):  # one call writes at most 2 GiB
                left = left[self._file.write(left) :]

    def close(self) -> None:
        """Flush the file to disk and close it."""
        os.fsync(self._file.fileno())
        self._file.close()


def _runs(rows: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges [first, end) of positions at which row numbers follow each other without a gap."""
    breaks = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    return pairwise([0, *breaks, len(rows)]) if len(rows) else iter(())
