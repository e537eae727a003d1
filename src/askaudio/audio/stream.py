"""What every reader hands over: the header's facts and the blocks of samples as they are in the file."""

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
        frames: Samples per channel by the header, or None where it does not say.
        format: Container, for example ``"wav"``.
        blocks: Consecutive (n, C) float32 pieces.
    """

    sample_rate_hz: int
    channels: int
    frames: int | None
    format: str
    blocks: Iterator[FloatArray]
