"""Fixtures of ingestion: an encoder that counts its windows, and an empty store for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from askaudio.core.types import FloatArray
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.index.store import VectorStore


class CountingEncoder(ToyEncoder):
    """The toy encoder that remembers how many windows it was given."""

    calls = 0

    def encode_audio(self, waveforms: list[FloatArray]) -> FloatArray:  # type: ignore[override]
        self.calls += len(waveforms)
        return super().encode_audio(waveforms)


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def store(encoder: CountingEncoder) -> Iterator[VectorStore]:
    with open_store("memory:", "w", Identity.of(encoder, "toy")) as opened:
        yield opened
