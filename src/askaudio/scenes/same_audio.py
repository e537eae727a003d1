"""Recordings that are the same sound under two names are one group, whatever the manifest says.

Sound collections repeat files under other names; with one copy in training and one in test, a class would be
recognised by its recording. Equal sound is found by a hash of the coded audio, without decoding: of an Ogg file the
packets behind its header pages (two copies differ there in serial number and tags), of other files every byte.
Cost: reading each file once, about 2 s for 6,000 short recordings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from askaudio.core.errors import AudioDecodeError
from askaudio.data.manifest import Clip

_HEADER_PAGES = 2  # identification and tags
_PAGE_HEADER = 27  # bytes of an Ogg page before its table of segment lengths


def content_key(path: Path | str) -> str:
    """Hash of the coded audio of a file.

    Raises:
        AudioDecodeError: The file cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise AudioDecodeError(path, error.strerror or str(error)) from error
    digest = hashlib.sha256()
    if not data.startswith(b"OggS"):
        digest.update(data)
        return digest.hexdigest()
    position, page = 0, 0
    while data[position : position + 4] == b"OggS" and position + _PAGE_HEADER <= len(data):
        n_segments = data[position + _PAGE_HEADER - 1]
        start = position + _PAGE_HEADER + n_segments
        position = start + sum(data[position + _PAGE_HEADER : start])
        if page >= _HEADER_PAGES:
            digest.update(data[start:position])
        page += 1
    return digest.hexdigest()


def joined_groups(clips: Iterable[Clip]) -> dict[str, str]:
    """clip_id -> group, where groups that share a recording became one (named by the smallest of their names)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    group_of_key: dict[str, str] = {}
    group_of_clip: dict[str, str] = {}
    for clip in clips:
        group = group_of_clip[clip.clip_id] = clip.group or clip.clip_id
        a, b = root(group), root(group_of_key.setdefault(content_key(clip.path), group))
        parent[max(a, b)] = min(a, b)
    return {clip_id: root(group) for clip_id, group in group_of_clip.items()}
