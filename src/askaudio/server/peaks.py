"""Waveforms for the page: computed once per file version in the decoder process, and kept as one byte a value."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from dataclasses import dataclass

from askaudio.core.types import Json
from askaudio.server.clip_files import ClipFile
from askaudio.server.decoder import Decoder

MAX_POINTS = 2000
_ENTRY_BYTES = 600  # of the key, the objects and the place in the dictionary, measured with tracemalloc


@dataclass(frozen=True, slots=True)
class _Kept:
    """A waveform; a list of the same integers would take 18 to 36 bytes a value."""

    duration_s: float
    start_s: float
    end_s: float
    low: bytes
    high: bytes
    level_db: float | None
    peak: float

    @property
    def size_bytes(self) -> int:
        return _ENTRY_BYTES + len(self.low) + len(self.high)

    def to_json(self) -> Json:
        low, high = list(array("b", self.low)), list(array("b", self.high))
        return {
            "duration_s": self.duration_s, "start_s": self.start_s, "end_s": self.end_s, "low": low, "high": high,
            "level_db": self.level_db, "peak": self.peak,
        }  # fmt: skip


class PeaksCache:
    """Peaks by a key of file version and stretch; the least recently used one is removed first.

    Args:
        decoder: Reads the files.
        max_bytes: How much memory the kept waveforms may take.
    """

    def __init__(self, decoder: Decoder, max_bytes: int) -> None:
        self._decoder, self._max_bytes = decoder, max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Json | None:
        """A cached waveform; None when it has to be computed."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        return None if kept is None else kept.to_json()

    def compute(self, key: str, file: ClipFile, n_points: int, start_s: float, end_s: float | None) -> Json:
        """Read the file and keep the result; see ``decode_worker.peaks``.

        Args:
            key: Names file version and stretch.
            file: The open file.
            n_points: Number of stretches.
            start_s: Begin, in seconds.
            end_s: End, in seconds; None for the end of the file.

        Raises:
            AudioDecodeError: The file cannot be decoded in time.
        """
        peaks = self._decoder.run("peaks", file.path_for_children, n_points=n_points, start_s=start_s, end_s=end_s)
        low, high = (array("b", peaks[name]).tobytes() for name in ("low", "high"))
        times = peaks["duration_s"], peaks["start_s"], peaks["end_s"]
        kept = _Kept(*times, low, high, peaks["level_db"], peaks["peak"])
        with self._lock:
            before = self._kept.pop(key, None)
            self._kept[key] = kept
            self.size_bytes += kept.size_bytes - (before.size_bytes if before else 0)
            while self.size_bytes > self._max_bytes:
                self.size_bytes -= self._kept.popitem(last=False)[1].size_bytes
        return peaks
