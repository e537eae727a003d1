"""A sorted or unsorted column of texts as two flat files (bytes and offsets) that are mapped, not read, on opening."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from askaudio.core.types import IntArray


class StringColumn(Sequence[str]):
    """N texts in UTF-8.

    Args:
        data: All texts one after the other (uint8).
        offsets: (N + 1,) int64; text i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, data: npt.NDArray[np.uint8], offsets: IntArray) -> None:
        self._data = data
        self._offsets = offsets
        # numpy's own indexing would take three times as long, and a search reads hundreds of texts
        self._bytes, self._places = data.data, offsets.data

    @classmethod
    def of(cls, texts: Iterable[str]) -> StringColumn:
        """Build a column in memory."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(e) for e in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def save(self, folder: Path, name: str) -> None:
        """Write ``name.bytes`` and ``name.offsets.npy``."""
        (folder / f"{name}.bytes").write_bytes(self._data.tobytes())
        np.save(folder / f"{name}.offsets.npy", self._offsets)

    @classmethod
    def load(cls, folder: Path, name: str) -> StringColumn:
        """Map what ``save`` wrote."""
        offsets = np.asarray(np.load(folder / f"{name}.offsets.npy", mmap_mode="r"))  # asarray: memmap is slow to index
        path = folder / f"{name}.bytes"
        data = np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.zeros(0, np.uint8)
        if offsets[-1] != len(data):
            raise ValueError(f"{path} has {len(data)} bytes, its offsets say {offsets[-1]}")
        return cls(data, offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return str(self._bytes[self._places[index] : self._places[index + 1]], "utf-8", "surrogatepass")

    def find(self, text: str) -> int:
        """Row of a text in a SORTED column, -1 when it is absent."""
        row = bisect_left(self, text)
        return row if row < len(self) and self[row] == text else -1

    def with_prefix(self, prefix: str) -> range:
        """Rows of a SORTED column that begin with a text."""
        return range(bisect_left(self, prefix), bisect_left(self, prefix + "\U0010ffff"))
