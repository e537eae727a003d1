"""A collection of tones with licences of all sorts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from askaudio.delivery.credits import CreditReader
from askaudio.delivery.items import Selection, select
from askaudio.engines.open import open_store
from askaudio.index.store import VectorStore
from sound_folder import SoundFolder


@pytest.fixture
def library(tmp_path: Path) -> SoundFolder:
    """Four indexed tones: free, not for commercial use, without a licence, and with a name that is hard to copy."""
    made = SoundFolder(tmp_path.resolve())
    made.write("rain.wav", 300.0, seconds=2.0, rate_hz=48000, copyright="CC BY 4.0", artist="Ana", title="Rain, soft")
    made.write("deep/rain.flac", 500.0, license="Attribution Noncommercial")
    made.write("deep/door.wav", 700.0)
    made.write("=1+1 ünï 'x' \"y\" `z`\n#.wav", 900.0)
    made.index()
    return made


@pytest.fixture
def store(library: SoundFolder) -> Iterator[VectorStore]:
    """The open collection."""
    with open_store(library.collection) as opened:
        yield opened


@pytest.fixture
def roots(library: SoundFolder) -> list[str]:
    """Folders that may be read."""
    return [os.path.realpath(library.sounds)]


@pytest.fixture
def pick(library: SoundFolder, store: VectorStore, roots: list[str]) -> Callable[..., Selection]:
    """Select by names of files, or by items."""

    def make(*wanted: object, **options: object) -> Selection:
        items = [library.id_of(one) if isinstance(one, str) else one for one in wanted]
        return select(store, items, CreditReader(roots), **options)  # type: ignore[arg-type]

    return make
