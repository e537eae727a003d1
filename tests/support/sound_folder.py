"""A folder of generated sounds on disk and the collection of it, for tests that move, edit and copy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.update import ingest
from askaudio.ingest.walk import clip_id_of


class SoundFolder:
    """A folder of sounds and the collection of it."""

    def __init__(self, folder: Path) -> None:
        self.sounds, self.collection = folder / "sounds", folder / "collection"
        self.sounds.mkdir()

    def write(self, name: str, hz: float = 440.0, seconds: float = 0.5, rate_hz: int = 16000, **tags: str) -> Path:
        """Write a tone, with tags such as ``artist``."""
        path = self.sounds / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.4 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)
        with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
            for tag, text in tags.items():
                setattr(file, tag, text)
            file.write(tone.astype(np.float32))
        return path

    def index(self) -> None:
        """Bring the collection up to date; every missing file was deleted."""
        encoder = ToyEncoder()
        with open_store(self.collection, "w", Identity.of(encoder, "toy")) as store:
            ingest([self.sounds], store, encoder, remove_missing=True)

    def id_of(self, name: str) -> str:
        """Id of the clip of a file."""
        return clip_id_of(str(self.sounds / name))
