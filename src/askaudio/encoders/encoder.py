"""The protocol of every encoder: ``encode_audio`` and ``encode_text``, both with rows of length 1.

The same input gives the same vector, whatever else is in the batch. ``encode_audio`` takes mono waveforms at
``sample_rate_hz`` that are at most ``window_s`` long. Longer recordings are cut at fixed places by
``encoders/recording.py``; nothing is ever cropped at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray


@runtime_checkable
class Encoder(Protocol):
    """Encodes sound and text into one vector space. Any class with these attributes and methods is an encoder.

    Attributes:
        name: Short name, for messages and tables.
        fingerprint: Hash of weights and settings; encoders with equal fingerprints return equal vectors.
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
    """Mean of the vectors (W, D) of a recording's windows, scaled to length 1 -> (D,)."""
    return normalise_rows(np.mean(embeddings, axis=0, keepdims=True))[0]


@runtime_checkable
class PartEncoder(Encoder, Protocol):
    """An encoder that also encodes the parts of a waveform, from one pass. The method is optional for encoders."""

    def encode_parts(self, samples: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Encode overlapping parts of a mono waveform (S,) float32 that is at most ``window_s`` long.

        Returns:
            Times (P, 2) of start and end of each part in seconds, in order of time, and vectors (P, D), rows of length
            1, in the space of ``encode_audio``. P >= 1. Parts are about 0.3 to 2.5 s long and together cover the
            waveform; a waveform that is shorter than a part is one part.
        """
        ...
