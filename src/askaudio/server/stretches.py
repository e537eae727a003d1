"""Stretches of stored recordings, decoded in the decoder process: for moments, for queries, and as WAV cuts."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import soundfile

from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import FloatArray
from askaudio.moments.fine_pass import Span
from askaudio.search.hits import ClipInfo
from askaudio.search.moments import ClipReader
from askaudio.search.query import Part
from askaudio.server.clip_files import ClipFile, open_clip
from askaudio.server.problems import Problem
from askaudio.server.service import Service


def clip_reader(service: Service) -> ClipReader:
    """How moments read recordings: only files that may be served, in the decoder process."""

    def read(clip: ClipInfo, sample_rate_hz: int, span: Span) -> FloatArray:
        try:
            file = open_clip(clip, service.folders())
        except Problem as problem:
            raise AudioDecodeError(clip.path, str(problem.detail)) from problem
        with file.handle, tempfile.TemporaryDirectory(prefix="askaudio-stretch-") as folder:
            wav = decode_to(service, file, Path(folder) / "stretch.wav", span, sample_rate_hz)
            return soundfile.read(wav, dtype="float32")[0]

    return read


def decode_to(service: Service, file: ClipFile, wav: Path, span: Span, sample_rate_hz: int) -> Path:
    """Write a stretch as a mono float WAV file.

    Args:
        service: Its decoder runs the job.
        file: The open recording.
        wav: File to write.
        span: Start and end in seconds.
        sample_rate_hz: Sample rate of the WAV file.

    Raises:
        AudioDecodeError: The recording cannot be decoded, or ends before the stretch.
    """
    service.decoder.run(
        "stretch_to_wav",
        file.path_for_children,
        target=str(wav),
        sample_rate_hz=sample_rate_hz,
        start_s=span[0],
        end_s=span[1],
    )
    service.metrics.decodes.labels("stretch").inc()
    return wav


@asynccontextmanager
async def without_stretches(service: Service, parts: Sequence[Part]) -> AsyncIterator[tuple[Part, ...]]:
    """The parts of a query with each stretch of a stored clip replaced by a decoded sound.

    Args:
        service: Reads the recordings.
        parts: Of the query.

    Raises:
        Problem: A stretch is longer than a query sound may be, or its file may not be served.
        UnknownClipError: No clip has this id.
    """
    if not any(part.is_stretch for part in parts):
        yield tuple(parts)
        return
    with tempfile.TemporaryDirectory(prefix="askaudio-query-") as folder:
        ready = []
        for number, part in enumerate(parts):
            wav = Path(folder) / f"{number}.wav"
            ready.append(await _decoded(service, part, wav) if part.is_stretch else part)
        yield tuple(ready)


async def _decoded(service: Service, part: Part, wav: Path) -> Part:
    start_s, most_s = part.start_s or 0.0, service.settings.max_upload_s
    end_s = start_s + most_s if part.end_s is None else part.end_s
    if end_s - start_s > most_s:
        raise Problem(
            422, f"A stretch of {end_s - start_s:.0f} s is too long; at most {most_s:.0f} s can be searched by."
        )
    file = await service.open_clip(str(part.value))
    with file.handle:
        rate = service.engine.encoder.sample_rate_hz
        await service.decodes.run(lambda: decode_to(service, file, wav, (start_s, end_s), rate))
    return replace(part, kind="audio", value=wav, start_s=None, end_s=None)
