"""Copies in the collection: the last result in pages, and the start of a search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from askaudio.server.duplicate_search import last_result, search_state, start_search
from askaudio.server.schemas import DuplicatesModel, json_bytes
from askaudio.server.service import ServiceDep

router = APIRouter(prefix="/v1/duplicates", tags=["duplicates"])


@router.get("", response_model=DuplicatesModel, summary="Copies of sounds")
async def duplicates(
    service: ServiceDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Groups of copies from the last search, those with most bytes in copies first; and whether one is running."""

    def read() -> bytes:
        store = service.engine.store
        state, note = search_state(store)
        found = last_result(store)
        groups = found.get("groups", [])
        facts = {name: found.get(name, 0) for name in ("files", "copies", "copies_bytes")}
        return json_bytes({
            "state": state, "note": note, "found_at": str(found.get("found_at", "")), **facts,
            "total_groups": len(groups), "offset": offset, "groups": groups[offset : offset + limit],
        })  # fmt: skip

    return Response(await service.searches.run(read), media_type="application/json")


@router.post("", status_code=202, response_model=DuplicatesModel, summary="Search for copies")
async def search_duplicates(service: ServiceDep) -> Response:
    """Start a search, unless one is running; its result is read with GET. Nothing is deleted or changed."""
    await service.searches.run(lambda: start_search(service.engine.store))
    answer = await duplicates(service, 0, 50)
    answer.status_code = 202
    return answer
