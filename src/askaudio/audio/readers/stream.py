"""The common result of all audio readers: header fields and an iterator over blocks of samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import soxr

from askaudio.core.types import FloatArray


@dataclass(frozen=True, slots=True)
class AudioStream:
    """An open recording.

    Attributes:
        sample_rate_hz: Sample rate in the file.
        channels: C.
        frames: Samples per channel that the file promises, or None where it does not say or only estimates.
        format: Container, for example ``"wav"``.
        blocks: Consecutive (n, C) float32 pieces. Iteration raises ``AudioDecodeError`` where the file is broken, after
            all samples before that place.
        is_float: The file stores floating-point samples without loss, so that values beyond 1 are part of the signal.
        notes: What a user should know about how the file was read. Complete when ``blocks`` is exhausted.
    """

    sample_rate_hz: int
    channels: int
    frames: int | None
    format: str
    blocks: Iterator[FloatArray]
    is_float: bool = False
    notes: list[str] = field(default_factory=list)


class Conform:
    """Converts blocks to one sample rate and channel count, for files whose parts differ.

    A block that already has the rate and the channel count is returned unchanged. Any other block is averaged over its
    channels, resampled (soxr HQ), and repeated in every output channel.

    Args:
        sample_rate_hz: Sample rate of the output.
        channels: Channel count of the output.
        notes: Receives one line per change.
    """

    def __init__(self, sample_rate_hz: int, channels: int, notes: list[str]) -> None:
        self.target = (sample_rate_hz, channels)
        self.notes = notes
        self._current = self.target
        self._resampler: soxr.ResampleStream | None = None

    def __call__(self, block: FloatArray, sample_rate_hz: int) -> Iterator[FloatArray]:
        """Yield the block (n, C) at the target rate and channel count."""
        found = (sample_rate_hz, block.shape[1])
        if found != self._current:
            yield from self.finish()
            self._current = found
            self.notes.append(f"changes to {found[0]} Hz and {found[1]} channels inside the file; converted")
            if sample_rate_hz != self.target[0]:
                self._resampler = soxr.ResampleStream(sample_rate_hz, self.target[0], 1, "float32")
        if found == self.target:
            yield block
        else:
            mono = mean_of_channels(block)
            yield self._spread(mono if self._resampler is None else self._resampler.resample_chunk(mono))

    def finish(self) -> Iterator[FloatArray]:
        """Yield the samples that the resampler still holds."""
        if self._resampler is not None:
            yield self._spread(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
            self._resampler = None

    def _spread(self, mono: FloatArray) -> FloatArray:
        return np.repeat(mono[:, None], self.target[1], axis=1)


def mean_of_channels(block: FloatArray) -> FloatArray:
    """(n, C) -> (n,). Channel by channel, because numpy's mean over a short last axis is 20 times slower."""
    total = block[:, 0].copy()
    for channel in range(1, block.shape[1]):
        total += block[:, channel]
    return total / np.float32(block.shape[1])
