"""The one place where a recording becomes vectors: decode, cut into fixed windows, encode each window.

    recording = encode_recording(encoder, "door.wav")
    recording.times      # (W, 2) start and end of each window in seconds
    recording.vectors    # (W, D) rows of length 1
    recording.pooled     # (D,) mean of the windows, length 1

Search, ingestion, evaluation and the adapters to other libraries all call it, so the same file and the same encoder
give the same vectors everywhere. Memory does not grow with the recording: eight windows are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from askaudio.audio.decode import Source, Tap, read_windows
from askaudio.audio.windows import Window
from askaudio.core.errors import AskAudioError, ModelError
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.encoder import Encoder, pool_windows

WINDOWS_AT_ONCE = 8
# what reading and encoding one file may raise: decoders and runtimes have many exception types
READ_ERRORS = (AskAudioError, OSError, ValueError, RuntimeError, MemoryError)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording as an encoder represents it.

    Attributes:
        times: (W, 2) float64, start and end of each window in seconds, in order of time; W >= 1.
        vectors: (W, D) float32, rows of length 1.
        notes: What a user should know about how the file was read, one sentence each; empty for most recordings.
        damaged: Only the first part could be decoded; the first note says where it ends and why.
        reader: What decoded it: ``"libsndfile"``, ``"PyAV"``, ``"ffmpeg"`` or ``"waveform"``.
    """

    times: FloatArray
    vectors: FloatArray
    notes: tuple[str, ...] = ()
    damaged: bool = False
    reader: str = ""

    @property
    def duration_s(self) -> float:
        """Decoded length in seconds."""
        return float(self.times[-1, 1])

    @property
    def pooled(self) -> FloatArray:
        """One vector (D,) for the whole recording: the mean over its windows, scaled to length 1."""
        return pool_windows(self.vectors)


def encode_recording(
    encoder: Encoder,
    source: Source,
    longest_s: float | None = None,
    partial: bool = False,
    tap: Tap | None = None,
) -> Recording:
    """Decode a recording, cut it into the encoder's fixed windows, and encode them.

    Args:
        encoder: Its ``sample_rate_hz``, ``window_s`` and ``hop_s`` decide how the recording is cut.
        source: Path of a file, the bytes of one, or a ``Waveform``.
        longest_s: Read only this many seconds from the start; None reads all of it.
        partial: Encode the part of a damaged recording that can be decoded (``Recording.damaged``) instead of raising.
        tap: Also takes the samples of the file, for measurements.

    Returns:
        At least one window.

    Raises:
        AudioDecodeError: The source cannot be decoded, holds no samples, or is longer than
            ``askaudio.audio.reading.LONGEST_S``.
        ModelError: The encoder returned NaN or infinity.
    """

    def encode(windows: Iterator[Window]) -> tuple[FloatArray, FloatArray]:
        times: list[tuple[float, float]] = []
        vectors: list[FloatArray] = []
        while batch := list(islice(windows, WINDOWS_AT_ONCE)):
            times += [(window.start_s, window.end_s) for window in batch]
            vectors.append(encoder.encode_audio([window.samples for window in batch]))
        return np.array(times), np.concatenate(vectors).astype(np.float32, copy=False)

    rate, window_s, hop_s = encoder.sample_rate_hz, encoder.window_s, encoder.hop_s
    (times, rows), reading = read_windows(source, rate, window_s, hop_s, encode, longest_s, partial, tap)
    if not np.isfinite(rows).all():
        raise ModelError(f"the encoder {encoder.name} returned NaN or infinity for this recording")
    return Recording(times, rows, reading.notes, reading.damaged, reading.reader)


class FileEncoder(Encoder):
    """An encoder that also encodes files: the base class of every encoder that ``load_encoder`` returns."""

    def encode_files(self, paths: Sequence[Path | str], progress: Progress = silent) -> FloatArray:
        """Encode recordings of any length, one vector per file: the mean over its windows, scaled to length 1.

        Args:
            paths: N audio files in any format that ``audio.decode`` reads.
            progress: Called after each file.

        Returns:
            (N, D) float32, rows of length 1, in the order of ``paths``.

        Raises:
            AudioDecodeError: A file cannot be decoded or holds no samples; the message names it.
            ModelError: A file cannot be encoded; the message names it.

        Example:
            >>> load_encoder("small").encode_files(["door.wav", "rain.flac"]).shape  # doctest: +SKIP
            (2, 512)
        """
        if isinstance(paths, str | Path):
            raise ModelError(f"encode_files takes a list of paths, got one path; write [{str(paths)!r}]")
        rows = np.zeros((len(paths), self.embed_dim), dtype=np.float32)
        for number, path in enumerate(paths):
            try:
                rows[number] = encode_recording(self, path).pooled
            except ModelError as error:
                raise ModelError(f"{path}: {error}") from error
            progress(number + 1, len(paths))
        return rows


def reason_of(error: BaseException) -> str:
    """Why a file could not be read, without its path: for lists of broken files."""
    named = getattr(error, "reason", "") or (str(error) if isinstance(error, AskAudioError) else "")
    return named or f"{type(error).__name__}: {error}"
