"""Sounds for other programs: a part of a recording, a selection as archive or list, a file in the file manager."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field
from starlette.types import Receive, Scope, Send

from askaudio.delivery.archive import Opener, opener, zip_pieces
from askaudio.delivery.credits import CreditReader
from askaudio.delivery.deliver import check_kinds
from askaudio.delivery.file_names import safe_name
from askaudio.delivery.items import CREDITS_FILE, MOST_HANDLES_S, Selection, select
from askaudio.delivery.kinds import LISTS
from askaudio.delivery.lists import credits_text
from askaudio.delivery.rules import rules_of
from askaudio.engines.address import parse_address
from askaudio.projects.database import ReadOnlyError
from askaudio.projects.kept import Kept
from askaudio.projects.projects import NewItem
from askaudio.server.library import PersonHeader, person_of
from askaudio.server.limits import Gate
from askaudio.server.problems import Problem
from askaudio.server.reveal import is_local, reveal
from askaudio.server.routes_library import MOST_ITEMS, NewItemModel
from askaudio.server.schemas import Strict
from askaudio.server.service import Service, ServiceDep
from askaudio.server.sound_response import content_disposition

router = APIRouter(prefix="/v1", tags=["delivery"])
Kind = Literal["zip", "m3u", "csv", "tsv", "json", "otio", "rpp", "regions", "credits"]
ListName = Literal["m3u", "csv", "tsv", "json", "otio", "rpp", "regions"]
Handles = Annotated[float, Field(ge=0, le=MOST_HANDLES_S, allow_inf_nan=False)]
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
}


class ExportRequest(Strict):
    """What to take out: the items of a project, or a list of items."""

    kind: Kind = Field("zip", description="copies in an archive, or a list of the original files")
    items: list[NewItemModel] = Field([], max_length=MOST_ITEMS)
    project_id: int | None = Field(None, ge=1, le=2**63 - 1, description="take the items of this project")
    name: str = Field("sounds", min_length=1, max_length=100, description="of the file, without suffix")
    lists: list[ListName] = Field([], max_length=8, description="with zip: lists to add, which refer to the copies")
    handles_s: Handles = Field(0.0, description="seconds of sound to keep before and after each part")
    commercial: bool = Field(False, description="leave out what is not known to allow commercial use")
    credits: bool = Field(True, description="with a list: send an archive of the list and the credits")


class _Export(StreamingResponse):
    """A response that waits for its turn before it begins, and gives it up at its end."""

    def __init__(self, gate: Gate, pieces: Iterator[bytes], headers: dict[str, str], media_type: str) -> None:
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        async with self._gate.turn():
            await super().__call__(scope, receive, send)


@router.post("/export", response_class=Response, responses=_BYTES, summary="Take a selection")
async def export(service: ServiceDep, request: ExportRequest, person: PersonHeader = "") -> Response:
    """An archive of copies, or a list of the files, with their credits.

    The archive is made while it is sent. ``X-Askaudio-Left-Out`` is the number of sounds that are known to be missing;
    the credits name them, and those that cannot be read later.
    """
    check_kinds(request.kind, request.lists)
    if bool(request.items) == (request.project_id is not None):
        raise Problem(422, "Expected either items or a project_id.")

    def library() -> Kept:
        return service.kept_files.kept(service.engine, person_of(person, service.settings))

    def find() -> tuple[Selection, Opener]:
        items = [item.to_item() for item in request.items]
        if request.project_id is not None:
            found = library().projects.items(request.project_id)
            items = [NewItem(one.sound.clip_id, one.start_s, one.end_s, one.note) for one in found]
        folders = service.folders()
        rules = rules_of(folders, parse_address(service.engine.store.url).folder)
        chosen = select(
            service.engine.store, items, CreditReader(folders, rules), handles_s=request.handles_s,
            commercial=request.commercial,
        )  # fmt: skip
        with contextlib.suppress(ReadOnlyError):  # such a collection can be exported all the same
            library().used.add([one.clip_id for one in chosen.taken], "exported")
        return chosen, opener(folders, cutter(service))

    selection, open_taken = await service.searches.run(find)
    title = safe_name(request.name, "sounds")
    left = {"X-Askaudio-Left-Out": str(len(selection.left))}
    if request.kind == "zip":
        return _archive(service, zip_pieces(selection, open_taken, title, request.lists), title, left)
    kind = LISTS[request.kind]
    data = kind.write(selection, lambda one: one.path)
    if request.credits and request.kind != "credits":
        return _archive(service, _with_credits(title + kind.suffix, data, selection), title, left)
    headers = {"Content-Disposition": content_disposition("attachment", title + kind.suffix), **left}
    return Response(data, headers=headers, media_type=kind.media_type)


def _archive(service: Service, pieces: Iterator[bytes], title: str, headers: dict[str, str]) -> Response:
    headers = {"Content-Disposition": content_disposition("attachment", f"{title}.zip"), **headers}
    return _Export(service.exports, pieces, headers, "application/zip")


def cutter(service: Service) -> Any:
    """Cuts parts in the decoder process, where a damaged file can do no harm."""

    def run(source: str, target: str, start_s: float, end_s: float) -> None:
        service.decoder.run("cut", source, target=target, start_s=start_s, end_s=end_s)

    return run


# A clip_id may hold slashes, so this route is added before those of routes_clips, one of which takes all the rest.
@router.post("/clips/{clip_id:path}/reveal", status_code=204, summary="Show a file in the file manager")
async def reveal_clip(service: ServiceDep, request: Request, clip_id: str) -> None:
    """On the machine of the server, for requests from it only; the server must run with ``--reveal``."""
    if not service.settings.reveal:
        raise Problem(403, "This server does not open the file manager; start it with --reveal.")
    if not is_local(request):
        raise Problem(403, "The file manager can be opened only from the machine that the server runs on.")
    file = await service.open_clip(clip_id)
    file.handle.close()
    await anyio.to_thread.run_sync(lambda: reveal(Path(file.path)))


def _with_credits(name: str, data: bytes, selection: Selection) -> Iterator[bytes]:
    """An archive of a list and its credits."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
        archive.writestr(CREDITS_FILE, credits_text(selection).encode("utf-8", "backslashreplace"))
    yield out.getvalue()
