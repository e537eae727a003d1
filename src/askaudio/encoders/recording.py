"""The one place where a recording becomes vectors: decode, cut into fixed windows, encode each window.

    recording = encode_recording(encoder, "door.wav")
    recording.times      # (W, 2) start and end of each window in seconds
    recording.vectors    # (W, D) rows of length 1
    recording.pooled     # (D,) mean of the windows, length 1

Search, ingestion, evaluation and the adapters to other libraries all call it, so the same file and the same encoder
give the same vectors everywhere. Memory does not grow with the recording: eight windows are held at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from askaudio.audio.decode import Source, stream_windows
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import Encoder, pool_windows

WINDOWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording as an encoder represents it.

    Attributes:
        times: (W, 2) float64, start and end of each window in seconds, in order of time; W >= 1.
        vectors: (W, D) float32, rows of length 1.
    """

    times: FloatArray
    vectors: FloatArray

    @property
    def duration_s(self) -> float:
        """Decoded length in seconds."""
        return float(self.times[-1, 1])

    @property
    def pooled(self) -> FloatArray:
        """One vector (D,) for the whole recording: the mean over its windows, scaled to length 1."""
        return pool_windows(self.vectors)


def encode_recording(encoder: Encoder, source: Source, longest_s: float | None = None) -> Recording:
    """Decode a recording, cut it into the encoder's fixed windows, and encode them.

    Args:
        encoder: Its ``sample_rate_hz``, ``window_s`` and ``hop_s`` decide how the recording is cut.
        source: Path of a file, the bytes of one, or a ``Waveform``.
        longest_s: Only the first so many seconds are read; None reads all of it.

    Returns:
        At least one window.

    Raises:
        AudioDecodeError: The source cannot be decoded, or holds no samples.
        ModelError: The encoder returned NaN or infinity.
    """
    windows = stream_windows(source, encoder.sample_rate_hz, encoder.window_s, encoder.hop_s, longest_s)
    times: list[tuple[float, float]] = []
    vectors: list[FloatArray] = []
    while batch := list(islice(windows, WINDOWS_AT_ONCE)):
        times += [(window.start_s, window.end_s) for window in batch]
        vectors.append(encoder.encode_audio([window.samples for window in batch]))
    rows = np.concatenate(vectors).astype(np.float32, copy=False)
    if not np.isfinite(rows).all():
        raise ModelError(f"the encoder {encoder.name} returned NaN or infinity for this recording")
    return Recording(np.array(times), rows)
