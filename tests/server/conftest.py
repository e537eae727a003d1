"""A small collection of real wav files behind a real app: tones, noise, a click and a long recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.update import ingest
from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.settings import ServerSettings
from browser import address, browser, open_page  # noqa: F401 - fixtures
from sound_library import library, library_folder  # noqa: F401 - fixtures

RATE_HZ = 16000


def _tone(hz: float, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of generated sounds."""
    folder = tmp_path_factory.mktemp("sounds").resolve()
    rng = np.random.default_rng(0)
    (folder / "deep").mkdir()
    made = {
        "deep/low hum.wav": _tone(100, 2.0),
        "high whistle.wav": _tone(3200, 1.0),
        "bell.wav": _tone(1500, 1.5) * np.exp(-np.arange(int(1.5 * RATE_HZ)) / 8000).astype(np.float32),
        "white noise.flac": (0.2 * rng.standard_normal(RATE_HZ)).astype(np.float32).clip(-1, 1),
        "quiet then siren.wav": np.concatenate([np.zeros(20 * RATE_HZ, np.float32), _tone(900, 10.0)]),
        "ünï & <b>strange<b> #1?.wav": _tone(440, 0.5),
    }
    for name, samples in made.items():
        with soundfile.SoundFile(folder / name, "w", RATE_HZ, 1) as file:
            file.genre = "metal" if name == "bell.wav" else "other"
            file.write(samples)
    return folder


@pytest.fixture(scope="session")
def collection(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated sounds as a collection on disk, made with the toy encoder."""
    folder, encoder = tmp_path_factory.mktemp("collection") / "toy", ToyEncoder()
    identity = Identity.of(encoder, "toy")
    with open_store(folder, "w", identity) as store:
        report = ingest([sounds], store, encoder)
    assert report.added == 6 and not report.broken
    return folder


@pytest.fixture(scope="session")
def engine(collection: Path) -> Iterator[SearchEngine]:
    """The engine over that collection; it loads the encoder that the collection remembers."""
    with SearchEngine.open(collection) as engine:
        yield engine


@pytest.fixture
def make_client(engine: SearchEngine) -> Iterator[Callable[..., TestClient]]:
    """Make a client of an app with some settings changed; closed at the end."""
    opened = []

    def make(**settings: object) -> TestClient:
        app = create_app(engine, ServerSettings(**settings))  # type: ignore[arg-type]
        client = TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def client(engine: SearchEngine) -> Iterator[TestClient]:
    """A client of an app with default settings."""
    with TestClient(create_app(engine), base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client:
        yield client
