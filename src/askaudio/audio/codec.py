"""Reader of m4a, wma, video and all else that ffmpeg decodes, through PyAV (extra ``codec``).

ffmpeg only decodes: all channels are returned unmixed, because ffmpeg's downmix to mono is 3 dB louder than the mean of
the channels that ``decode`` computes for other formats.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.audio.stream import AudioStream
from askaudio.core.errors import AudioDecodeError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray


def open_stream(source: Path | str | bytes, name: str) -> contextlib.AbstractContextManager[AudioStream]:
    """Open the first audio track of a container.

    Args:
        source: Path of a file, or the bytes of one.
        name: Name of the source in error messages.

    Raises:
        MissingExtraError: PyAV is not installed.
        AudioDecodeError: ffmpeg cannot read it or finds no audio (on entering the context).
    """
    return _opened(require("av", "codec"), source, name)


@contextlib.contextmanager
def _opened(av: Any, source: Path | str | bytes, name: str) -> Iterator[AudioStream]:
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    try:
        container = av.open(file, mode="r", metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise AudioDecodeError(name, f"no reader knows this format ({error.__class__.__name__})") from error
    with container:
        if not container.streams.audio:
            raise AudioDecodeError(name, "has no audio track")
        track = container.streams.audio[0]
        if track.codec_context is None:
            raise AudioDecodeError(name, "the codec of its audio track is not supported by ffmpeg")
        rate, channels = track.codec_context.sample_rate, track.codec_context.channels
        if not rate or not channels:
            raise AudioDecodeError(name, "its audio track has no sample rate or number of channels")
        seconds = float(track.duration * track.time_base) if track.duration else None
        frames = None if seconds is None else round(seconds * rate)
        blocks = _blocks(av, container, track, name)
        yield AudioStream(rate, channels, frames, container.format.name.split(",")[0], blocks)


def _blocks(av: Any, container: Any, track: Any, name: str) -> Iterator[FloatArray]:
    """Blocks (n, C) float32. Samples are converted to float; a change of rate or channels within a file is refused."""
    rate, channels = track.codec_context.sample_rate, track.codec_context.channels
    planar = av.AudioResampler(format="fltp")
    try:
        for frame in container.decode(track):
            if frame.sample_rate != rate or frame.layout.nb_channels != channels:
                raise AudioDecodeError(name, "its sample rate or number of channels changes in the middle")
            for piece in planar.resample(frame):
                yield np.ascontiguousarray(piece.to_ndarray().T, dtype=np.float32)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise AudioDecodeError(name, f"broken in the middle ({error.__class__.__name__})") from error
