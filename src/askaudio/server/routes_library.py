"""What people keep: favourites, notes, projects, saved searches, recent queries, used sounds; and its export."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from askaudio.projects.exchange import export_kept, import_kept
from askaudio.projects.marks import MOST_NOTE, Action
from askaudio.projects.projects import NewItem
from askaudio.projects.texts import MOST_NAME
from askaudio.server.library import KeptDep
from askaudio.server.problems import Problem
from askaudio.server.reveal import is_local
from askaudio.server.schemas import ClipId, Strict, json_bytes
from askaudio.server.service import ServiceDep

router = APIRouter(prefix="/v1/library", tags=["library"])
IMPORT_PATH = "/v1/library/import"
MOST_ITEMS = 1000
_MOST_ID = 2**63 - 1

Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
Note = Annotated[str, Field(max_length=MOST_NOTE)]
Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
RowId = Annotated[int, Path(ge=1, le=_MOST_ID)]


class NewItemModel(Strict):
    """A sound to add; without times the whole recording."""

    clip_id: ClipId
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    note: Note = ""

    def to_item(self) -> NewItem:
        """As the library takes it."""
        return NewItem(self.clip_id, self.start_s, self.end_s, self.note)


class NewItems(Strict):
    """Sounds to add to a project."""

    items: list[NewItemModel] = Field(min_length=1, max_length=MOST_ITEMS)


class ClipIds(Strict):
    """Ids of clips."""

    clip_ids: list[ClipId] = Field(min_length=1, max_length=MOST_ITEMS)


class UsedClips(ClipIds):
    """Clips that were used, and what was done with them."""

    action: Action


class NoteText(Strict):
    """A note; an empty text removes it."""

    text: Note


class NewProject(Strict):
    """A project to make."""

    name: Name
    note: Note = ""
    shared: bool = Field(False, description="all people see and change it")


class ProjectChange(Strict):
    """Fields of a project that change."""

    name: Name | None = None
    note: Note | None = None
    shared: bool | None = None


class ItemChange(Strict):
    """What changes of an item: its note, or its place."""

    note: Note | None = None
    before: int | None = Field(
        None, ge=0, le=_MOST_ID, description="id of the item it is put in front of; 0 for the end"
    )


class QueryModel(Strict):
    """A query: the parameters of ``GET /v1/search``, and the state of the page."""

    q: list[str] = Field(default_factory=list, max_length=64)
    avoid: list[str] = Field(default_factory=list, max_length=64)
    like: list[str] = Field(default_factory=list, max_length=64)
    unlike: list[str] = Field(default_factory=list, max_length=64)
    where: str = ""
    page: dict[str, Any] = Field(default_factory=dict)


class NewSearch(Strict):
    """A query to save under a name."""

    name: Name
    query: QueryModel
    replace: bool = Field(False, description="replace the one of this name")


class NewQuery(Strict):
    """A query that was used."""

    query: QueryModel


class LibraryInfo(BaseModel):
    """Whose library this is, and whether anything can be kept."""

    person: str
    people: list[str]
    named: bool = Field(description="whether this server knows people by name; it needs a token")
    writable: bool
    reveal: bool = Field(description="whether the file manager can be opened for this request")


class SoundModel(BaseModel):
    """A kept sound as the collection has it now; ``missing`` where it does not hold it."""

    clip_id: str
    path: str
    missing: bool
    metadata: dict[str, Any]


class MarkModel(SoundModel):
    """A favourite, a noted or a used sound."""

    when_s: float
    text: str = ""
    action: str = ""
    times: int = 1


class ItemModel(SoundModel):
    """A sound in a project."""

    item_id: int
    start_s: float | None
    end_s: float | None
    note: str
    added_s: float


class ProjectModel(BaseModel):
    """A project; ``items`` is their number."""

    project_id: int
    name: str
    owner: str
    note: str
    shared: bool
    items: int
    changed_s: float


class OpenProject(BaseModel):
    """A project with its items."""

    project: ProjectModel
    items: list[ItemModel]


class SearchModel(BaseModel):
    """A saved search."""

    search_id: int
    name: str
    query: dict[str, Any]
    saved_s: float


class RecentModel(BaseModel):
    """A query that was used."""

    query: dict[str, Any]
    used_s: float
    times: int


class Added(BaseModel):
    """How many were added; those that were there already do not count."""

    added: int


def _json(value: Any) -> Response:
    return Response(json_bytes(value), media_type="application/json")


def _list(rows: Any) -> Response:
    return _json([row.to_json() for row in rows])


@router.get("", summary="Whose library this is")
async def info(service: ServiceDep, kept: KeptDep, request: Request) -> LibraryInfo:
    """The person of the request, all people who keep something, and whether anything can be kept."""
    people = await service.searches.run(kept.people)
    writable = kept.person.database.is_writable
    return LibraryInfo(
        person=kept.person.name,
        people=people,
        named=service.settings.token is not None,
        writable=writable,
        reveal=service.settings.reveal and is_local(request),
    )


# --- favourites and notes ---------------------------------------------------------------------------------------


@router.get("/favourites", response_model=list[MarkModel], summary="Favourite sounds")
async def favourites(service: ServiceDep, kept: KeptDep) -> Response:
    """The latest first."""
    return _list(await service.searches.run(kept.favourites.all))


@router.post("/favourites", status_code=204, summary="Make sounds favourites")
async def add_favourites(service: ServiceDep, kept: KeptDep, request: ClipIds) -> None:
    """Sounds that already are favourites keep their place."""
    await service.searches.run(lambda: kept.favourites.add(*request.clip_ids))


@router.delete("/favourites/{clip_id:path}", status_code=204, summary="Remove a favourite")
async def remove_favourite(service: ServiceDep, kept: KeptDep, clip_id: str) -> None:
    """Also for a sound that the collection does not hold any more."""
    await service.searches.run(lambda: kept.favourites.remove(clip_id))


@router.get("/notes", response_model=list[MarkModel], summary="Notes about sounds")
async def notes(service: ServiceDep, kept: KeptDep) -> Response:
    """The latest first; ``text`` is the note."""
    return _list(await service.searches.run(kept.notes.all))


@router.put("/notes/{clip_id:path}", status_code=204, summary="Write a note about a sound")
async def set_note(service: ServiceDep, kept: KeptDep, clip_id: str, note: NoteText) -> None:
    """It replaces the one that was there; an empty text removes it."""
    await service.searches.run(lambda: kept.notes.set(clip_id, note.text))


# --- projects ---------------------------------------------------------------------------------------------------


@router.get("/projects", response_model=list[ProjectModel], summary="Projects")
async def projects(service: ServiceDep, kept: KeptDep) -> Response:
    """The person's own and the shared ones, the last changed first."""
    return _list(await service.searches.run(kept.projects.all))


@router.post("/projects", status_code=201, response_model=ProjectModel, summary="Make a project")
async def make_project(service: ServiceDep, kept: KeptDep, new: NewProject) -> Response:
    """An empty one; names are unique for each person."""
    made = await service.searches.run(lambda: kept.projects.make(new.name, new.note, new.shared))
    return Response(json_bytes(made.to_json()), 201, media_type="application/json")


@router.get("/projects/{project_id}", response_model=OpenProject, summary="One project with its items")
async def project(service: ServiceDep, kept: KeptDep, project_id: RowId) -> Response:
    """Items in order."""

    def read() -> dict[str, Any]:
        items = [item.to_json() for item in kept.projects.items(project_id)]
        return {"project": kept.projects.find(project_id).to_json(), "items": items}

    return _json(await service.searches.run(read))


@router.patch("/projects/{project_id}", response_model=ProjectModel, summary="Change a project")
async def change_project(service: ServiceDep, kept: KeptDep, project_id: RowId, change: ProjectChange) -> Response:
    """Fields that are missing or null stay as they are."""
    work = lambda: kept.projects.change(project_id, change.name, change.note, change.shared)  # noqa: E731
    return _json((await service.searches.run(work)).to_json())


@router.delete("/projects/{project_id}", status_code=204, summary="Delete a project")
async def delete_project(service: ServiceDep, kept: KeptDep, project_id: RowId) -> None:
    """The sounds are not touched."""
    await service.searches.run(lambda: kept.projects.delete(project_id))


@router.post("/projects/{project_id}/items", summary="Add sounds to a project")
async def add_items(service: ServiceDep, kept: KeptDep, project_id: RowId, new: NewItems) -> Added:
    """Appends sounds, or parts of them; what the project holds already is left out."""
    items = [item.to_item() for item in new.items]
    return Added(added=await service.searches.run(lambda: kept.projects.add(project_id, items)))


@router.patch("/projects/{project_id}/items/{item_id}", status_code=204, summary="Change an item")
async def change_item(
    service: ServiceDep, kept: KeptDep, project_id: RowId, item_id: RowId, change: ItemChange
) -> None:
    """Its note, or its place."""
    await service.searches.run(lambda: kept.projects.change_item(project_id, item_id, change.note, change.before))


@router.delete("/projects/{project_id}/items/{item_id}", status_code=204, summary="Take an item out of a project")
async def remove_item(service: ServiceDep, kept: KeptDep, project_id: RowId, item_id: RowId) -> None:
    """The sound is not touched."""
    await service.searches.run(lambda: kept.projects.remove_item(project_id, item_id))


# --- searches and use -------------------------------------------------------------------------------------------


@router.get("/searches", response_model=list[SearchModel], summary="Saved searches")
async def searches(service: ServiceDep, kept: KeptDep) -> Response:
    """By name."""
    return _list(await service.searches.run(kept.searches.all))


@router.post("/searches", status_code=201, response_model=SearchModel, summary="Save a search")
async def save_search(service: ServiceDep, kept: KeptDep, new: NewSearch) -> Response:
    """Names are unique for each person."""
    query = new.query.model_dump()
    saved = await service.searches.run(lambda: kept.searches.save(new.name, query, new.replace))
    return Response(json_bytes(saved.to_json()), 201, media_type="application/json")


@router.delete("/searches/{search_id}", status_code=204, summary="Delete a saved search")
async def delete_search(service: ServiceDep, kept: KeptDep, search_id: RowId) -> None:
    """By its id."""
    await service.searches.run(lambda: kept.searches.delete(search_id))


@router.get("/recent", response_model=list[RecentModel], summary="Queries that were used last")
async def recent(service: ServiceDep, kept: KeptDep, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """The latest first."""
    return _list(await service.searches.run(lambda: kept.recent.all(limit)))


@router.post("/recent", status_code=204, summary="Note that a query was used")
async def add_recent(service: ServiceDep, kept: KeptDep, new: NewQuery) -> None:
    """The last 200 are remembered."""
    await service.searches.run(lambda: kept.recent.add(new.query.model_dump()))


@router.delete("/recent", status_code=204, summary="Forget the queries that were used")
async def clear_recent(service: ServiceDep, kept: KeptDep) -> None:
    """All of the person's."""
    await service.searches.run(kept.recent.clear)


@router.get("/used", response_model=list[MarkModel], summary="Sounds that were used last")
async def used(service: ServiceDep, kept: KeptDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The latest first; one entry for each action."""
    return _list(await service.searches.run(lambda: kept.used.all(limit)))


@router.post("/used", status_code=204, summary="Note that sounds were used")
async def add_used(service: ServiceDep, kept: KeptDep, new: UsedClips) -> None:
    """Played, copied, downloaded or exported; the last 1,000 are remembered."""
    await service.searches.run(lambda: kept.used.add(new.clip_ids, new.action))


@router.delete("/used", status_code=204, summary="Forget which sounds were used")
async def clear_used(service: ServiceDep, kept: KeptDep) -> None:
    """All of the person's."""
    await service.searches.run(kept.used.clear)


# --- exchange ---------------------------------------------------------------------------------------------------


@router.get("/export", response_model=dict[str, Any], summary="Everything that all people keep, as JSON")
async def export(service: ServiceDep, kept: KeptDep) -> Response:
    """The form is described in the documentation under Formats."""
    value = await service.searches.run(lambda: export_kept(kept.person.database))
    headers = {"Content-Disposition": 'attachment; filename="askaudio-library.json"'}
    return Response(json.dumps(value), headers=headers, media_type="application/json")  # ASCII: names may be no text


@router.post(
    "/import",
    response_model=dict[str, int],
    summary="Add what an export holds",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def import_(
    service: ServiceDep,
    kept: KeptDep,
    request: Request,
    mine: Annotated[bool, Query(description="give all of it to the person of the request")] = False,
) -> dict[str, int]:
    """Adds and never deletes; returns what was added. All of the export is taken, or none of it."""
    body = await request.body()

    def work() -> dict[str, int]:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise Problem(422, "The export cannot be read: it is not JSON.") from None
        return import_kept(kept.person.database, value, kept.person.name if mine else None)

    return await service.searches.run(work)
