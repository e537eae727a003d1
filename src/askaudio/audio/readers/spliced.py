"""A read-only file made of byte ranges of another file and of literal bytes.

A decoder that trusts a wrong header reads the right samples from a view with a corrected header: nothing is copied.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, BinaryIO

Piece = bytes | tuple[int, int]  # literal bytes, or first byte and end (exclusive) in the underlying file


class Spliced(io.RawIOBase):
    """A seekable view of ``file``.

    Args:
        file: Underlying file; its position is moved by reads.
        pieces: What the view consists of, in order.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._file, self._pieces, self._starts, self._size, self._at = file, list(pieces), [], 0, 0
        for piece in self._pieces:
            self._starts.append(self._size)
            self._size += len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in the view."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; positions beyond the end read nothing."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as the view has bytes, across pieces."""
        target, filled = memoryview(buffer).cast("B"), 0
        while filled < len(target) and self._at < self._size:
            number = bisect_right(self._starts, self._at) - 1
            piece, inside = self._pieces[number], self._at - self._starts[number]
            wanted = len(target) - filled
            if isinstance(piece, bytes):
                got = piece[inside : inside + wanted]
            else:
                self._file.seek(piece[0] + inside)
                got = self._file.read(min(wanted, piece[1] - piece[0] - inside))
            if not got:  # the underlying file became shorter
                break
            target[filled : filled + len(got)] = got
            filled += len(got)
            self._at += len(got)
        return filled
