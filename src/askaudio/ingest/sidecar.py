"""Texts beside sounds: ``x.wav.txt`` or ``x.txt`` of one sound, and which links to texts are followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.text import decode_text

_MOST_BYTES = 8000  # read of one file: a description is short, and any file may be called x.txt
_SYSTEM = ("/proc", "/dev", "/sys")
# the file may have been replaced by a link or a pipe since it was found
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def sidecar(path: Path, roots: Sequence[str | Path] = ()) -> Path | None:
    """Find the sidecar of a sound.

    Args:
        path: The sound.
        roots: Indexed folders; without them no link is followed.

    Returns:
        A regular file, or None.
    """
    for candidate in (path.with_name(path.name + ".txt"), path.with_suffix(".txt")):
        if found := text_file(candidate, roots):
            return found
    return None


def text_file(path: Path, roots: Sequence[str | Path]) -> Path | None:
    """Resolve a text file in an indexed folder.

    Links come with archives and shared folders. One that leads outside would publish any text file that this process
    may read, so a link is followed only to regular files below the indexed folders.

    Args:
        path: The file, or a link to it.
        roots: Indexed folders; without them no link is followed.

    Returns:
        A regular file, or None.
    """
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            return path
        return _target_inside(path, roots) if stat.S_ISLNK(found.st_mode) else None
    except (OSError, ValueError):
        return None


def _target_inside(link: Path, roots: Sequence[str | Path]) -> Path | None:
    target = Path(os.path.realpath(link, strict=True))
    if not target.is_file() or any(target.is_relative_to(folder) for folder in _SYSTEM):
        return None
    return target if any(target.is_relative_to(os.path.realpath(root)) for root in roots) else None


def read_sidecar(path: Path, most_bytes: int = _MOST_BYTES) -> str:
    """The first bytes of a sidecar as text; empty when it cannot be read.

    Args:
        path: A regular file.
        most_bytes: Number of bytes to read.
    """
    try:
        with open(os.open(path, _FLAGS), "rb") as file:
            data = file.read(most_bytes)
        return decode_text(data, cut=len(data) == most_bytes)
    except (OSError, DataError):
        return ""
