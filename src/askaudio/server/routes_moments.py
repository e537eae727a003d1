"""Moments of stored clips: the stretches that answer a query, and the curve of the match."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from askaudio.moments.fine_pass import LONGEST_S
from askaudio.moments.moment import Moment
from askaudio.search.query import Part, make_parts
from askaudio.server.problems import Problem
from askaudio.server.routes_search import FormRoute, receive_sound
from askaudio.server.schemas import MAX_PARTS, MAX_TEXT, ClipId, QueryParts, Text, json_bytes
from askaudio.server.service import Service, ServiceDep
from askaudio.server.stretches import clip_reader, without_stretches

MAX_CLIPS = 50
MAX_SECONDS = 3600.0  # of all clips of one request

router = APIRouter(prefix="/v1", tags=["moments"])
uploads = APIRouter(prefix="/v1", tags=["moments"], route_class=FormRoute)
ClipIds = Annotated[list[ClipId], Query(min_length=1, max_length=MAX_CLIPS, description="clips to examine")]
Longest = Annotated[float, Query(ge=1, le=MAX_SECONDS, description="seconds to examine in each clip")]


class MomentsRequest(QueryParts):
    """A query, and the clips in which its moments are sought."""

    model_config = ConfigDict(extra="forbid")
    clip_ids: list[ClipId] = Field(min_length=1, max_length=MAX_CLIPS)
    longest_s: float = Field(LONGEST_S, ge=1, le=MAX_SECONDS, description="seconds to examine in each clip")


class MomentCurve(BaseModel):
    """Cosine between the query and short stretches, at the middle of each."""

    times_s: list[float]
    scores: list[float]


class MomentsOfClip(BaseModel):
    """Moments of one clip, best first; ``reason`` says why a file could not be read."""

    clip_id: str
    path: str
    moments: list[Moment]
    curve: MomentCurve
    examined: list[tuple[float, float]]
    reason: str


class MomentsAnswer(BaseModel):
    """The clips in the order of the request."""

    clips: list[MomentsOfClip]
    took_ms: float


@router.get("/moments", response_model=MomentsAnswer, summary="Moments of clips, by words")
async def moments(
    service: ServiceDep,
    clip_id: ClipIds,
    q: Annotated[list[Text], Query(max_length=MAX_PARTS, description="words to look for")] = [],  # noqa: B006
    like: Annotated[list[ClipId], Query(max_length=MAX_PARTS, description="clips to look like")] = [],  # noqa: B006
    longest_s: Longest = LONGEST_S,
) -> Response:
    """Find the stretches that answer a query, to about 0.3 s, in clips that a search has found."""
    return await _answer(service, make_parts(q, like=like), clip_id, longest_s)


@router.post("/moments", response_model=MomentsAnswer, summary="Moments of clips, by weighted parts")
async def moments_parts(service: ServiceDep, request: MomentsRequest) -> Response:
    """The same for a query of several words and clips; parts with a negative weight are ignored."""
    return await _answer(service, make_parts(more=request.to_parts()), request.clip_ids, request.longest_s)


@uploads.post("/moments/audio", response_model=MomentsAnswer, summary="Moments of clips, by an uploaded sound")
async def moments_audio(
    service: ServiceDep,
    sound: Annotated[UploadFile, File(description="a recording: wav, flac, ogg, opus, mp3")],
    clip_id: Annotated[list[ClipId], Form(min_length=1, max_length=MAX_CLIPS, description="clips to examine")],
    q: Annotated[str, Form(max_length=MAX_TEXT, description="words that go with it")] = "",
    like: Annotated[list[ClipId], Form(max_length=MAX_PARTS, description="clips to look like")] = [],  # noqa: B006
    longest_s: Annotated[float, Form(ge=1, le=MAX_SECONDS)] = LONGEST_S,
) -> Response:
    """The same for a sound of the caller's; it is decoded in a sandboxed process and not kept."""
    with tempfile.TemporaryDirectory(prefix="askaudio-query-") as folder:
        wav, _ = await receive_sound(service, sound, Path(folder))
        return await _answer(service, make_parts(q.strip() or None, wav, like=like), clip_id, longest_s)


async def _answer(service: Service, parts: Sequence[Part], clip_ids: Sequence[str], longest_s: float) -> Response:
    if len(clip_ids) * longest_s > MAX_SECONDS:
        raise Problem(422, f"{len(clip_ids)} clips of {longest_s:g} s are too much; at most {MAX_SECONDS:g} s in all.")
    async with without_stretches(service, parts) as ready:
        find = functools.partial(
            service.engine.moments, clip_ids, more=ready, longest_s=longest_s, read=clip_reader(service)
        )

        def work() -> bytes:
            started = time.perf_counter()
            clips = [clip.to_json() for clip in find()]
            return json_bytes({"clips": clips, "took_ms": round((time.perf_counter() - started) * 1000, 2)})

        body = await service.decodes.run(work)
    service.metrics.searches.labels("moments").inc()
    return Response(body, media_type="application/json")
