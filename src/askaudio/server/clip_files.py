"""The file of a clip, and whether it may be served: a request names a clip_id, never a path (``ingest.sound_file``)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from askaudio.ingest.sound_file import SoundFile, SoundFileError, open_sound
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


@dataclass(frozen=True, slots=True)
class ClipFile(SoundFile):
    """An open file that may be served; close it.

    Attributes:
        name: Its name as it was indexed.
        media_type: Content type.
    """

    name: str
    media_type: str

    @property
    def version(self) -> str:
        """Changes when the file does; part of ETags and cache keys."""
        return f"{self.status.st_mtime_ns:x}-{self.status.st_size:x}"


def open_clip(clip: ClipInfo, folders: Iterable[str]) -> ClipFile:
    """Open the file of a clip.

    Args:
        clip: The clip, with the stamp that indexing noted.
        folders: Real paths of the folders and files that may be served.

    Raises:
        Problem: 404 when the file is gone, is not a sound file, is outside of the folders or was changed.
    """
    try:
        file = open_sound(clip.path, clip.stamp, folders)
    except SoundFileError as error:
        raise Problem(404, str(error)) from None
    media_type = MEDIA_TYPES.get(os.path.splitext(clip.path)[1].lower(), "application/octet-stream")
    return ClipFile(file.handle, file.path, file.status, os.path.basename(clip.path), media_type)
