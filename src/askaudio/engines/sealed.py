"""JSON files with a checksum of their own content, and checksums of the other files of a folder.

A sealed file is a JSON object with the additional key ``crc32``: the CRC-32 of the other keys in canonical form. Files
of older versions have none. They are recognised by their keys, because damage could also turn ``crc32`` into another
word.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

from askaudio.core.errors import DataError
from askaudio.core.files import read_json, write_json
from askaudio.core.types import Json

_KEY = "crc32"
_PIECE = 1 << 20
Sums = dict[str, list[int]]  # name of a file relative to a folder -> [size in bytes, CRC-32]


def write_sealed(path: Path, value: Json) -> None:
    """Write a JSON object with its checksum, in one atomic step."""
    write_json(path, {**value, _KEY: _sum_of(value)})


def read_sealed(path: Path, older: Collection[str]) -> tuple[dict[str, Any], bool]:
    """Read what ``write_sealed`` wrote, or what an older version wrote without a checksum.

    Args:
        path: The file.
        older: Keys that files of older versions may have.

    Returns:
        The object without its checksum, and whether it had one.

    Raises:
        DataError: The file is missing, is not JSON, or does not agree with its checksum.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path} is damaged: expected a JSON object, got {type(value).__name__}")
    stored = value.pop(_KEY, None)
    if stored is None and set(value) <= set(older):
        return value, False
    if stored != _sum_of(value):
        raise DataError(f"{path} is damaged: its content does not match its checksum")
    return value, True


def _sum_of(value: Json) -> int:
    return crc32(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def file_sum(path: Path) -> list[int]:
    """Size in bytes and CRC-32 of a file, read in pieces: mapping it would count as memory of the process."""
    size = total = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            size, total = size + len(piece), crc32(piece, total)
    return [size, total]


def sums_of(folder: Path, names: Iterable[str]) -> Sums:
    """Checksums of some files of a folder."""
    return {name: file_sum(folder / name) for name in names}


def damaged_files(folder: Path, sums: Sums, at_most: int | None = None) -> list[str]:
    """Names of the files that are missing or do not agree with their checksums.

    Args:
        folder: Where they are.
        sums: Their checksums.
        at_most: Only the sizes of files with more bytes than this are compared; None reads all files.
    """

    def is_damaged(path: Path, size: int, total: int) -> bool:
        if not path.is_file() or path.stat().st_size != size:
            return True
        return (at_most is None or size <= at_most) and file_sum(path)[1] != total

    return [name for name, (size, total) in sums.items() if is_damaged(folder / name, size, total)]
