"""The audio files under a folder, found by the many names that one clip has in different copies of a corpus.

The folder is walked once; looking a clip up is a dictionary access, so 50,000 clips take well under a second.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.types import Split
from askaudio.data.readers.tables import SPLIT_NAMES

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".aif", ".aiff", ".au", ".caf"}
)


def is_audio(path: Path | str) -> bool:
    """Whether the file name ends like an audio file."""
    return os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES


def name_key(name: str) -> str:
    """A file name as it is compared: composed Unicode (macOS decomposes), no blanks at its ends."""
    return unicodedata.normalize("NFC", name).strip()


def stem(name: str) -> str:
    """The last part of a path without its audio suffix; other suffixes are kept ("rain 1.5" has none)."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    return name_key(os.path.splitext(name)[0] if is_audio(name) else name)


class AudioFiles:
    """Index of the audio files below ``root``, hidden files and folders left out.

    Args:
        root: Folder; links to folders are followed, each real folder once.

    Raises:
        DataError: The folder does not exist.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"{self.root} is not a folder; expected the folder that holds the audio files")

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """All audio files, sorted."""
        found: list[Path] = []
        seen: set[str] = set()
        for folder, folders, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            found += [Path(folder) / f for f in files if is_audio(f) and not f.startswith(".")]
        return tuple(sorted(found))

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        table: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            table[stem(path.name)].append(path)
        return table

    def find(self, stems: Iterable[str], split: Split | None = None, strict: bool = False) -> Path | None:
        """The file of the first stem that exists; of several, the one in a folder named like ``split``.

        Args:
            stems: Names without folder and suffix, the surest first.
            split: Split of the clip.
            strict: Never take a file from a folder named like another split (names are not unique over splits).

        Returns:
            The path, or None.
        """
        for name in stems:
            paths = self._by_stem.get(name_key(name), [])
            if strict:
                paths = [path for path in paths if self._other_split(path, split) < 2]
            if paths:
                return min(paths, key=lambda path: (self._other_split(path, split), len(path.parts), path))
        return None

    def only(self, name: str) -> Path | None:
        """The one file with this stem; None where there is none, or several (which of them would be a guess)."""
        paths = self._by_stem.get(name_key(name), [])
        return paths[0] if len(paths) == 1 else None

    def _other_split(self, path: Path, split: Split | None) -> int:
        """0: in a folder of this split; 1: in no split's folder; 2: in another split's folder."""
        parts = [part.lower() for part in path.relative_to(self.root).parts[:-1]]
        splits = {SPLIT_NAMES[part] for part in parts if part in SPLIT_NAMES}
        return 1 if not splits or split is None else 0 if split in splits else 2
