"""Read the files inside Qt resource collections (``.rcc``), in which educational games keep their sounds.

The format is Qt's: a header with the offsets of a tree, of data and of names. A node is a folder with consecutive
children, or a file whose data is preceded by its length. Compressed files are skipped; sounds are stored uncompressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

COMPRESSED, FOLDER = 0b101, 0b010  # flags of a node


def in_rcc(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(path inside, bytes) of every file; nothing for bytes that are not a resource collection or are truncated."""
    if data[:4] != b"qres":
        return
    try:
        version, tree, blob, names = struct.unpack_from(">4I", data, 4)
        size = 14 if version == 1 else 22  # later versions end a node with its time
        yield from _below(data, tree, size, blob, names, 0, "")
    except (struct.error, RecursionError):
        return


def _below(
    data: bytes, tree: int, size: int, blob: int, names: int, node: int, path: str
) -> Iterator[tuple[str, bytes]]:
    _, flags, count, first = struct.unpack_from(">IHII", data, tree + node * size)
    if not flags & FOLDER:
        return
    for child in range(first, first + count):
        at = tree + child * size
        name_at, child_flags = struct.unpack_from(">IH", data, at)
        (length,) = struct.unpack_from(">H", data, names + name_at)
        start = names + name_at + 6  # behind the name's length and hash
        inner = f"{path}/{data[start : start + 2 * length].decode('utf-16-be', 'replace')}".lstrip("/")
        if child_flags & FOLDER:
            if child > node:  # children come later in the tree; anything else would be a cycle
                yield from _below(data, tree, size, blob, names, child, inner)
        elif not child_flags & COMPRESSED:
            (place,) = struct.unpack_from(">I", data, at + 10)
            (bytes_long,) = struct.unpack_from(">I", data, blob + place)
            yield inner, data[blob + place + 4 : blob + place + 4 + bytes_long]
