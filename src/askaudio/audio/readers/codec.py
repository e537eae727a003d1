"""m4a, wma, video and other formats of FFmpeg, through PyAV (extra ``codec``).

Only FFmpeg's demuxers and decoders are used. All channels are returned as they are, because FFmpeg's own downmix to
mono is 3 dB louder than the mean of the channels that libsndfile's samples get.

Safety: the file is opened here and passed as an object, so FFmpeg opens no path itself. Only demuxers that read one
file are allowed (``DEMUXERS``): a playlist or a concatenation script, which is a short text that names other files,
is refused.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.audio.readers.stream import AudioStream, Conform
from askaudio.core.errors import AudioDecodeError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray

DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,matroska,webm,mlp,mov,mp4,m4a,3gp,3g2,"
    "mj2,mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,oga,ogg,ogv,oma,rm,shn,sox,tak,truehd,tta,voc,w64,wav,wv,xwma"
)
_ESTIMATES = {"aac", "mp3"}  # demuxers that guess the length from the bit rate


def open_stream(source: Path | str | bytes, name: str) -> contextlib.AbstractContextManager[AudioStream]:
    """Open the first audio track of a container.

    Args:
        source: Path of a file, or the bytes of one.
        name: Name of the source in error messages.

    Raises:
        MissingExtraError: PyAV is not installed.
        AudioDecodeError: FFmpeg cannot read it or finds no audio (on entering the context).
    """
    return _opened(require("av", "codec"), source, name)


@contextlib.contextmanager
def _opened(av: Any, source: Path | str | bytes, name: str) -> Iterator[AudioStream]:
    limits = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file,pipe"}
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as raw:
        try:
            container = av.open(_Nameless(raw), mode="r", metadata_errors="replace", options=limits)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioDecodeError(name, f"FFmpeg does not read this format ({error.__class__.__name__})") from error
        with container:
            yield _stream(av, container, name)


class _Nameless:
    """A file without its name, so that FFmpeg chooses the format by content alone, as for bytes."""

    def __init__(self, file: Any) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _stream(av: Any, container: Any, name: str) -> AudioStream:
    if not container.streams.audio:
        raise AudioDecodeError(name, "has no audio track")
    track = container.streams.audio[0]
    if track.codec_context is None:
        raise AudioDecodeError(name, "the codec of its audio track is not supported by FFmpeg")
    rate, channels = track.codec_context.sample_rate, track.codec_context.channels
    if not rate or not channels:
        raise AudioDecodeError(name, "its audio track has no sample rate or number of channels")
    form = container.format.name.split(",")[0]
    known = track.duration and form not in _ESTIMATES
    frames = round(float(track.duration * track.time_base) * rate) if known else None
    stores_float = track.codec_context.name.startswith(("pcm_f32", "pcm_f64", "wavpack")) and str(
        getattr(track.codec_context.format, "name", "")
    ).startswith(("flt", "dbl"))
    notes: list[str] = []
    return AudioStream(rate, channels, frames, form, _blocks(av, container, track, name, notes), stores_float, notes)


def _blocks(av: Any, container: Any, track: Any, name: str, notes: list[str]) -> Iterator[FloatArray]:
    """(n, C) float32. Packets that cannot be decoded are left out and counted; the count is raised at the end."""
    conform = Conform(track.codec_context.sample_rate, track.codec_context.channels, notes)
    planar = _Planar(av)
    total = broken = 0
    try:
        for packet in container.demux(track):
            total += 1
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                broken += 1
                continue
            for frame in frames:
                yield from conform(planar(frame), frame.sample_rate)
        yield from conform.finish()
    except (av.FFmpegError, OSError, ValueError) as error:
        raise AudioDecodeError(name, f"broken in the middle ({error.__class__.__name__})") from error
    if broken:
        raise AudioDecodeError(name, f"{broken} of {total} packets cannot be decoded")


class _Planar:
    """Samples of a frame as (n, C) float32; only the sample format is converted, which keeps no state."""

    def __init__(self, av: Any) -> None:
        self._av = av
        self._made_for: object = None
        self._resampler: Any = None

    def __call__(self, frame: Any) -> FloatArray:
        kind = (frame.format.name, frame.sample_rate, frame.layout.name, frame.layout.nb_channels)
        if kind != self._made_for:
            self._made_for, self._resampler = kind, self._av.AudioResampler(format="fltp")
        pieces = [piece.to_ndarray() for piece in self._resampler.resample(frame)]
        return np.ascontiguousarray(np.concatenate(pieces, axis=1).T, dtype=np.float32)
