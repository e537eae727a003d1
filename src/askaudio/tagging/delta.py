"""A file as differences from another one, so that undo restores every byte without keeping two copies of the sound.

The sound of a tagged file has moved by some bytes at most. Its shift is found from a piece of the middle; then
stretches that are equal under the shift are noted as places, and everything else as bytes.
"""

from __future__ import annotations

import base64
import mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_PIECE = 1024
_SMALL = 1 << 12  # bytes that are not worth another search
_SHORTEST = 64  # equal bytes that are worth a place of their own
_BLOCK = 1 << 22
Delta = list[list[Any]]  # ["copy", place in the new file, length] or ["bytes", base64]


def make_delta(old: Path, new: Path) -> Delta:
    """What makes ``old`` out of ``new``.

    Args:
        old: The file to restore.
        new: The file that will be there.
    """
    if not old.stat().st_size:
        return []
    if not new.stat().st_size:
        return [["bytes", base64.b64encode(old.read_bytes()).decode()]]
    with old.open("rb") as a, new.open("rb") as b, _mapped(a) as x, _mapped(b) as y:
        best: Delta = _with_shift(x, y, 0)
        for shift in _shifts(x, y):
            if _size(best) < max(_SMALL, len(x) // 100):
                break
            best = min(best, _with_shift(x, y, shift), key=_size)
        return best


def _mapped(file: BinaryIO) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def apply_delta(new: Path, delta: Delta, target: Path) -> None:
    """Write the file that ``make_delta`` described.

    Args:
        new: The file that the places are in.
        delta: What ``make_delta`` returned.
        target: Is overwritten.
    """
    with new.open("rb") as source, target.open("wb") as file:
        for kind, *rest in delta:
            if kind == "bytes":
                file.write(base64.b64decode(rest[0]))
                continue
            source.seek(int(rest[0]))
            left = int(rest[1])
            while left > 0 and (piece := source.read(min(left, _BLOCK))):
                file.write(piece)
                left -= len(piece)


def _shifts(x: mmap.mmap, y: mmap.mmap) -> list[int]:
    """Places in ``y`` minus places in ``x`` at which the sound may be; pieces of silence give wrong ones."""
    found = [len(y) - len(x)]
    for at in np.linspace(0, max(0, len(x) - _PIECE), 9).astype(int)[1:]:
        place = y.find(x[at : at + _PIECE])
        if place >= 0 and place - int(at) not in found:
            found.append(place - int(at))
    return found


def _with_shift(x: mmap.mmap, y: mmap.mmap, shift: int) -> Delta:
    delta: Delta = []
    first, last = max(0, -shift), min(len(x), len(y) - shift)
    if first >= last:
        return [["bytes", base64.b64encode(x[:]).decode()]]
    pending = x[:first]
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        mine = np.frombuffer(x[start:stop], np.uint8)
        differs = np.flatnonzero(mine != np.frombuffer(y[start + shift : stop + shift], np.uint8))
        # equal stretches lie between the differing bytes
        edges = np.concatenate([[-1], differs, [stop - start]])
        long = np.flatnonzero(np.diff(edges) > _SHORTEST)
        done = 0
        for k in long:
            begin, end = int(edges[k]) + 1, int(edges[k + 1])
            pending += mine[done:begin].tobytes()
            pending = _flush(delta, pending)
            _add_copy(delta, start + begin + shift, end - begin)
            done = end
        pending += mine[done:].tobytes()
    _flush(delta, pending + x[last:])
    return delta


def _add_copy(delta: Delta, place: int, length: int) -> None:
    if delta and delta[-1][0] == "copy" and delta[-1][1] + delta[-1][2] == place:
        delta[-1][2] += length
    else:
        delta.append(["copy", place, length])


def _flush(delta: Delta, pending: bytes) -> bytes:
    if pending:
        delta.append(["bytes", base64.b64encode(pending).decode()])
    return b""


def _size(delta: Delta) -> int:
    return sum(len(part[1]) if part[0] == "bytes" else 20 for part in delta)
