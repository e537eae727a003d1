"""A column of texts as two flat arrays, bytes and offsets, in memory or in files that are mapped on opening.

A list of a million Python strings takes 70 MB and a second to read; mapped files take neither. A text is decoded when
it is read. UTF-8 keeps the order of code points, so a column of sorted texts is sorted as bytes too, and a binary
search can compare bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from askaudio.core.types import IntArray

_HEAD = 16  # the search for a text first compares this number of bytes


class StringColumn(Sequence[str]):
    """N texts in UTF-8.

    Args:
        data: All texts one after the other (uint8).
        offsets: (N + 1,) int64; text i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, data: npt.NDArray[np.uint8], offsets: IntArray) -> None:
        self._data = data
        self._offsets = offsets
        # a search reads hundreds of texts; indexing numpy arrays takes three times as long as indexing memoryviews
        self._bytes, self._places = data.data, offsets.data

    @classmethod
    def of(cls, texts: Iterable[str]) -> StringColumn:
        """Build a column in memory."""
        # surrogatepass: names of files may contain bytes that are not UTF-8, which Python keeps as surrogates
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
        """Map what ``save`` wrote; ValueError if the two files do not belong together."""
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

    def take(self, rows: Iterable[int]) -> list[str]:
        """Texts of some valid rows, in half the time of indexing each by itself."""
        data, places = self._bytes, self._places
        return [str(data[places[row] : places[row + 1]], "utf-8", "surrogatepass") for row in rows]

    def place(self, text: str) -> int:
        """First row of a SORTED column whose text is not smaller, as ``bisect.bisect_left`` finds it."""
        return int(self.places([text])[0])

    def places(self, texts: Sequence[str]) -> IntArray:
        """``place`` of n texts at once -> (n,).

        numpy finds the range of rows that begin with the same 16 bytes, for all texts in one call. Usually that
        range is empty or one row; only in longer ranges does Python compare whole texts.
        """
        heads = np.array([text.encode("utf-8", "surrogatepass")[:_HEAD] for text in texts], f"S{_HEAD}")
        first, last = self._heads.searchsorted(heads), self._heads.searchsorted(heads, "right")
        for k in np.flatnonzero(first < last).tolist():
            first[k] = bisect_left(self, texts[k], int(first[k]), int(last[k]))
        return first

    @cached_property
    def _heads(self) -> npt.NDArray[np.bytes_]:
        """The first 16 bytes of each text (N,), padded with zeros: a type that numpy can search."""
        heads = np.zeros((len(self), _HEAD), np.uint8)
        for byte in range(_HEAD):
            place = self._offsets[:-1] + byte
            inside = place < self._offsets[1:]
            heads[inside, byte] = self._data[place[inside]]
        return heads.view(f"S{_HEAD}")[:, 0]

    def find(self, text: str) -> int:
        """Row of a text in a SORTED column, -1 if it is absent."""
        row = self.place(text)
        return row if row < len(self) and self[row] == text else -1

    def with_prefix(self, prefix: str) -> range:
        """Rows of a SORTED column that begin with a text."""
        return range(self.place(prefix), self.place(prefix + "\U0010ffff"))

    def containing(self, text: str, rows: range) -> list[int]:
        """Those of some neighbouring rows that contain a text, found by a search in the bytes of all of them.

        UTF-8 never has one character's bytes inside of another's, so bytes match where characters do. A match that
        begins in one row and ends in the next is no match.
        """
        needle = text.encode("utf-8", "surrogatepass")
        if not needle or not len(rows):
            return []
        first = int(self._offsets[rows.start])
        whole = self._data[first : int(self._offsets[rows.stop])].tobytes()
        found: list[int] = []
        at = whole.find(needle)
        while at >= 0:
            row = int(np.searchsorted(self._offsets, first + at, "right")) - 1
            end = int(self._offsets[row + 1]) - first
            if at + len(needle) <= end:
                found.append(row)
            at = whole.find(needle, end if found and found[-1] == row else at + 1)
        return found
