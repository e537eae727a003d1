"""A collection of 300 short sounds in folders and formats, with near-identical takes: for tests of long lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.ingest.update import ingest
from askaudio.search.engine import SearchEngine
from live import live_server

RATE_HZ = 16000
LISTED = 300


def tone(hz: float, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    """A sine."""
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


@pytest.fixture(scope="session")
def library_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that can be played: takes of a bell, and one sound in each format that browsers do not play."""
    folder = tmp_path_factory.mktemp("library").resolve()
    for name in ("bells", "formats"):
        (folder / name).mkdir()
    soundfile.write(folder / "bells/bell.wav", tone(1500, 1.0), RATE_HZ)
    soundfile.write(folder / "bells/clean bell of bronze.flac", tone(1500, 1.0, 0.3), RATE_HZ)
    soundfile.write(folder / "bells/take 3.ogg", tone(1500, 1.0), RATE_HZ)
    soundfile.write(folder / "formats/siren aiff.aiff", tone(900, 2.0), RATE_HZ)
    soundfile.write(folder / "formats/siren caf.caf", tone(901, 2.0), RATE_HZ, format="CAF", subtype="PCM_16")
    soundfile.write(folder / "formats/siren adpcm.wav", tone(902, 2.0), RATE_HZ, subtype="IMA_ADPCM")
    soundfile.write(folder / "formats/siren quiet.wav", tone(905, 2.0, 0.02), RATE_HZ)
    return folder


@pytest.fixture(scope="session")
def library(library_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page over these files and ``LISTED`` sounds that are listed but not on disk."""
    encoder = ToyEncoder()
    collection = tmp_path_factory.mktemp("collection") / "library"
    rng = np.random.default_rng(3)
    with open_store(collection, "w", Identity.of(encoder, "toy")) as store:
        assert ingest([library_folder], store, encoder).added == 7
        store.add(_listed(n, rng.standard_normal(encoder.embed_dim).astype(np.float32)) for n in range(LISTED))
    with SearchEngine.open(collection) as engine, live_server(engine, rate_per_s=0) as address:
        yield address


def _listed(n: int, vector: np.ndarray) -> Entry:
    facts = {
        "duration_s": 1.0 + n, "sample_rate_hz": (44100, 48000)[n % 2], "channels": 1 + n % 2, "format": "wav",
        "category": ("doors", "water")[n % 2], "tags": ["creak" if n % 3 else "splash"],
        "loudness_lufs": -40.0 + n / 10, "modified_s": 1.7e9 + 86400 * n,
    }  # fmt: skip
    return Entry(f"listed{n:03}#0", f"listed{n:03}", vector, 0.0, 1.0, f"/srv/fx/disc {n % 4}/sound {n}.wav", facts)
