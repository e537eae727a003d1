"""Sounds decoded when they are needed: a window at a random place in training, all fixed windows in evaluation.

For trained towers on data that does not fit in memory as spectrograms. Decoding and log-mel release the interpreter's
lock, so threads serve evaluation; training uses processes (``train.workers``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from askaudio.audio.decode import decode, read_windows
from askaudio.audio.front_end import FrontEnd
from askaudio.core.types import FloatArray

Array = npt.NDArray[Any]


class Sound:
    """One file as the input of an audio tower.

    Args:
        path: The file, which can be decoded.
        front_end: Rate, windows, spectrogram.
    """

    __slots__ = ("front_end", "path")

    def __init__(self, path: str, front_end: FrontEnd) -> None:
        self.path, self.front_end = path, front_end

    def __len__(self) -> int:
        """At least one window; how many, only decoding tells."""
        return 1

    def __iter__(self) -> Iterator[Array]:
        """What the tower takes for each fixed window, (F, T_i) float32."""
        end = self.front_end
        windows, _ = read_windows(
            self.path, end.sample_rate_hz, end.window_s, end.hop_s, lambda cut: [window.samples for window in cut]
        )
        return (end(samples) for samples in windows)

    def window(self, place: float) -> Array:
        """What the tower takes for a window that begins at a place in [0, 1) of where it can begin: (F, T)."""
        return self.front_end(self._cut(place))

    def mixed(self, place: float, other: Sound, louder_db: float) -> Array:
        """The window mixed with one of another sound, which is repeated or cut to the same length.

        Args:
            place: As in ``window``, for both.
            other: The other sound.
            louder_db: Level of this sound over the other one, both measured over the window.

        Returns:
            (F, T).
        """
        mine, theirs = self._cut(place), other._cut(place)
        length = max(len(mine), len(theirs))
        mine, theirs = np.resize(mine, length), np.resize(theirs, length)
        gain = _level(mine) / _level(theirs) * 10 ** (-louder_db / 20)
        both = mine + gain * theirs
        return self.front_end((both / max(1.0, float(np.abs(both).max()))).astype(np.float32))

    def _cut(self, place: float) -> FloatArray:
        samples = decode(self.path, self.front_end.sample_rate_hz)
        size = round(self.front_end.window_s * self.front_end.sample_rate_hz)
        start = int(place * (max(0, len(samples) - size) + 1))
        return samples[start : start + size]


def _level(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-6
