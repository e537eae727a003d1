"""Decode audio files, bytes or arrays to mono float32 samples at a given rate, deterministically.

libsndfile reads wav, flac, ogg, opus and mp3 (soundfile, in blocks); soxr resamples the stream; channels are averaged.
What libsndfile does not read to the end (m4a, wma, video, some opus) goes to PyAV if the extra ``codec`` is installed,
then to an ``ffmpeg`` program on the PATH. ``audio/reading.py`` has the rules.
All functions read through the same path, so ``decode`` and the window functions give the same samples bit for bit.
Cost on one core, stereo at 44.1 kHz to 32 kHz: 660 x real time for wav, 300 flac, 210 ogg, 350 mp3, 80 opus (48 kHz).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from askaudio.audio import reading
from askaudio.audio.reading import Reading, Source, Tap, Waveform
from askaudio.audio.windows import Window, cut
from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import FloatArray

__all__ = [
    "AudioInfo",
    "Reading",
    "Source",
    "Tap",
    "Waveform",
    "decode",
    "probe",
    "read_through",
    "read_windows",
    "stream_windows",
]

T = TypeVar("T")

MAX_DECODE_S = 3600.0  # longest recording that decode() holds in memory; use read_windows() for longer ones


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Header fields of an audio file; ``duration_s`` is None where the header has no length, and may be wrong."""

    duration_s: float | None
    sample_rate_hz: int
    channels: int
    format: str


def decode(source: Source, sample_rate_hz: int, partial: bool = False) -> FloatArray:
    """Decode a whole recording.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Sample rate of the result.
        partial: Return the part of a damaged recording that can be decoded instead of raising.

    Returns:
        Mono waveform (S,) float32 in [-1, 1], S >= 1: the mean of the channels, resampled (soxr HQ).

    Raises:
        AudioDecodeError: Missing, empty, broken, not audio, no samples, NaN or infinite samples, or longer than
            ``MAX_DECODE_S``.
    """

    def join(blocks: Iterator[FloatArray]) -> FloatArray:
        kept, length = [], 0
        for block in blocks:
            kept.append(block)
            length += len(block)
            if length > MAX_DECODE_S * sample_rate_hz:
                advice = "read it in windows: askaudio.audio.decode.stream_windows"
                raise AudioDecodeError(reading.name_of(source), f"longer than {MAX_DECODE_S / 3600:.0f} h; {advice}")
        return np.concatenate(kept)

    return reading.read(source, sample_rate_hz, join, partial=partial)[0]


def read_windows(
    source: Source,
    sample_rate_hz: int,
    window_s: float,
    hop_s: float,
    use: Callable[[Iterator[Window]], T],
    longest_s: float | None = None,
    partial: bool = False,
    tap: Tap | None = None,
) -> tuple[T, Reading]:
    """Decode a recording of any length window by window, in bounded memory, usually in one pass.

    The windows equal ``fixed_windows(decode(source, rate), rate, window_s, hop_s)`` bit for bit.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Sample rate of the windows' samples.
        window_s: Length of a window in seconds.
        hop_s: Step between window starts in seconds.
        use: Called with the windows in order of time. It is called again, from the first window, when the recording
            turns out to need another reader, channel or level; the result of the last call counts.
        longest_s: Number of seconds to read from the start; None reads the whole recording.
        partial: For a damaged recording, use the part that can be decoded instead of raising.
        tap: Also takes the samples, before they are resampled.

    Returns:
        The result of ``use``, and how the recording was read.

    Raises:
        AudioDecodeError: As ``decode``; longer than ``askaudio.audio.reading.LONGEST_S``.
        ConfigError: ``window_s`` or ``hop_s`` is out of range.
    """

    def windows(blocks: Iterator[FloatArray]) -> T:
        return use(cut(blocks, sample_rate_hz, window_s, hop_s))

    return reading.read(source, sample_rate_hz, windows, longest_s, partial=partial, tap=tap)


def read_through(source: Source, tap: Tap) -> Reading:
    """Decode a recording only for a tap; a damaged one is read up to the fault.

    Raises:
        AudioDecodeError: As ``read_windows``.
    """

    def run_through(blocks: Iterator[FloatArray]) -> None:
        deque(blocks, maxlen=0)

    # nothing uses the resampled blocks: the lowest rate costs least
    return reading.read(source, 8000, run_through, partial=True, tap=tap)[1]


def stream_windows(
    source: Source, sample_rate_hz: int, window_s: float, hop_s: float, longest_s: float | None = None
) -> Iterator[Window]:
    """The windows of ``read_windows`` as an iterator.

    It decodes the recording twice: how it must be read is known only after its last sample. Where time matters, use
    ``read_windows``.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Sample rate of the windows' samples.
        window_s: Length of a window in seconds.
        hop_s: Step between window starts in seconds.
        longest_s: Number of seconds to read from the start; None reads the whole recording.

    Raises:
        AudioDecodeError: As ``read_windows``, before the first window.
        ConfigError: ``window_s`` or ``hop_s`` is out of range.
    """
    yield from cut(reading.settled(source, sample_rate_hz, longest_s), sample_rate_hz, window_s, hop_s)


def probe(source: Source) -> AudioInfo:
    """Read a file's header: length, sample rate, channels, container format. Nothing is decoded.

    Raises:
        AudioDecodeError: The file is missing, empty or not audio; samples are not read.
    """
    name = reading.name_of(source)
    reading.check_source(source, name)
    reasons = {}
    for reader in reading.readers_for(source):
        try:
            with reading.open_with(reader, source) as stream:
                duration_s = None if stream.frames is None else stream.frames / stream.sample_rate_hz
                return AudioInfo(duration_s, stream.sample_rate_hz, stream.channels, stream.format)
        except AudioDecodeError as error:
            reasons[reader] = error.reason
    raise AudioDecodeError(name, reading.joined(reasons))
