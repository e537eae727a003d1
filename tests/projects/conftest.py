"""A collection of generated sounds on disk, its files, and what people keep of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.update import ingest
from askaudio.ingest.walk import clip_id_of
from askaudio.projects.kept import Kept, open_kept


class Library:
    """A folder of sounds and the collection of it."""

    def __init__(self, folder: Path) -> None:
        self.sounds, self.collection = folder / "sounds", folder / "collection"
        self.sounds.mkdir()

    def write(self, name: str, hz: float = 440.0, seconds: float = 0.5) -> Path:
        """Write a tone."""
        path = self.sounds / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.4 * np.sin(2 * np.pi * hz * np.arange(int(seconds * 16000)) / 16000)
        soundfile.write(path, tone.astype(np.float32), 16000)
        return path

    def index(self) -> None:
        """Bring the collection up to date; every missing file was deleted."""
        encoder = ToyEncoder()
        with open_store(self.collection, "w", Identity.of(encoder, "toy")) as store:
            ingest([self.sounds], store, encoder, remove_missing=True)

    def id_of(self, name: str) -> str:
        """Id of the clip of a file."""
        return clip_id_of(str(self.sounds / name))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Three indexed tones."""
    made = Library(tmp_path.resolve())
    for number, name in enumerate(("a.wav", "b.wav", "deep/c.wav")):
        made.write(name, 300.0 + 200 * number)
    made.index()
    return made


@pytest.fixture
def open_as(library: Library) -> Iterator[Callable[..., Kept]]:
    """Open the kept things of a person."""
    opened: list[Kept] = []

    def make(person: str = "") -> Kept:
        opened.append(open_kept(library.collection, person))
        return opened[-1]

    yield make
    for kept in opened:
        kept.close()
