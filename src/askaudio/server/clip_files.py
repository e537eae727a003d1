"""The file of a clip, and whether it may be served: only indexed files, and only at the path where they were indexed.

A request names a clip_id, never a path. If the indexed path contains a symbolic link, the link must still lead to the
file that was indexed (same size and time). A link that is created later, for the file or a folder above it, is refused.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

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
}


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A file that may be served."""

    path: Path  # real, all links followed
    name: str  # as it was indexed
    media_type: str
    status: os.stat_result

    @property
    def version(self) -> str:
        """Changes when the file does; part of ETags and cache keys."""
        return f"{self.status.st_mtime_ns:x}-{self.status.st_size:x}"


def clip_file(clip: ClipInfo) -> ClipFile:
    """The file of a clip.

    Raises:
        Problem: 404 when it is gone, was replaced by a link, or is not a plain file.
    """
    path = Path(clip.path)
    try:
        real = os.path.realpath(path, strict=True)
        status = os.stat(real, follow_symlinks=False)
    except (OSError, ValueError):
        raise Problem(404, "The file of this clip no longer exists; index its folder again.") from None
    indexed = clip.stamp and (clip.stamp.size_bytes, clip.stamp.modified_ns)
    through_link = real != str(path)
    if (through_link and indexed != (status.st_size, status.st_mtime_ns)) or not stat.S_ISREG(status.st_mode):
        raise Problem(404, "The file of this clip is not where it was indexed; index its folder again.")
    return ClipFile(Path(real), path.name, MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"), status)
