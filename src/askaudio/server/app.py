"""The service as an ASGI app: routes of version 1, the page, and the guard around both."""

from __future__ import annotations

import functools
import mimetypes
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from askaudio import __version__
from askaudio.projects.kept import Kept
from askaudio.search.engine import SearchEngine
from askaudio.server import (
    routes_clips,
    routes_delivery,
    routes_duplicates,
    routes_library,
    routes_moments,
    routes_search,
    routes_service,
    routes_start,
)
from askaudio.server.guard import Guard
from askaudio.server.index_jobs import IndexJobs
from askaudio.server.mcp_tools import make_mcp, mcp_app
from askaudio.server.openapi import describe
from askaudio.server.problems import install_handlers
from askaudio.server.service import make_services
from askaudio.server.settings import ServerSettings
from askaudio.server.stretches import clip_reader

STATIC = Path(__file__).with_name("static")
mimetypes.add_type("text/javascript", ".js")  # the registry of Windows may say text/plain: not run as a module


def create_app(engine: SearchEngine | Mapping[str, SearchEngine], settings: ServerSettings | None = None) -> FastAPI:
    """Make the service for one open engine or several; they stay the caller's to close.

    Args:
        engine: What answers the searches, or several engines by the names of their collections. Requests choose with
            ``?collection=NAME``; the first one answers without it, and the tools of the Model Context Protocol.
        settings: Limits, token and hosts; the defaults are for one machine over loopback.

    Returns:
        An ASGI app: ``/`` is the page, ``/v1`` the API, ``/v1/openapi.json`` its description.

    Example:
        >>> app = create_app(SearchEngine.open("~/.askaudio/collections/default"))  # doctest: +SKIP
        >>> uvicorn.run(app, host="127.0.0.1", port=8765)  # doctest: +SKIP
    """
    settings = settings or ServerSettings()
    engines = {"": engine} if isinstance(engine, SearchEngine) else dict(engine)
    services = make_services(engines, settings)
    service = next(iter(services.values()))

    def library() -> Kept:
        return service.kept_files.kept(service.engine, "")

    mcp = make_mcp(service.engine, service.searches.run, library, clip_reader(service)) if settings.mcp else None
    index_jobs = IndexJobs()
    mcp_routes = mcp_app(mcp).routes if mcp else []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with mcp.session_manager.run() if mcp else nullcontext():
            yield
        service.decoder.close()
        service.playable.close()
        service.kept_files.close()
        index_jobs.close()

    app = FastAPI(
        title="askaudio",
        version=__version__,
        summary="Find any sound by describing it.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # the usual pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service, app.state.services = service, services
    app.state.index_jobs = index_jobs
    app.openapi = functools.cache(lambda: describe(app))  # type: ignore[method-assign]
    install_handlers(app)
    for routes in (
        routes_search, routes_moments, routes_delivery, routes_clips, routes_duplicates,
        routes_service, routes_library, routes_start,
    ):  # fmt: skip
        app.include_router(routes.router)
    for routes in (routes_search, routes_moments):
        app.include_router(routes.uploads)
    app.router.routes.extend(mcp_routes)  # before the page, which takes all that is left
    app.mount("/", StaticFiles(directory=STATIC, html=True, follow_symlink=False), name="page")
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    return app
