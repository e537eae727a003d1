"""Health, metrics, facts about the collection, and the page's session."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from askaudio import __version__
from askaudio.server.access import SESSION_COOKIE, session_value
from askaudio.server.schemas import Collection, Health
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
