"""Which sound files a folder holds, and a cheap stamp that shows whether one has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from askaudio.core.errors import ConfigError
from askaudio.core.files import fingerprint
from askaudio.index.bookkeeping import Stamp
from askaudio.ingest.sidecar import sidecar

SUFFIXES = frozenset({
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3",
    ".m4a", ".aac", ".caf", ".au", ".snd", ".mp2", ".wma",
})  # fmt: skip


def clip_id_of(path: str) -> str:
    """Id of the recording at a path: 16 hex digits of the SHA-256 of the path, so it is stable until the file moves."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def absolute_roots(folders: Sequence[str | Path]) -> list[Path]:
    """Make the paths of folders and files absolute.

    Raises:
        ConfigError: One does not exist. Its sounds are not treated as deleted.
    """
    roots = [Path(os.path.abspath(Path(folder).expanduser())) for folder in folders]
    for root in roots:
        if not root.exists():
            raise ConfigError(f"{root} does not exist; nothing was changed. Fix: name folders or files that exist")
    return roots


def sound_files(roots: Iterable[Path], leave_out: Path | None = None) -> Iterator[str]:
    """Paths of all sound files under the roots, each once, sorted within a folder.

    Hidden files and folders are skipped. Links to folders are not followed, since they may form a cycle.

    Args:
        roots: Absolute folders or files.
        leave_out: Folder to skip: the collection, when it is inside a root.
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


def stamp_of(path: str, captions: Sequence[str] = ()) -> Stamp | None:
    """Stamp of a file as it is now; None when it does not exist.

    A file that was changed but has the same size and time is only noticed by its content hash.

    Args:
        path: The file.
        captions: Captions that a manifest has for it.
    """
    try:
        stat = os.stat(path)
    except OSError:
        return None
    beside = sidecar(Path(path))
    try:
        sidecar_ns = os.stat(beside).st_mtime_ns if beside else None
    except OSError:
        sidecar_ns = None
    return Stamp(stat.st_size, stat.st_mtime_ns, sidecar_ns, fingerprint(list(captions)) if captions else "")
