"""Search by words, by weighted parts, by a stored clip, and by an uploaded sound."""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response
from fastapi.routing import APIRoute

from askaudio.search.hits import Hit
from askaudio.search.query import make_parts
from askaudio.server.problems import Problem
from askaudio.server.schemas import (
    MAX_PARTS,
    MAX_TEXT,
    MAX_WHERE,
    ClipId,
    SearchAnswer,
    SearchRequest,
    Text,
    json_bytes,
)
from askaudio.server.service import Service, ServiceDep

MAX_FORM_FIELDS = 64  # more than the form has with every list full
MAX_FIELD_BYTES = 8 * 1024  # more than the longest value takes


class _FormRequest(Request):
    """A request whose form is bounded: fields beside the file are kept in memory, the file on disk."""

    def form(self, **_: Any) -> Any:
        """Parse the form."""
        return super().form(max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=MAX_FIELD_BYTES)


class _FormRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As the framework's, with a bounded form."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handler(_FormRequest(request.scope, request.receive))

        return bounded


router = APIRouter(prefix="/v1", tags=["search"])
uploads = APIRouter(prefix="/v1", tags=["search"], route_class=_FormRoute)


@router.get("/search", response_model=SearchAnswer, summary="Search by words")
async def search(
    service: ServiceDep,
    q: Annotated[list[Text], Query(max_length=MAX_PARTS, description="words to look for")] = [],  # noqa: B006
    avoid: Annotated[list[Text], Query(max_length=MAX_PARTS, description="words to avoid")] = [],  # noqa: B006
    like: Annotated[list[ClipId], Query(max_length=MAX_PARTS, description="clips to look like")] = [],  # noqa: B006
    unlike: Annotated[list[ClipId], Query(max_length=MAX_PARTS, description="clips not to look like")] = [],  # noqa: B006
    where: Annotated[str, Query(max_length=MAX_WHERE, description="such as: duration<3 and tag=rain")] = "",
    top_k: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Find clips. All ``q`` and ``like`` make one query; ``avoid`` and ``unlike`` move hits down."""
    parts = make_parts(q, like=like, avoid=avoid, unlike=unlike)
    work = functools.partial(service.engine.search, more=parts, top_k=top_k, where=where or None)
    return await _answer(service, "text", work)


@router.post("/search", response_model=SearchAnswer, summary="Search by weighted parts")
async def search_parts(service: ServiceDep, request: SearchRequest) -> Response:
    """Find clips by several words and stored clips, each with a weight; a negative weight avoids."""
    work = functools.partial(
        service.engine.search,
        more=request.to_parts(),
        top_k=request.top_k,
        where=request.where or None,
        words=request.words,
        fold_twins=request.fold_twins,
    )
    return await _answer(service, "parts", work)


@router.get("/similar", response_model=SearchAnswer, summary="Clips that sound like a stored clip")
async def similar(
    service: ServiceDep,
    clip_id: Annotated[str, Query(min_length=1, max_length=1024)],
    where: Annotated[str, Query(max_length=MAX_WHERE)] = "",
    top_k: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Find clips that sound like a stored one, without that one."""
    work = functools.partial(service.engine.similar, clip_id, top_k=top_k, where=where or None)
    return await _answer(service, "similar", work)


@uploads.post("/search/audio", response_model=SearchAnswer, summary="Search by an uploaded sound")
async def search_audio(
    service: ServiceDep,
    sound: Annotated[UploadFile, File(description="a recording: wav, flac, ogg, opus, mp3")],
    q: Annotated[str, Form(max_length=MAX_TEXT, description="words that go with it")] = "",
    avoid: Annotated[list[Text], Form(max_length=MAX_PARTS, description="words to avoid")] = [],  # noqa: B006
    like: Annotated[list[ClipId], Form(max_length=MAX_PARTS, description="clips to look like")] = [],  # noqa: B006
    unlike: Annotated[list[ClipId], Form(max_length=MAX_PARTS, description="clips not to look like")] = [],  # noqa: B006
    where: Annotated[str, Form(max_length=MAX_WHERE)] = "",
    top_k: Annotated[int, Form(ge=1, le=200)] = 20,
) -> Response:
    """Find clips that sound like a file of the caller's; it is decoded in a sandboxed process and not kept."""
    if sound.size is not None and sound.size > service.settings.max_upload_bytes:
        raise Problem(413, f"The sound is too large; at most {service.settings.max_upload_bytes:,} bytes are taken.")
    with tempfile.TemporaryDirectory(prefix="askaudio-query-") as folder:
        wav = await service.decodes.run(lambda: _receive(service, sound.file, Path(folder)))
        service.metrics.decodes.labels("upload").inc()
        parts = make_parts(q.strip() or None, wav, like=like, avoid=avoid, unlike=unlike)
        work = functools.partial(service.engine.search, more=parts, top_k=top_k, where=where or None)
        return await _answer(service, "audio", work)


def _receive(service: Service, sound: BinaryIO, folder: Path) -> Path:
    """Write the upload to disk and let the decoder process convert it to a plain wav."""
    source, wav = folder / "sound", folder / "query.wav"
    with source.open("wb") as file:
        shutil.copyfileobj(sound, file)
    service.decoder.run(
        "to_wav",
        str(source),
        target=str(wav),
        sample_rate_hz=service.engine.encoder.sample_rate_hz,
        max_s=service.settings.max_upload_s,
    )
    return wav


async def _answer(service: Service, kind: str, work: Callable[[], list[Hit]]) -> Response:
    def find() -> bytes:
        """Search and encode the response, both in the thread: the event loop stays free."""
        started = time.perf_counter()
        hits = [hit.to_json() for hit in work()]
        took_ms = round((time.perf_counter() - started) * 1000, 2)
        return json_bytes({"hits": hits, "took_ms": took_ms})

    body = await service.searches.run(find)
    service.metrics.searches.labels(kind).inc()
    # response_model documents the response; validating it again would double the time of a request
    return Response(body, media_type="application/json")
