"""A collection of generated sounds on disk, its files, and what people keep of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from askaudio.projects.kept import Kept, open_kept
from sound_folder import SoundFolder


@pytest.fixture
def library(tmp_path: Path) -> SoundFolder:
    """Three indexed tones."""
    made = SoundFolder(tmp_path.resolve())
    for number, name in enumerate(("a.wav", "b.wav", "deep/c.wav")):
        made.write(name, 300.0 + 200 * number)
    made.index()
    return made


@pytest.fixture
def open_as(library: SoundFolder) -> Iterator[Callable[..., Kept]]:
    """Open the kept things of a person."""
    opened: list[Kept] = []

    def make(person: str = "") -> Kept:
        opened.append(open_kept(library.collection, person))
        return opened[-1]

    yield make
    for kept in opened:
        kept.close()
