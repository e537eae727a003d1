"""Stored clips: their facts, their audio with byte ranges, their waveforms."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from askaudio.server.peaks import MAX_POINTS
from askaudio.server.problems import Problem
from askaudio.server.schemas import MAX_WHERE, ClipList, ClipModel, Peaks, clip_model, json_bytes
from askaudio.server.service import ServiceDep
from askaudio.server.sound_response import SoundResponse

router = APIRouter(prefix="/v1/clips", tags=["clips"])
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
) -> ClipList:
    """Stored clips in the order of their ids."""
    clips = await service.searches.run(lambda: service.engine.clips(offset, limit, where or None))
    return ClipList(clips=[clip_model(clip) for clip in clips], offset=offset)


# A clip_id may hold slashes, so the routes with something after it come before the one that takes all the rest.
@router.head("/{clip_id:path}/audio", include_in_schema=False)
@router.get("/{clip_id:path}/audio", response_class=Response, responses=_SOUND, summary="Audio")
async def audio(service: ServiceDep, request: Request, clip_id: str, download: bool = False) -> Response:
    """The recording as it is on disk; byte ranges are supported, so a player can seek."""
    file = await service.open_clip(clip_id)
    try:
        return SoundResponse(file, request.headers, download)
    except BaseException:
        file.handle.close()
        raise


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
