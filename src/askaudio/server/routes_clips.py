"""Stored clips: their facts, their audio with byte ranges, their waveforms."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from askaudio.server.clip_files import ClipFile
from askaudio.server.peaks import MAX_POINTS
from askaudio.server.problems import Problem
from askaudio.server.schemas import MAX_WHERE, ClipList, ClipModel, Peaks, clip_model, json_bytes
from askaudio.server.service import Service, ServiceDep
from askaudio.server.sound_response import SoundResponse, content_disposition

router = APIRouter(prefix="/v1/clips", tags=["clips"])
MAX_CUT_S = 600.0
_BYTES: dict[str, Any] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_SOUND: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file", **_BYTES},
    206: {"description": "The range of bytes that was asked for", **_BYTES},
}


@router.get("", response_model=ClipList, summary="List clips")
async def list_clips(
    service: ServiceDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    where: Annotated[str, Query(max_length=MAX_WHERE)] = "",
    sort: Annotated[Literal["id", "name", "duration", "date", "loudness", "brightness"], Query()] = "id",
    descending: bool = False,
) -> ClipList:
    """Stored clips, in the order of their ids or of a fact; clips without the fact come last."""

    def find() -> ClipList:
        engine, kept = service.engine, where or None
        if sort == "id":
            clips = engine.clips(offset, limit, kept)
        else:
            clips = engine.clips_sorted(sort, descending, offset, limit, kept)
        return ClipList(clips=[clip_model(clip) for clip in clips], offset=offset, total=engine.count(kept))

    return await service.searches.run(find)


# A clip_id may hold slashes, so the routes with something after it come before the one that takes all the rest.
@router.head("/{clip_id:path}/audio", include_in_schema=False)
@router.get("/{clip_id:path}/audio", response_class=Response, responses=_SOUND, summary="Audio")
async def audio(
    service: ServiceDep,
    request: Request,
    clip_id: str,
    download: bool = False,
    form: Annotated[Literal["file", "wav"], Query(alias="as", description="wav: decoded, 16 bit")] = "file",
    pitch: Annotated[float, Query(ge=-24, le=24, description="semitones, of wav: its speed changes, too")] = 0.0,
    start_s: Annotated[float | None, Query(ge=0, le=1e6, allow_inf_nan=False)] = None,
    end_s: Annotated[float | None, Query(gt=0, le=1e6, allow_inf_nan=False)] = None,
) -> Response:
    """The recording as it is on disk, or decoded for programs that do not know its format. Both take byte ranges.

    With ``start_s`` or ``end_s``: that stretch as WAV, at the rate and depth of the recording, of at most 10 minutes.
    """
    file = await service.open_clip(clip_id)
    if start_s is not None or end_s is not None:
        with file.handle:
            return await _cut(service, file, start_s or 0.0, end_s, download)
    if form == "wav":
        file = await _decoded(service, file)
    try:
        return SoundResponse(file, request.headers, download, pitch if form == "wav" else 0.0)
    except BaseException:
        file.handle.close()
        raise


async def _cut(service: Service, file: ClipFile, start_s: float, end_s: float | None, download: bool) -> Response:
    """A stretch of a recording as a WAV file, which is removed after it was sent."""
    last_s = start_s + MAX_CUT_S if end_s is None else end_s
    if not start_s < last_s <= start_s + MAX_CUT_S:
        raise Problem(422, f"A stretch from {start_s:g} to {last_s:g} s: expected at most {MAX_CUT_S:g} s, not empty.")
    folder = tempfile.mkdtemp(prefix="askaudio-cut-")
    remove = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    wav = os.path.join(folder, "cut.wav")
    try:
        work = functools.partial(service.decoder.run, "cut", file.path_for_children, target=wav)
        times = await service.decodes.run(lambda: work(start_s=start_s, end_s=last_s))
    except BaseException:
        await remove()
        raise
    service.metrics.decodes.labels("cut").inc()
    name = f"{os.path.splitext(file.name)[0]} {times['start_s']:.2f}-{times['end_s']:.2f} s.wav"
    headers = {
        "content-disposition": content_disposition("attachment" if download else "inline", name),
        "cache-control": "private, no-cache",
    }
    return FileResponse(wav, headers=headers, media_type="audio/wav", background=remove)


async def _decoded(service: Service, file: ClipFile) -> ClipFile:
    """The recording as a wav file that is kept for a while, so that only the first request waits for the decoder."""
    with file.handle:
        kept = service.playable.get(file)
        if kept is None:
            kept = await service.decodes.run(lambda: service.playable.decode(file))
            service.metrics.decodes.labels("play").inc()
    return kept


@router.get(
    "/{clip_id:path}/peaks",
    response_model=Peaks,
    responses={304: {"description": "Not changed since the answer with this ETag"}},
    summary="Waveform",
)
async def peaks(
    service: ServiceDep,
    request: Request,
    clip_id: str,
    points: Annotated[int, Query(ge=10, le=MAX_POINTS)] = 400,
    start_s: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)] = 0.0,
    end_s: Annotated[float | None, Query(gt=0, le=1e6, allow_inf_nan=False)] = None,
) -> Response:
    """Lowest and highest sample of equal stretches of the recording, for drawing."""
    if end_s is not None and end_s <= start_s:
        raise Problem(422, f"end_s ({end_s:g}) must be after start_s ({start_s:g}).")
    file = await service.open_clip(clip_id)
    with file.handle:
        name = f"{clip_id}|{file.version}|{points}|{start_s}|{end_s}".encode("utf-8", "surrogatepass")
        key = hashlib.sha256(name).hexdigest()[:32]
        headers = {"ETag": f'"{key}"', "Cache-Control": "private, max-age=300"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        kept = service.peaks.get(key)
        if kept is None:
            kept = await service.decodes.run(lambda: service.peaks.compute(key, file, points, start_s, end_s))
            service.metrics.decodes.labels("peaks").inc()
    return Response(json_bytes({"clip_id": clip_id, **kept}), headers=headers, media_type="application/json")


@router.get("/{clip_id:path}", response_model=ClipModel, summary="One clip")
async def clip(service: ServiceDep, clip_id: str) -> ClipModel:
    """Everything that is stored about a recording."""
    return clip_model(await service.clip(clip_id))
