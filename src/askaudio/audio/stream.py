"""The common result of all audio readers: header fields and an iterator over blocks of samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from askaudio.core.types import FloatArray


@dataclass(frozen=True, slots=True)
class AudioStream:
    """An open recording.

    Attributes:
        sample_rate_hz: Rate in the file.
        channels: C.
        frames: Samples per channel according to the header, or None where it has no length.
        format: Container, for example ``"wav"``.
        blocks: Consecutive (n, C) float32 pieces.
    """

    sample_rate_hz: int
    channels: int
    frames: int | None
    format: str
    blocks: Iterator[FloatArray]
