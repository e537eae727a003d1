"""Decode audio files, bytes or arrays to mono float32 samples at a given rate, deterministically.

libsndfile reads wav, flac, ogg, opus and mp3 (soundfile, in blocks); soxr resamples the stream; channels are
averaged. Files that libsndfile cannot open (m4a, wma, video) are read by PyAV if the extra ``codec`` is installed.
``decode`` and ``stream_windows`` share one code path, so both return the same samples bit for bit.
Cost on one core, stereo at 44.1 kHz to 32 kHz: 660 x real time for wav, 300 flac, 210 ogg, 350 mp3, 80 opus (48 kHz).

Special cases that are handled: the frame count in a header may be wrong or "unknown" (2**63 - 1), so files are read
until no more samples come; soundfile seeks after every read, which changes the samples of short opus files; soundfile
raises TypeError for a file named ``.raw``; floating-point files may contain NaN or values beyond 1; resampling a single
sample to a lower rate yields no sample.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from askaudio.audio import codec
from askaudio.audio.stream import AudioStream
from askaudio.audio.windows import Window, cut
from askaudio.core.errors import AudioDecodeError, MissingExtraError
from askaudio.core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Decoded sound: ``samples`` (S,) mono or (C, S), float in [-1, 1], at ``sample_rate_hz``."""

    samples: npt.NDArray[Any]
    sample_rate_hz: int


Source = Path | str | bytes | Waveform

MAX_DECODE_S = 3600.0  # longest recording that decode() holds in memory; use stream_windows() for longer ones
_BLOCK_VALUES = 1 << 17  # values (frames x channels) read at once: 512 KiB
_RATES_HZ = range(1000, 1_000_001)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Header fields of an audio file; ``duration_s`` is None where the header has no length."""

    duration_s: float | None
    sample_rate_hz: int
    channels: int
    format: str


def decode(source: Source, sample_rate_hz: int) -> FloatArray:
    """Decode a whole recording.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Rate of the result.

    Returns:
        Mono waveform (S,) float32 in [-1, 1], S >= 1: the mean of the channels, resampled (soxr HQ).

    Raises:
        AudioDecodeError: Missing, empty, broken, not audio, no samples, NaN or infinite samples, or longer than
            ``MAX_DECODE_S``.
    """
    blocks, length = [], 0
    for block in _mono_blocks(source, sample_rate_hz):
        blocks.append(block)
        length += len(block)
        if length > MAX_DECODE_S * sample_rate_hz:
            raise AudioDecodeError(
                _name(source),
                f"longer than {MAX_DECODE_S / 3600:.0f} h; read it in windows: askaudio.audio.decode.stream_windows",
            )
    return np.concatenate(blocks)


def stream_windows(
    source: Source, sample_rate_hz: int, window_s: float, hop_s: float, longest_s: float | None = None
) -> Iterator[Window]:
    """Decode a recording of any length window by window, in bounded memory.

    The windows equal ``fixed_windows(decode(source, rate), rate, window_s, hop_s)`` bit for bit.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Rate of the windows' samples.
        window_s: Length of a window in seconds.
        hop_s: Step between window starts in seconds.
        longest_s: Number of seconds to read from the start; None reads the whole recording.

    Raises:
        AudioDecodeError: As ``decode``; an error in the middle of a file is raised when the stream reaches it.
        ConfigError: ``window_s`` or ``hop_s`` is out of range.
    """
    blocks = _mono_blocks(source, sample_rate_hz)
    if longest_s is not None:
        blocks = _first_samples(blocks, round(longest_s * sample_rate_hz))
    return cut(blocks, sample_rate_hz, window_s, hop_s)


def _first_samples(blocks: Iterator[FloatArray], remaining: int) -> Iterator[FloatArray]:
    for block in blocks:
        yield block[:remaining]
        remaining -= len(block)
        if remaining <= 0:
            return


def probe(source: Source) -> AudioInfo:
    """Read a file's header: length, rate, channels, container format.

    Raises:
        AudioDecodeError: The file is missing, empty or not audio; samples are not read.
    """
    with _open(source) as stream:
        frames = stream.frames
        duration_s = None if frames is None else frames / stream.sample_rate_hz
        return AudioInfo(duration_s, stream.sample_rate_hz, stream.channels, stream.format)


def _name(source: Source) -> str:
    if isinstance(source, Waveform):
        return f"<waveform of shape {source.samples.shape}>"
    return f"<{len(source)} bytes>" if isinstance(source, bytes) else str(source)


def _mono_blocks(source: Source, sample_rate_hz: int) -> Iterator[FloatArray]:
    """Blocks (S_i,) at ``sample_rate_hz``; at least one sample in all."""
    name, produced, first = _name(source), 0, np.zeros(0, dtype=np.float32)
    with _open(source) as stream:
        same_rate = stream.sample_rate_hz == sample_rate_hz
        resampler = None if same_rate else soxr.ResampleStream(stream.sample_rate_hz, sample_rate_hz, 1, "float32")
        for block in stream.blocks:  # (n, C)
            mono = _mean_of_channels(block)  # (n,)
            if not np.isfinite(mono).all():
                raise AudioDecodeError(name, "contains samples that are NaN or infinite; write the file again")
            np.clip(mono, -1.0, 1.0, out=mono)
            first = first if len(first) else mono[:1].copy()  # returned where resampling yields nothing
            out = mono if resampler is None else resampler.resample_chunk(mono)
            if len(out):
                produced += len(out)
                yield np.clip(out, -1.0, 1.0)  # band-limiting overshoots at edges
        if not len(first):
            raise AudioDecodeError(name, "holds no samples")
        if resampler is not None:
            out = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            if len(out) or not produced:
                yield np.clip(out, -1.0, 1.0) if len(out) else first


def _mean_of_channels(block: FloatArray) -> FloatArray:
    """(n, C) -> (n,). Channel by channel: numpy's mean over a short last axis is 20 times slower."""
    total = block[:, 0].copy()
    for channel in range(1, block.shape[1]):
        total += block[:, channel]
    return total / np.float32(block.shape[1])


@contextlib.contextmanager
def _open(source: Source) -> Iterator[AudioStream]:
    name = _name(source)
    if isinstance(source, Waveform):
        yield _waveform_stream(source, name)
        return
    _check_source(source, name)
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(_open_soundfile(source, name))
        except AudioDecodeError as first:
            stream = stack.enter_context(_open_codec(source, name, first))
        if stream.sample_rate_hz not in _RATES_HZ:
            raise AudioDecodeError(
                name,
                f"a sample rate of {stream.sample_rate_hz} Hz is outside {_RATES_HZ.start}-{_RATES_HZ.stop - 1} Hz",
            )
        yield stream


def _waveform_stream(source: Waveform, name: str) -> AudioStream:
    if source.sample_rate_hz not in _RATES_HZ:
        raise AudioDecodeError(
            name, f"a sample rate of {source.sample_rate_hz} Hz is outside {_RATES_HZ.start}-{_RATES_HZ.stop - 1} Hz"
        )
    samples = np.asarray(source.samples, dtype=np.float32)
    if samples.ndim not in (1, 2):
        raise AudioDecodeError(name, "expected samples of shape (S,) or (C, S)")
    frames = samples.reshape(1, -1).T if samples.ndim == 1 else samples.T  # (S, C)
    if frames.shape[1] == 0:
        raise AudioDecodeError(name, "holds no samples")
    blocks = iter([frames] if len(frames) else [])
    return AudioStream(int(source.sample_rate_hz), frames.shape[1], len(frames), "waveform", blocks)


def _check_source(source: Path | str | bytes, name: str) -> None:
    if isinstance(source, bytes):
        if not source:
            raise AudioDecodeError(name, "no bytes")
        return
    path = Path(source)
    try:
        if not path.exists():
            raise AudioDecodeError(name, "no such file")
        if not path.is_file():  # a pipe would block
            raise AudioDecodeError(name, "not a regular file")
        if path.stat().st_size == 0:
            raise AudioDecodeError(name, "the file is empty (0 bytes)")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise AudioDecodeError(name, f"cannot be opened ({error})") from error


class _Forward(soundfile.SoundFile):
    """A sound file that is read once from start to end. soundfile seeks after each block of a seekable file."""

    def seekable(self) -> bool:
        """False, so that soundfile does not seek."""
        return False


@contextlib.contextmanager
def _open_soundfile(source: Path | str | bytes, name: str) -> Iterator[AudioStream]:
    try:
        file = _Forward(io.BytesIO(source) if isinstance(source, bytes) else str(source))
    except (soundfile.SoundFileError, TypeError, ValueError) as error:  # TypeError: a headerless .raw
        raise AudioDecodeError(name, _reason(error)) from error
    with file:
        frames = file.frames if 0 <= file.frames < 1 << 62 else None
        blocks = _soundfile_blocks(file, name)
        yield AudioStream(file.samplerate, file.channels, frames, file.format.lower(), blocks)


def _soundfile_blocks(file: soundfile.SoundFile, name: str) -> Iterator[FloatArray]:
    n_frames = max(1, _BLOCK_VALUES // file.channels)
    while True:
        buffer = np.empty((n_frames, file.channels), dtype=np.float32)
        try:
            block = file.read(out=buffer)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioDecodeError(name, f"broken in the middle ({_reason(error)})") from error
        if not len(block):
            return
        yield block


@contextlib.contextmanager
def _open_codec(source: Path | str | bytes, name: str, first: AudioDecodeError) -> Iterator[AudioStream]:
    """Open with PyAV what libsndfile refused; without the extra, raise libsndfile's error with the pip command."""
    try:
        opened = codec.open_stream(source, name)
    except MissingExtraError as missing:
        raise AudioDecodeError(
            name, f"{first.reason} (m4a, wma and video need: pip install 'askaudio[codec]')"
        ) from missing
    with opened as stream:
        yield stream


def _reason(error: Exception) -> str:
    text = str(error).split(": ", 1)[-1].strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else type(error).__name__
