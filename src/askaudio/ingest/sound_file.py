"""The file of a stored clip, opened only if it is the one that was indexed.

The collection names the path, and a collection may come from anyone. A file is therefore opened only if it is a sound
file below a folder that was indexed on this machine or that the user allowed, after all symbolic links are followed,
and only while its size and time are those that were indexed.

The file is opened once, folder by folder without following links, and then that handle is checked. What happens to the
path between the check and the reading changes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from askaudio.core.errors import AskAudioError
from askaudio.index.bookkeeping import Stamp
from askaudio.ingest.walk import SUFFIXES, is_below

_GONE = "The file of this clip no longer exists; index its folder again."
_CHANGED = "The file of this clip is not the one that was indexed; index its folder again."
_NOT_ALLOWED = (
    "The file of this clip is in no folder that was indexed on this machine, so it is not served. Index its folder "
    "here, or allow it: askaudio serve --allow FOLDER"
)
# O_PATH needs no permission to list a folder. O_NONBLOCK: opening a pipe or a device does not wait.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_FILE |= getattr(os, "O_NOCTTY", 0)


class SoundFileError(AskAudioError):
    """The file of a clip may not be opened; the message names no path."""


@dataclass(frozen=True, slots=True)
class SoundFile:
    """An open file of a clip; close its handle.

    Attributes:
        handle: The open file.
        path: Where it was opened, all links followed.
        status: Size and time of the open file.
    """

    handle: BinaryIO
    path: str
    status: os.stat_result

    @property
    def path_for_children(self) -> str:
        """A path by which another process of this user opens the very same file, where the system has one."""
        same = f"/proc/{os.getpid()}/fd/{self.handle.fileno()}"
        return same if os.path.exists(same) else self.path


def open_sound(path: str, stamp: Stamp | None, folders: Iterable[str]) -> SoundFile:
    """Open the file of a clip.

    Args:
        path: Path of the clip.
        stamp: State of the file when it was indexed.
        folders: Real paths of the folders and files that are allowed.

    Raises:
        SoundFileError: The file is gone, is not a sound file, is outside of the folders or was changed.
    """
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        raise SoundFileError("The file of this clip is not a sound file.")
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        raise SoundFileError(_GONE) from None
    base = next((folder for folder in folders if is_below(real, folder)), None)
    if base is None:
        raise SoundFileError(_NOT_ALLOWED)
    try:
        opened = _open_below(base, real)
    except OSError:
        raise SoundFileError(_GONE) from None
    status = os.fstat(opened)
    now = (status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode) or stamp is None or (stamp.size_bytes, stamp.modified_ns) != now:
        os.close(opened)
        raise SoundFileError(_CHANGED)
    return SoundFile(os.fdopen(opened, "rb", buffering=0), real, status)


def _open_below(folder: str, path: str) -> int:
    """Open ``path`` without following a link below ``folder``; both are real paths.

    Raises:
        OSError: It does not exist, or a link has been put in its place.
    """
    if os.open not in os.supports_dir_fd:  # Windows: open, then look whether the path still leads to what was opened
        handle = os.open(path, _FILE)
        if os.path.realpath(path) == path and os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False)):
            return handle
        os.close(handle)
        raise OSError(f"{path} changed while it was opened")
    start = os.path.dirname(path) if path == folder else folder
    *parents, name = os.path.relpath(path, start).split(os.sep)
    current = os.open(start, _FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
    try:
        for parent in parents:
            below = os.open(parent, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        return os.open(name, _FILE, dir_fd=current)
    finally:
        os.close(current)
