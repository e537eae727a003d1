"""The folders of this machine that the page may look into and index.

Whoever reaches the page could read the names of folders and have sounds indexed. So both are offered only to this
machine or to those who have the token, and only below the folders of ``--allow``. Without ``--allow``, a service of
this machine offers the home folder and the places where disks are mounted, and any other service offers none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from askaudio.ingest.walk import SUFFIXES
from askaudio.server.problems import Problem
from askaudio.server.settings import ServerSettings

_MOUNTS = ("/media", "/run/media", "/mnt", "/Volumes")
_MOST = 1000  # folders in one list
_UNKNOWN = "There is no such folder that this server may read. Allow it: askaudio serve --allow FOLDER"


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder.

    Attributes:
        path: The folder; empty for the list of the allowed folders.
        parent: The folder above; empty for the list of the allowed folders, None where there is none.
        folders: (name, path) of the folders in it, in the order of names; hidden ones are left out.
        sounds: Number of files with the name of a sound, not counting those of its folders.
    """

    path: str
    parent: str | None
    folders: list[tuple[str, str]]
    sounds: int


def allowed_roots(settings: ServerSettings) -> list[str]:
    """Real paths below which folders may be listed and indexed.

    Raises:
        Problem: 403 if the service is open to others and has no token, or allows no folder.
    """
    if not (settings.is_loopback or settings.token):
        raise Problem(403, "Folders can be chosen only on this machine or with a token: askaudio serve --token-file F")
    if settings.allowed_folders:
        return [os.path.realpath(folder) for folder in settings.allowed_folders]
    if not settings.is_loopback:
        raise Problem(403, "No folder may be indexed from the page. Fix: askaudio serve --allow FOLDER")
    places = [str(Path.home()), *(mount for mount in _MOUNTS if os.path.isdir(mount))]
    return list(dict.fromkeys(os.path.realpath(place) for place in places))


def allowed_folder(path: str, roots: Sequence[str]) -> str:
    """The real path of an existing folder below one of the roots.

    Raises:
        Problem: 404. Whether a folder outside of the roots exists is not said.
    """
    try:
        real = os.path.realpath(path)
        if os.path.isabs(path) and _is_below(real, roots) and os.path.isdir(real):
            return real
    except (OSError, ValueError):  # ValueError: a NUL in the path
        pass
    raise Problem(404, _UNKNOWN)


def list_folder(path: str, roots: Sequence[str]) -> Listing:
    """The folders in a folder; the allowed folders themselves for an empty path.

    Raises:
        Problem: 404 if the folder may not be read or cannot be.
    """
    if not path:
        return Listing("", None, [(root, root) for root in roots if os.path.isdir(root)], 0)
    real = allowed_folder(path, roots)
    folders, sounds = [], 0
    try:
        with os.scandir(real) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders.append((entry.name, os.path.join(real, entry.name)))
                elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                    sounds += 1
    except OSError:
        raise Problem(404, _UNKNOWN) from None
    folders.sort(key=lambda pair: pair[0].casefold())
    parent = os.path.dirname(real)
    return Listing(real, parent if _is_below(parent, roots) else "", folders[:_MOST], sounds)


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
