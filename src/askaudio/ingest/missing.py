"""Which missing files were deleted, and which are probably only out of reach.

A deleted file leaves a folder in which the others still are. An unmounted disk, a share that is away or a library that
was replaced by something else leaves a folder in which none of the former sounds is. The first are removed from the
collection; the second stay in it until somebody agrees, because encoding a library again can take days.

Two limits apply. A folder that has lost all of its former sounds, two or more, is kept. And when more than a tenth of
the known files, and at least ten, are missing one by one, they are kept as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from askaudio.ingest.walk import is_below

MOST_REMOVED = 10  # files; from here on, the share decides
MOST_REMOVED_SHARE = 0.1  # of the files known below the indexed folders


def too_many(missing: int, known: int) -> bool:
    """Whether the removal of files needs consent because of their number.

    Args:
        missing: Files to remove.
        known: Files that the collection holds from the indexed folders, the missing ones included.
    """
    return missing >= MOST_REMOVED and missing > MOST_REMOVED_SHARE * known


def sort_missing(
    missing: Sequence[str], present: Iterable[str], roots: Sequence[Path]
) -> tuple[list[str], dict[str, list[str]]]:
    """Separate deleted files from those that are out of reach.

    Args:
        missing: Known files below the roots that were not found, in folders that could be listed.
        present: Known files that were found.
        roots: Indexed folders.

    Returns:
        Paths to remove; and folder -> its missing paths to keep.
    """
    living = _folders_above(present)
    names = [str(root) for root in roots]
    lost: dict[str, list[str]] = {}
    deleted: list[str] = []
    for path in missing:
        folder = _lost_folder(path, living, names)
        if folder:
            lost.setdefault(folder, []).append(path)
        else:
            deleted.append(path)
    for folder in [folder for folder, paths in lost.items() if len(paths) == 1]:
        deleted += lost.pop(folder)
    return deleted, lost


def _folders_above(paths: Iterable[str]) -> set[str]:
    folders: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    return folders


def _lost_folder(path: str, living: set[str], roots: Sequence[str]) -> str:
    """The topmost folder above a path, inside a root, below which no known file was found; empty if there is none."""
    lost = ""
    folder = os.path.dirname(path)
    while folder not in living and any(is_below(folder, root) for root in roots):
        lost, parent = folder, os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    return lost
