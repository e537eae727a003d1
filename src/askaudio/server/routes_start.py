"""What the page needs to begin: folders to choose, indexing, suggested queries, and the map of the collection."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from askaudio.core.errors import UnknownClipError
from askaudio.engines.address import parse_address
from askaudio.ingest.roots import recorded_roots
from askaudio.search.map import map_of
from askaudio.search.suggestions import suggest
from askaudio.server.folders import allowed_folder, allowed_roots, list_folder
from askaudio.server.index_jobs import IndexJobs
from askaudio.server.problems import Problem
from askaudio.server.schemas import ClipModel, clip_model, json_safe
from askaudio.server.service import Service, ServiceDep

router = APIRouter(prefix="/v1", tags=["start"])
_MOST_CLIPS = 200

Folder = Annotated[str, Field(min_length=1, max_length=4096)]


class FolderItem(BaseModel):
    """One folder."""

    name: str
    path: str


class FolderList(BaseModel):
    """Folders in a folder; see ``server.folders.Listing``."""

    path: str
    parent: str | None
    folders: list[FolderItem]
    sounds: int


class IndexRequest(BaseModel):
    """Folders to index; without any, the folders that were indexed before are brought up to date."""

    model_config = ConfigDict(extra="forbid")
    folders: list[Folder] = Field(default=[], max_length=64)


class BrokenFile(BaseModel):
    """A file that could not be read, or not to its end."""

    path: str
    reason: str


class IndexReport(BaseModel):
    """Result of a finished job."""

    added: int
    changed: int
    unchanged: int
    measured: int
    renamed: int
    removed: int
    kept: int
    audio_s: float
    took_s: float
    broken_count: int
    broken: list[BrokenFile]
    needs_codec: int
    silent: list[str]


class IndexState(BaseModel):
    """The indexing job that runs, or the last one, and what is indexed."""

    status: Literal["idle", "running", "stopping", "done", "stopped", "failed"]
    folders: list[str]
    done: int
    total: int | None
    note: str
    report: IndexReport | None
    error: str
    may_index: bool = Field(description="whether this server lets the page index folders")
    indexed: list[str] = Field(description="folders that were indexed on this machine")


class Suggestions(BaseModel):
    """Queries that find different things in this collection."""

    queries: list[str]


class MapLabel(BaseModel):
    """A word for a region of the map."""

    text: str
    x: float
    y: float
    rows: list[int]


class Map(BaseModel):
    """Places of all recordings, in the order of their ids; x and y are integers from 0 to 65535."""

    version: str
    x: list[int]
    y: list[int]
    labels: list[MapLabel]


@router.get("/folders", response_model=FolderList, summary="Folders that can be indexed")
async def folders(service: ServiceDep, path: Annotated[str, Query(max_length=4096)] = "") -> Any:
    """Folders in a folder of the server's machine, or those that are allowed."""
    roots = allowed_roots(service.settings)
    found = await anyio.to_thread.run_sync(lambda: list_folder(path, roots))
    named = [{"name": name, "path": place} for name, place in found.folders]
    return json_safe({"path": found.path, "parent": found.parent, "folders": named, "sounds": found.sounds})


@router.get("/index", response_model=IndexState, summary="State of indexing")
async def index_state(service: ServiceDep, request: Request) -> Any:
    """The job that runs, or the last one."""
    return _state(service, _jobs(request))


@router.post("/index", response_model=IndexState, status_code=202, summary="Index folders")
async def start_indexing(service: ServiceDep, request: Request, body: IndexRequest) -> Any:
    """Add the sounds of folders to the collection, in a process of its own; continues what was stopped before."""
    roots, url = allowed_roots(service.settings), service.engine.store.url
    if parse_address(url).kind == "memory":
        raise Problem(409, "This collection is only in memory, so no other process can add to it.")
    chosen = [allowed_folder(path, roots) for path in body.folders] or _known(service, roots)
    if not chosen:
        raise Problem(422, "No folder was chosen, and none that this server may read was indexed before.")
    jobs = _jobs(request)
    if not await anyio.to_thread.run_sync(lambda: jobs.start(chosen, url, max(1, (os.cpu_count() or 2) - 1))):
        raise Problem(409, "Folders are being indexed already; wait for it or stop it.")
    return _state(service, jobs)


@router.delete("/index", response_model=IndexState, summary="Stop indexing")
async def stop_indexing(service: ServiceDep, request: Request) -> Any:
    """Stop the job after the files that it reads. What was indexed is kept."""
    allowed_roots(service.settings)
    jobs = _jobs(request)
    jobs.stop()
    return _state(service, jobs)


@router.get("/suggestions", response_model=Suggestions, summary="Suggested queries")
async def suggestions(service: ServiceDep, limit: Annotated[int, Query(ge=1, le=30)] = 8) -> Suggestions:
    """Queries for which this collection has sounds that stand out, each different from the others."""
    return Suggestions(queries=await service.searches.run(lambda: suggest(service.engine, limit)))


@router.get("/map", response_model=Map, summary="Map of the collection")
async def sound_map(service: ServiceDep) -> Any:
    """All recordings in two dimensions: what sounds alike is near."""
    found = await service.searches.run(lambda: map_of(service.engine))
    labels = [{"text": one.text, "x": one.x, "y": one.y, "rows": one.rows} for one in found.labels]
    return {"version": found.version, "x": found.x.tolist(), "y": found.y.tolist(), "labels": labels}


@router.get("/map/clips", response_model=list[ClipModel], summary="Recordings at places of the map")
async def map_clips(
    service: ServiceDep, row: Annotated[list[Annotated[int, Query(ge=0, le=10**9)]], Query(max_length=_MOST_CLIPS)]
) -> list[ClipModel]:
    """Recordings by their numbers on the map; numbers that it does not have are left out."""
    return await service.searches.run(lambda: [clip_model(clip) for clip in _clips_at(service, row)])


def _clips_at(service: Service, rows: list[int]) -> list[Any]:
    ids, found = map_of(service.engine).ids, []
    for row in rows:
        if row < len(ids):
            with contextlib.suppress(UnknownClipError):  # it was removed a moment ago
                found.append(service.engine.clip(ids[row]))
    return found


def _jobs(request: Request) -> IndexJobs:
    jobs: IndexJobs = request.app.state.index_jobs
    return jobs


def _indexed(service: Service) -> list[str]:
    return [str(root) for root in recorded_roots(service.engine.store.url)]


def _known(service: Service, roots: Sequence[str]) -> list[str]:
    """The indexed folders that may be read."""
    found = []
    for path in _indexed(service):
        with contextlib.suppress(Problem):
            found.append(allowed_folder(path, roots))
    return found


def _state(service: Service, jobs: IndexJobs) -> Any:
    try:
        allowed_roots(service.settings)
        may_index = parse_address(service.engine.store.url).kind != "memory"
    except Problem:
        may_index = False
    shown = jobs.state() if may_index else IndexJobs().state()  # paths of this machine are not for everyone
    return json_safe({**shown, "may_index": may_index, "indexed": _indexed(service) if may_index else []})
