"""Which sound files a folder holds, and a cheap stamp that tells whether one has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from askaudio.core.errors import ConfigError
from askaudio.ingest.metadata import sidecar

SUFFIXES = frozenset({
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3",
    ".m4a", ".aac", ".caf", ".au", ".snd", ".mp2", ".wma",
})  # fmt: skip


def clip_id_of(path: str) -> str:
    """Id of the recording at a path: the same file keeps it as long as it stays where it is."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def absolute_roots(folders: Sequence[str | Path]) -> list[Path]:
    """Folders and files to index, absolute.

    Raises:
        ConfigError: One does not exist (its sounds are not taken for deleted).
    """
    roots = [Path(os.path.abspath(Path(folder).expanduser())) for folder in folders]
    for root in roots:
        if not root.exists():
            raise ConfigError(f"{root} does not exist; nothing was changed. Give folders (or files) that are there")
    return roots


def sound_files(roots: Iterable[Path], leave_out: Path | None = None) -> Iterator[str]:
    """Paths of all sound files under the roots, each once, sorted within a folder.

    Hidden files and folders are left out, and links to folders are not followed (they may run in circles).
    """
    seen: set[str] = set()
    for root in roots:
        found = [str(root)] if root.is_file() else _walk(root, leave_out)
        for path in found:
            if path not in seen:
                seen.add(path)
                yield path


def _walk(root: Path, leave_out: Path | None) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        hidden = {name for name in folders if name.startswith(".") or Path(folder, name) == leave_out}
        folders[:] = sorted(set(folders) - hidden)
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield os.path.join(folder, name)


def stamp_of(path: str) -> str:
    """``size:time/time of the text beside it`` of a file; empty when it is gone.

    A changed file with the same size and time is only seen by its content hash.
    """
    try:
        stat = os.stat(path)
    except OSError:
        return ""
    beside = sidecar(Path(path))
    try:
        text = str(os.stat(beside).st_mtime_ns) if beside else ""
    except OSError:
        text = ""
    return f"{stat.st_size}:{stat.st_mtime_ns}/{text}"
