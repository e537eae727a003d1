"""Which sound files folders hold, what could not be looked at, and a cheap stamp that shows whether a file has changed.

A folder that cannot be listed (rights, a network share that answers with an error) is reported, because its sounds are
not gone. Pipes, devices and links to nothing are recognised before anything opens them: opening a pipe waits for ever.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from askaudio.core.errors import ConfigError
from askaudio.core.files import fingerprint
from askaudio.index.bookkeeping import Stamp
from askaudio.ingest.sidecar import sidecar

# what libsndfile reads, and what needs PyAV or ffmpeg
PLAIN_SUFFIXES = frozenset({
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3",
    ".caf", ".au", ".snd", ".mp2",
})  # fmt: skip
CODEC_SUFFIXES = frozenset({
    ".m4a", ".m4b", ".m4v", ".mp4", ".mov", ".mkv", ".mka", ".webm", ".aac", ".ac3", ".wma", ".wmv", ".avi", ".3gp",
    ".amr", ".ape", ".wv",
})  # fmt: skip
SUFFIXES = PLAIN_SUFFIXES | CODEC_SUFFIXES


def clip_id_of(path: str) -> str:
    """Id of the recording at a path: 16 hex digits of the SHA-256 of the path, so it is stable until the file moves."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def is_below(path: str, root: str) -> bool:
    """Whether an absolute path is a folder (or file) or something in it."""
    return path == root or path.startswith(root if root.endswith(os.sep) else root + os.sep)


def first_above(path: str, names: Container[str]) -> str:
    """The path itself, or the nearest folder above it, that is one of some names; empty if none is."""
    while path not in names:
        folder = os.path.dirname(path)
        if folder == path:
            return ""
        path = folder
    return path


def absolute_roots(folders: Sequence[str | Path]) -> list[Path]:
    """Make the paths of folders and files absolute."""
    return [Path(os.path.abspath(Path(folder).expanduser())) for folder in folders]


def existing_roots(folders: Sequence[str | Path]) -> list[Path]:
    """Make the paths of folders and files absolute.

    Raises:
        ConfigError: One does not exist. Its sounds are not treated as deleted.
    """
    roots = absolute_roots(folders)
    for root in roots:
        if is_gone(str(root)):
            raise ConfigError(
                f"{root} does not exist; nothing was changed. Fix: name folders or files that exist. If it was moved, "
                f"index its new place; if it is gone for good: askaudio collection forget {root}"
            )
    return roots


def is_gone(path: str) -> bool:
    """Whether the system says that nothing has this name; any other error leaves the question open."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


@dataclass
class Found:
    """What a walk over folders found.

    Attributes:
        sounds: Paths of all regular files with the suffix of a sound, each once, sorted within a folder.
        unseen: Folders and files that could not be looked at -> why.
        irregular: Names of sounds that are no regular files (pipes, devices, links to nothing) -> what they are.
        silent: Roots that hold no sound.
    """

    sounds: list[str] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)
    irregular: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


def find_sounds(roots: Iterable[Path], leave_out: Path | None = None) -> Found:
    """Walk folders.

    Hidden files and folders are skipped. Links to folders are not followed, since they may form a cycle.

    Args:
        roots: Absolute folders or files.
        leave_out: Folder to skip: the collection, when it is inside a root.
    """
    found = Found()
    for root in roots:
        before = len(found.sounds)
        _walk(str(root), found, str(leave_out))
        if len(found.sounds) == before and not any(is_below(path, str(root)) for path in found.unseen):
            found.silent.append(str(root))
    found.sounds = list(dict.fromkeys(found.sounds))
    return found


def _walk(root: str, found: Found, leave_out: str) -> None:
    try:
        mode = os.stat(root).st_mode
    except OSError as error:
        found.unseen[root] = _reason(error)
        return
    if not stat.S_ISDIR(mode):
        _add(root, mode, found)
        return
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.unseen[folder] = _reason(error)
            continue
        below = [path for entry in entries if (path := _look_at(entry, found)) and path != leave_out]
        waiting += reversed(below)


def _look_at(entry: os.DirEntry[str], found: Found) -> str:
    """Add an entry if it is a sound; the path of a folder to walk, else an empty text."""
    if entry.name.startswith("."):
        return ""
    try:
        if entry.is_dir(follow_symlinks=False):
            return entry.path
        if os.path.splitext(entry.name)[1].lower() in SUFFIXES:
            # the kind of an ordinary file is part of the listing; only links need another call
            mode = stat.S_IFREG if entry.is_file(follow_symlinks=False) else entry.stat().st_mode
            _add(entry.path, mode, found)
    except FileNotFoundError:
        if os.path.islink(entry.path):
            found.irregular[entry.path] = "a link to nothing"
    except OSError as error:
        found.unseen[entry.path] = _reason(error)
    return ""


def _add(path: str, mode: int, found: Found) -> None:
    if stat.S_ISREG(mode):
        found.sounds.append(path)
    elif not stat.S_ISDIR(mode):
        found.irregular[path] = "not a regular file"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def stamp_of(path: str, captions: Sequence[str] = (), roots: Sequence[str | Path] = ()) -> Stamp | None:
    """Stamp of a file as it is now; None when it is no regular file or does not exist.

    A file that was changed but has the same size and time is only noticed by its content hash.

    Args:
        path: The file.
        captions: Captions that a manifest has for it.
        roots: Indexed folders, in which a sidecar that is a link must end.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    beside = sidecar(Path(path), roots)
    try:
        sidecar_ns = os.stat(beside).st_mtime_ns if beside else None
    except OSError:
        sidecar_ns = None
    return Stamp(found.st_size, found.st_mtime_ns, sidecar_ns, fingerprint(list(captions)) if captions else "")
