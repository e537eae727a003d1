"""Index of the audio files under a folder, to find a clip by any of the names that copies of a corpus use for it.

The folder is walked once; each lookup is a dictionary access, so 50,000 clips take well under a second.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.names import normal
from askaudio.core.types import Split
from askaudio.data.readers.splits import SPLIT_NAMES

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".aif", ".aiff", ".au", ".caf"}
)


def is_audio(path: Path | str) -> bool:
    """Whether the suffix of a file name is one of ``AUDIO_SUFFIXES``."""
    return os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES


def name_key(name: str) -> str:
    """Normal form of a file name for comparison: composed Unicode (macOS decomposes), stripped of blanks."""
    return normal(name).strip()


def stem(name: str) -> str:
    """The last part of a path without its audio suffix; other suffixes are kept ("rain 1.5" has no suffix)."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    return name_key(os.path.splitext(name)[0] if is_audio(name) else name)


def _common_folders(first: Path, second: Path) -> int:
    """Number of folders, counted from the file upwards, that have the same names in both paths."""
    pairs = zip(reversed(first.parts[:-1]), reversed(second.parts[:-1]), strict=False)
    return len(list(takewhile(lambda pair: name_key(pair[0]) == name_key(pair[1]), pairs)))


class AudioFiles:
    """Index of the audio files below ``root``, without hidden files and folders.

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
        """Find the file of the first stem that exists; of several, the one in a folder named like ``split``.

        Args:
            stems: Names without folder and suffix, in order of preference.
            split: Split of the clip.
            strict: Ignore files in folders named like another split (for corpora whose names repeat across splits).

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

    def only(self, path: Path | str) -> Path | None:
        """The file with the stem of a path; of several, the one whose folders agree best with those of the path.

        Returns:
            The file; None where no file has the stem, or several agree equally well: a choice would be a guess.
        """
        found = self._by_stem.get(stem(str(path)), [])
        if len(found) < 2:
            return found[0] if found else None
        agree = [_common_folders(file, Path(path)) for file in found]
        best = max(agree)
        return found[agree.index(best)] if agree.count(best) == 1 else None

    def _other_split(self, path: Path, split: Split | None) -> int:
        """0: in a folder of this split; 1: in no split's folder; 2: in another split's folder."""
        parts = [part.lower() for part in path.relative_to(self.root).parts[:-1]]
        splits = {SPLIT_NAMES[part] for part in parts if part in SPLIT_NAMES}
        return 1 if not splits or split is None else 0 if split in splits else 2
