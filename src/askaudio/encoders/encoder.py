"""The contract of every model: two verbs, rows of length 1, same input -> same vector, batch = single.

An encoder takes waveforms that are already mono, at ``sample_rate_hz`` and at most ``window_s`` long (the audio
room cuts longer recordings into fixed windows; nothing is cropped at random, ever).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray


@runtime_checkable
class Encoder(Protocol):
    """A dual encoder seen from outside.

    Attributes:
        name: Short name for people.
        fingerprint: Hex name of weights and settings; equal fingerprints give equal vectors.
        embed_dim: D.
        sample_rate_hz: Rate of the waveforms that ``encode_audio`` takes.
        window_s: Longest waveform that ``encode_audio`` takes, in seconds.
        hop_s: Step between the windows of a long recording, in seconds.
    """

    name: str
    fingerprint: str
    embed_dim: int
    sample_rate_hz: int
    window_s: float
    hop_s: float

    def encode_audio(self, waveforms: Sequence[FloatArray]) -> FloatArray:
        """Encode B mono waveforms (S_i,) float32 at ``sample_rate_hz`` -> (B, D) rows of length 1."""
        ...

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Encode B texts -> (B, D) rows of length 1."""
        ...


def pool_windows(embeddings: FloatArray) -> FloatArray:
    """One vector for a recording: the mean of its windows' vectors (W, D), scaled to length 1 -> (D,)."""
    return normalise_rows(np.mean(embeddings, axis=0, keepdims=True))[0]
