"""Health, metrics, facts about the collection, and the page's session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from askaudio import __version__
from askaudio.server.access import SESSION_COOKIE, session_value
from askaudio.server.schemas import MAX_WHERE, Collection, CollectionName, Facets, Health, json_bytes
from askaudio.server.service import ServiceDep

router = APIRouter(prefix="/v1", tags=["service"])


@router.get("/health", summary="Whether the service runs")
async def health() -> Health:
    """Always ``ok`` while the service runs; needs no token."""
    return Health()


@router.get("/metrics", response_class=PlainTextResponse, summary="Metrics for Prometheus")
async def metrics(service: ServiceDep) -> Response:
    """Counts and times in Prometheus text format."""
    return Response(service.metrics.text(), headers={"Content-Type": service.metrics.content_type})


@router.get("/collection", summary="Facts about the collection")
async def collection(service: ServiceDep) -> Collection:
    """Size and model of the collection, and what may be sent as a query."""
    info = await service.searches.run(service.engine.info)
    return Collection(
        clips=int(info.get("clips", 0)),
        entries=int(info.get("entries", 0)),
        model=str(info.get("model", "")),
        version=__version__,
        upload_max_bytes=service.settings.max_upload_bytes,
        upload_max_s=service.settings.max_upload_s,
    )


@router.get("/collections", summary="Collections of this server")
async def collections(service: ServiceDep, request: Request) -> list[CollectionName]:
    """All collections that can be searched; the first one answers requests that name none."""
    services = request.app.state.services
    clips = await service.searches.run(lambda: [each.engine.info()["clips"] for each in services.values()])
    return [CollectionName(name=name, clips=count) for name, count in zip(services, clips, strict=True)]


@router.get("/facets", response_model=Facets, summary="Counts of formats, rates, channels, categories, tags, folders")
async def facets(
    service: ServiceDep,
    where: Annotated[str, Query(max_length=MAX_WHERE)] = "",
    folder: Annotated[str, Query(max_length=4096, description="whose folders are counted")] = "",
    most: Annotated[int, Query(ge=1, le=1000, description="values of each field")] = 50,
) -> Response:
    """How many clips that pass a filter have which value of a field, and which folders they are in."""

    def count() -> bytes:
        catalogue, kept = service.engine.catalogue, service.engine.store.check_filter(where or None)
        fields = {
            name: [{"value": value, "count": number} for value, number in values]
            for name, values in catalogue.counts(kept, most).items()
        }
        parent, folders = catalogue.folders(folder, kept)
        found = [{"path": path, "count": number} for path, number in folders]
        return json_bytes({"total": catalogue.count(kept), "fields": fields, "parent": parent, "folders": found})

    return Response(await service.searches.run(count), media_type="application/json")


@router.post("/session", status_code=204, summary="Exchange the token for a session cookie")
async def open_session(service: ServiceDep, request: Request) -> Response:
    """The page calls this once with the token, because ``<audio>`` cannot send a header."""
    response = Response(status_code=204)
    if service.settings.token is not None:  # the guard has checked the token already
        response.set_cookie(
            SESSION_COOKIE,
            session_value(service.settings.token),
            path="/v1",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            max_age=30 * 24 * 3600,
        )
    return response


@router.delete("/session", status_code=204, summary="Delete the session cookie")
async def close_session() -> Response:
    """Log the page out."""
    response = Response(status_code=204)
    response.delete_cookie(SESSION_COOKIE, path="/v1", httponly=True, samesite="strict")
    return response
