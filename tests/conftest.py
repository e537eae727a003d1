"""Fixtures that every room uses: where the real sounds are, and a seeded generator."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run in parallel: one thread each
os.environ.setdefault("ASKAUDIO_STATE", tempfile.mkdtemp(prefix="askaudio-tests-"))  # never the one of the user


def _find_shared() -> Path | None:
    here = Path(__file__).resolve()
    places = [os.environ.get("ASKAUDIO_SHARED", ""), here.parents[1].parent / "shared"]
    for place in places:
        if place and (Path(place) / "data" / "sounds" / "manifest.jsonl").is_file():
            return Path(place)
    return None


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real sounds, captions and a pretrained tower; the test is skipped without it."""
    folder = _find_shared()
    if folder is None:
        pytest.skip("no folder of real sounds: set ASKAUDIO_SHARED or put it at ../shared")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
