"""Waveforms for the page: computed once per file version in the decoder process, with a cache of a few thousand."""

from __future__ import annotations

import threading
from collections import OrderedDict

from askaudio.core.types import Json
from askaudio.server.clip_files import ClipFile
from askaudio.server.decoder import Decoder

MAX_POINTS = 2000


class PeaksCache:
    """Peaks by file version and stretch; the least recently used one is removed first.

    Args:
        decoder: Reads the files.
        max_entries: How many waveforms are kept.
    """

    def __init__(self, decoder: Decoder, max_entries: int) -> None:
        self._decoder, self._max = decoder, max_entries
        self._kept: OrderedDict[tuple, Json] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, file: ClipFile, n_points: int, start_s: float, end_s: float | None) -> Json | None:
        """A cached waveform; None when it has to be computed."""
        with self._lock:
            key = self._key(file, n_points, start_s, end_s)
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def compute(self, file: ClipFile, n_points: int, start_s: float, end_s: float | None) -> Json:
        """Read the file and keep the result; see ``decode_worker.peaks``.

        Raises:
            AudioDecodeError: The file cannot be decoded in time.
        """
        peaks = self._decoder.run("peaks", str(file.path), n_points=n_points, start_s=start_s, end_s=end_s)
        with self._lock:
            self._kept[self._key(file, n_points, start_s, end_s)] = peaks
            while len(self._kept) > self._max:
                self._kept.popitem(last=False)
        return peaks

    @staticmethod
    def _key(file: ClipFile, n_points: int, start_s: float, end_s: float | None) -> tuple:
        return (str(file.path), file.version, n_points, start_s, end_s)
