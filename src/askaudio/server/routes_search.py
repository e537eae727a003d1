"""Search by words, by weighted parts, by a stored clip, and by an uploaded sound."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response
from fastapi.routing import APIRoute

from askaudio.search.hits import Hits
from askaudio.search.pages import Order, Page
from askaudio.search.query import Part, in_language, make_parts
from askaudio.search.ranking import Lead
from askaudio.server.problems import Problem
from askaudio.server.schemas import (
    MAX_OFFSET,
    MAX_PARTS,
    MAX_TEXT,
    MAX_WHERE,
    ClipId,
    Language,
    SearchAnswer,
    SearchRequest,
    Text,
    json_bytes,
)
from askaudio.server.service import Service, ServiceDep
from askaudio.server.stretches import without_stretches

MAX_FORM_FIELDS = 64  # more than the form has with every list full
MAX_FIELD_BYTES = 8 * 1024  # more than the longest value takes


class _FormRequest(Request):
    """A request whose form is bounded: fields beside the file are kept in memory, the file on disk."""

    def form(self, **_: Any) -> Any:
        """Parse the form."""
        return super().form(max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=MAX_FIELD_BYTES)


class FormRoute(APIRoute):
    """A route whose form is bounded."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As the framework's, with a bounded form."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handler(_FormRequest(request.scope, request.receive))

        return bounded


router = APIRouter(prefix="/v1", tags=["search"])
uploads = APIRouter(prefix="/v1", tags=["search"], route_class=FormRoute)
_OFFSET = "hits to skip: pages through the whole list"
_SORT = "another order than by match, of the hits that match"


@dataclass(frozen=True, slots=True)
class _Listing:
    """Which part of the ranking is returned, and how it is made."""

    where: str
    top_k: int
    offset: int = 0
    sort: Order = "match"
    descending: bool = False
    lead: Lead = "match"
    words: bool = True
    fold_twins: bool = True
    correct_hubs: bool | None = None


@router.get("/search", response_model=SearchAnswer, summary="Search by words")
async def search(
    service: ServiceDep,
    q: Annotated[list[Text], Query(max_length=MAX_PARTS, description="words to look for")] = [],  # noqa: B006
    avoid: Annotated[list[Text], Query(max_length=MAX_PARTS, description="words to avoid")] = [],  # noqa: B006
    like: Annotated[list[ClipId], Query(max_length=MAX_PARTS, description="clips to look like")] = [],  # noqa: B006
    unlike: Annotated[list[ClipId], Query(max_length=MAX_PARTS, description="clips not to look like")] = [],  # noqa: B006
    where: Annotated[str, Query(max_length=MAX_WHERE, description="such as: duration<3 and tag=rain")] = "",
    top_k: Annotated[int, Query(ge=1, le=200)] = 20,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description=_OFFSET)] = 0,
    sort: Annotated[Order, Query(description=_SORT)] = "match",
    descending: bool = False,
    lead: Annotated[Lead, Query(description="which of near-identical takes is the hit")] = "match",
    language: Annotated[Language, Query(description="of the words; default: found by script and words")] = "",
) -> Response:
    """Find clips. All ``q`` and ``like`` make one query; ``avoid`` and ``unlike`` move hits down.

    ``ID@12.5-15`` instead of an id is a stretch of that clip, in seconds.
    """
    parts = in_language(make_parts(q, like=like, avoid=avoid, unlike=unlike), language)
    return await _answer(service, "text", parts, _Listing(where, top_k, offset, sort, descending, lead))


@router.post("/search", response_model=SearchAnswer, summary="Search by weighted parts")
async def search_parts(service: ServiceDep, request: SearchRequest) -> Response:
    """Find clips by several words and stored clips, each with a weight; a negative weight avoids."""
    listing = _Listing(
        request.where, request.top_k, request.offset, request.sort, request.descending, request.lead,
        request.words, request.fold_twins, request.correct_hubs,
    )  # fmt: skip
    return await _answer(service, "parts", make_parts(more=request.to_parts()), listing)


@router.get("/similar", response_model=SearchAnswer, summary="Clips that sound like a stored clip")
async def similar(
    service: ServiceDep,
    clip_id: Annotated[str, Query(min_length=1, max_length=1024)],
    where: Annotated[str, Query(max_length=MAX_WHERE)] = "",
    top_k: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Find clips that sound like a stored one, without that one."""

    def find() -> bytes:
        started = time.perf_counter()
        hits = service.engine.similar(clip_id, top_k=top_k, where=where or None)
        total = max(0, service.engine.count(where or None) - 1)
        return _encoded(Page(hits, total, hits.notes, hits.fits), total, started)

    return await _found(service, "similar", find)


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
    offset: Annotated[int, Form(ge=0, le=MAX_OFFSET, description=_OFFSET)] = 0,
    sort: Annotated[Order, Form(description=_SORT)] = "match",
    descending: Annotated[bool, Form()] = False,
    lead: Annotated[Lead, Form(description="which of near-identical takes is the hit")] = "match",
) -> Response:
    """Find clips that sound like a file of the caller's; it is decoded in a sandboxed process and not kept."""
    with tempfile.TemporaryDirectory(prefix="askaudio-query-") as folder:
        wav, digest = await receive_sound(service, sound, Path(folder))
        parts = make_parts(q.strip() or None, wav, like=like, avoid=avoid, unlike=unlike)
        listing = _Listing(where, top_k, offset, sort, descending, lead)
        return await _answer(service, "audio", parts, listing, digest)


async def receive_sound(service: Service, sound: UploadFile, folder: Path) -> tuple[Path, str]:
    """Convert an uploaded sound to a plain wav, in the decoder process.

    Args:
        service: Its limits count.
        sound: The upload.
        folder: A folder of this request.

    Returns:
        The wav file, and the hash of the upload.

    Raises:
        Problem: 413 when it is too large.
        AudioDecodeError: It cannot be decoded or is too long.
    """
    if sound.size is not None and sound.size > service.settings.max_upload_bytes:
        raise Problem(413, f"The sound is too large; at most {service.settings.max_upload_bytes:,} bytes are taken.")
    received = await service.decodes.run(lambda: _receive(service, sound.file, folder))
    service.metrics.decodes.labels("upload").inc()
    return received


def _receive(service: Service, sound: BinaryIO, folder: Path) -> tuple[Path, str]:
    """Write the upload to disk and let the decoder process convert it to a plain wav; returns it and its hash."""
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
    with source.open("rb") as file:
        return wav, hashlib.file_digest(file, "sha256").hexdigest()


async def _answer(service: Service, kind: str, parts: Sequence[Part], listing: _Listing, sound: str = "") -> Response:
    """Search and encode a page of the ranking.

    Args:
        service: The service.
        kind: Of the query, for the metrics.
        parts: The query.
        listing: Which part of the ranking.
        sound: Hash of the uploaded sound, whose path is another one for each page.
    """
    texts = tuple(
        (p.kind, sound if p.kind == "audio" else p.value, p.weight, p.language, p.start_s, p.end_s) for p in parts
    )
    async with without_stretches(service, parts) as ready:
        return await _found(service, kind, lambda: _page(service, ready, listing, texts))


def _page(service: Service, parts: Sequence[Part], listing: _Listing, texts: Hashable) -> bytes:
    started = time.perf_counter()
    where = listing.where or None

    def rank(depth: int) -> Hits:
        return service.engine.search(
            more=parts, top_k=depth, where=where, words=listing.words, fold_twins=listing.fold_twins,
            lead=listing.lead, correct_hubs=listing.correct_hubs,
        )  # fmt: skip

    how = where, listing.words, listing.fold_twins, listing.lead, listing.correct_hubs
    key: Hashable = (service.engine.store.version(), texts, how)
    if listing.sort == "match":
        page = service.pages.page(key, rank, listing.offset, listing.top_k)
    else:
        page = service.pages.sorted_page(key, rank, listing.sort, listing.descending, listing.offset, listing.top_k)
    total = service.engine.count(where) if page.total is None else page.total
    return _encoded(page, total, started)


def _encoded(page: Page, total: int, started: float) -> bytes:
    found = [hit.to_json() for hit in page.hits]
    took_ms = round((time.perf_counter() - started) * 1000, 2)
    return json_bytes({"hits": found, "total": total, "took_ms": took_ms, "fits": page.fits, "notes": page.notes})


async def _found(service: Service, kind: str, find: Callable[[], bytes]) -> Response:
    """Search and encode the response, both in a thread: the event loop stays free."""
    body = await service.searches.run(find)
    service.metrics.searches.labels(kind).inc()
    # response_model documents the response; validating it again would double the time of a request
    return Response(body, media_type="application/json")
