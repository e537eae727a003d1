"""Read a stretch of a recording, at the file's own rate or at an encoder's, and write it as WAV without loss.

Only the stretch is decoded where the format can be positioned (libsndfile: wav, flac, aiff and similar formats; ogg and
mp3 behind their first minute). Other files are decoded from their start. Integer formats are read and written as
integers, so a cut of a 24-bit file holds the same samples.

``decode_stretch`` scales and mixes by what it reads, ``decode`` by the whole recording. For an ordinary file
both give the same samples.
Cost of 20 s from the middle of an hour: wav and flac 2 ms, mp3 and ogg about 50 ms.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from askaudio.audio import reading
from askaudio.audio.readers.stream import mean_of_channels
from askaudio.core.errors import AudioDecodeError, ConfigError
from askaudio.core.types import FloatArray

Samples = npt.NDArray[Any]
LONGEST_S = 3600.0  # longest stretch that is held in memory
_EXACT = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "AU", "CAF"})  # positioned sample by sample
_LOSSY = frozenset({"OGG", "MP3"})
_SEEK_FROM_S = 60.0  # earlier places of lossy formats are reached by decoding
_PREROLL_S = 1.0  # decoded and dropped before a place in a lossy format, whose decoders need some packets to settle
# subtype of a file -> type of the samples in memory, subtype of a cut; all others are lossy and are cut with 24 bits
_DEPTHS = {
    "PCM_S8": ("int32", "PCM_16"), "PCM_U8": ("int32", "PCM_U8"), "PCM_16": ("int32", "PCM_16"),
    "PCM_24": ("int32", "PCM_24"), "PCM_32": ("int32", "PCM_32"), "FLOAT": ("float32", "FLOAT"),
    "DOUBLE": ("float64", "DOUBLE"), "ALAC_16": ("int32", "PCM_16"), "ALAC_24": ("int32", "PCM_24"),
}  # fmt: skip
_LOSSY_DEPTH = ("float32", "PCM_24")


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A stretch of a recording.

    Attributes:
        samples: (S, C) int32 (full scale is 2^31), float32 or float64, as the file stores them.
        sample_rate_hz: Sample rate of the file.
        start_s: Where it begins, in seconds; at least 0.
        end_s: Where it ends: not behind the end of the recording.
        subtype: Depth of a cut, in libsndfile's names, such as ``"PCM_24"``.
    """

    samples: Samples
    sample_rate_hz: int
    start_s: float
    end_s: float
    subtype: str


def read_stretch(source: Path | str | bytes, start_s: float, end_s: float) -> Stretch:
    """Read a stretch at the rate, the channels and the depth of the file.

    Args:
        source: Path of a file, or the bytes of one.
        start_s: Start in seconds.
        end_s: End in seconds; what lies behind the end of the recording is left out.

    Raises:
        ConfigError: The end is not after the start, or the stretch is longer than ``LONGEST_S``.
        AudioDecodeError: The file cannot be decoded, or ends before ``start_s``.
    """
    check_stretch(start_s, end_s)
    name = reading.name_of(source)
    reading.check_source(source, name)
    found = _positioned(source, start_s, end_s) or _decoded(source, name, start_s, end_s)
    if not len(found.samples):
        raise AudioDecodeError(name, f"it ends before {start_s:.1f} s")
    return found


def decode_stretch(source: Path | str | bytes, sample_rate_hz: int, start_s: float, end_s: float) -> FloatArray:
    """Read a stretch as a mono waveform (S,) float32 in [-1, 1] at ``sample_rate_hz``.

    Arguments and errors are those of ``read_stretch``.
    """
    stretch = read_stretch(source, start_s, end_s)
    block = stretch.samples.astype(np.float32)
    if stretch.samples.dtype == np.int32:
        block /= np.float32(2**31)
    if not np.isfinite(block).all():
        raise AudioDecodeError(reading.name_of(source), "contains samples that are NaN or infinite")
    mono = mean_of_channels(block)
    loudest = block[:, int((block**2).sum(axis=0).argmax())]
    if float(mono @ mono) < reading.CANCELS * float(loudest @ loudest):  # the channels cancel each other
        mono = loudest.copy()
    if stretch.samples.dtype != np.int32 and (peak := float(np.abs(mono).max(initial=0.0))) > 1:
        mono /= np.float32(peak)
    if stretch.sample_rate_hz != sample_rate_hz:
        mono = soxr.resample(mono, stretch.sample_rate_hz, sample_rate_hz)
    return np.clip(mono, -1.0, 1.0).astype(np.float32, copy=False)


def write_stretch(stretch: Stretch, target: Path | str | BinaryIO) -> None:
    """Write a stretch as WAV at its own rate and depth."""
    soundfile.write(target, stretch.samples, stretch.sample_rate_hz, format="WAV", subtype=stretch.subtype)


def cut(source: Path | str | bytes, start_s: float, end_s: float, handles_s: float = 0.0) -> tuple[bytes, Stretch]:
    """A stretch as the bytes of a WAV file.

    Args:
        source: Path of a file, or the bytes of one.
        start_s: Start in seconds.
        end_s: End in seconds.
        handles_s: Seconds to add before and after, as far as the recording has them.

    Returns:
        The bytes, and the stretch with its real start and end.

    Raises:
        ConfigError: As ``read_stretch``; negative handles.
        AudioDecodeError: As ``read_stretch``.
    """
    if handles_s < 0:
        raise ConfigError(f"handles of {handles_s:g} s; expected 0 or more")
    stretch = read_stretch(source, max(0.0, start_s - handles_s), end_s + handles_s)
    buffer = io.BytesIO()
    write_stretch(stretch, buffer)
    return buffer.getvalue(), stretch


def check_stretch(start_s: float, end_s: float) -> None:
    """Raise a ``ConfigError`` unless 0 <= start < end, at most ``LONGEST_S`` apart."""
    if not 0 <= start_s < end_s < float("inf") or end_s - start_s > LONGEST_S:
        raise ConfigError(
            f"a stretch from {start_s:g} to {end_s:g} s; expected 0 <= start < end and at most {LONGEST_S:g} s"
        )


def _positioned(source: Path | str | bytes, start_s: float, end_s: float) -> Stretch | None:
    """The stretch by positioning in the file; None where libsndfile cannot, or where the header may be wrong."""
    target: Any = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    with (
        contextlib.suppress(soundfile.SoundFileError, TypeError, ValueError, OSError),
        soundfile.SoundFile(target) as file,
    ):
        lossy = file.format in _LOSSY
        if file.format not in _EXACT and not (lossy and start_s >= _SEEK_FROM_S):
            return None
        rate, depth = file.samplerate, _DEPTHS.get(file.subtype, _LOSSY_DEPTH)
        first, last = round(start_s * rate), min(round(end_s * rate), file.frames)
        if not 0 <= first < last:
            return None
        skipped = min(first, round(_PREROLL_S * rate)) if lossy else 0
        file.seek(first - skipped)
        samples = file.read(last - first + skipped, dtype=depth[0], always_2d=True)[skipped:]
        if len(samples) == last - first:
            return Stretch(samples, rate, first / rate, last / rate, depth[1])
    return None


def _decoded(source: Path | str | bytes, name: str, start_s: float, end_s: float) -> Stretch:
    """The stretch by decoding from the start, with the first reader that can."""
    reasons: dict[str, str] = {}
    for reader in reading.readers_for(source):
        pieces: list[FloatArray] = []
        position = 0
        try:
            with reading.open_with(reader, source) as stream:
                rate, channels = stream.sample_rate_hz, stream.channels
                depth = _DEPTHS["FLOAT"] if stream.is_float else _LOSSY_DEPTH
                first, last = round(start_s * rate), round(end_s * rate)
                for block in stream.blocks:
                    pieces.append(block[max(0, first - position) : max(0, last - position)].copy())
                    position += len(block)
                    if position >= last:
                        break
        except AudioDecodeError as error:
            reasons[reader] = error.reason
            if not any(map(len, pieces)):  # what was decoded before the fault is used
                continue
        samples = np.concatenate(pieces) if pieces else np.zeros((0, channels), dtype=np.float32)
        return Stretch(samples, rate, first / rate, (first + len(samples)) / rate, depth[1])
    raise AudioDecodeError(name, reading.joined(reasons))
