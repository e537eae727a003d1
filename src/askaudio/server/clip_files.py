"""The file of a clip, and whether it may be served.

A request names a clip_id, never a path. The collection names the path, and a collection may come from anyone. A file is
served only if it is a sound file below a folder that was indexed on this machine or was allowed with ``--allow``, after
all symbolic links are followed, and only while its size and time are those that were indexed.

The file is opened once, folder by folder without following links; that handle is checked and served. What happens to
the path between the check and the response therefore changes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from askaudio.ingest.walk import SUFFIXES
from askaudio.search.hits import ClipInfo
from askaudio.server.problems import Problem

# Content types by suffix. The tables of the operating system differ between machines, so they are not used.
MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".bwf": "audio/wav",
    ".w64": "audio/x-w64",
    ".rf64": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".aifc": "audio/aiff",
    ".caf": "audio/x-caf",
    ".au": "audio/basic",
    ".wma": "audio/x-ms-wma",
    ".webm": "audio/webm",
    ".snd": "audio/basic",
    ".mp2": "audio/mpeg",
}

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


@dataclass(frozen=True, slots=True)
class ClipFile:
    """An open file that may be served; close it.

    Attributes:
        handle: The open file.
        path: Where it was opened, all links followed.
        name: Its name as it was indexed.
        media_type: Content type.
        status: Size and time of the open file.
    """

    handle: BinaryIO
    path: str
    name: str
    media_type: str
    status: os.stat_result

    @property
    def version(self) -> str:
        """Changes when the file does; part of ETags and cache keys."""
        return f"{self.status.st_mtime_ns:x}-{self.status.st_size:x}"

    @property
    def path_for_children(self) -> str:
        """A path by which another process of this user opens the very same file, where the system has one."""
        same = f"/proc/{os.getpid()}/fd/{self.handle.fileno()}"
        return same if os.path.exists(same) else self.path


def open_clip(clip: ClipInfo, folders: Iterable[str]) -> ClipFile:
    """Open the file of a clip.

    Args:
        clip: The clip, with the stamp that indexing noted.
        folders: Real paths of the folders and files that may be served.

    Raises:
        Problem: 404 when the file is gone, is not a sound file, is outside of the folders or was changed.
    """
    suffix = os.path.splitext(clip.path)[1].lower()
    if suffix not in MEDIA_TYPES and suffix not in SUFFIXES:
        raise Problem(404, "The file of this clip is not a sound file.")
    try:
        real = os.path.realpath(clip.path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        raise Problem(404, _GONE) from None
    base = next((folder for folder in folders if _is_below(real, folder)), None)
    if base is None:
        raise Problem(404, _NOT_ALLOWED)
    try:
        opened = _open_below(base, real)
    except OSError:
        raise Problem(404, _GONE) from None
    status, stamp = os.fstat(opened), clip.stamp
    now = (status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode) or stamp is None or (stamp.size_bytes, stamp.modified_ns) != now:
        os.close(opened)
        raise Problem(404, _CHANGED)
    media_type = MEDIA_TYPES.get(suffix, "application/octet-stream")
    return ClipFile(os.fdopen(opened, "rb", buffering=0), real, os.path.basename(clip.path), media_type, status)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


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
