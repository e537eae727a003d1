"""Tools of the Model Context Protocol for what people keep, and for lists of it.

They write to the library only, never to sound files. What they remove can be added again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from askaudio.core.errors import ConfigError
from askaudio.core.types import Json
from askaudio.delivery.credits import CreditReader
from askaudio.delivery.deliver import allowed_roots
from askaudio.delivery.items import select
from askaudio.delivery.kinds import LISTS
from askaudio.delivery.rules import rules_of
from askaudio.engines.address import parse_address
from askaudio.projects.kept import Kept
from askaudio.projects.projects import NewItem
from askaudio.server.schemas import json_safe

_MOST = 200  # items in one answer: a language model reads, and pays for, all of them


def add_library_tools(
    server: Any, answer: Callable[[Callable[[], Any]], Awaitable[Any]], library: Callable[[], Kept]
) -> None:
    """Add the tools keep, unkeep, kept, save_search and export.

    Args:
        server: An ``mcp.server.MCPServer``.
        answer: Runs blocking work and turns errors into those of the protocol.
        library: What a person keeps.
    """

    @server.tool()
    async def keep(
        clip_id: str, project: str = "", note: str = "", start_s: float | None = None, end_s: float | None = None
    ) -> Json:
        """Keep a sound by the clip_id of a hit: as a favourite, or, with the name of a project, in that project.

        A project is made if it does not exist. ``start_s`` and ``end_s`` keep only that part of the sound.
        """
        return await answer(lambda: _keep(library(), NewItem(clip_id, start_s, end_s, note), project))

    @server.tool()
    async def unkeep(clip_id: str, project: str = "") -> Json:
        """Remove a sound from the favourites, or from a project. The sound itself is not touched."""
        return await answer(lambda: {"removed": _unkeep(library(), clip_id, project)})

    @server.tool()
    async def kept(project: str = "") -> Json:
        """What is kept: favourites, projects and saved searches; or the sounds of one project, by its name."""
        return await answer(lambda: _kept(library(), project))

    @server.tool()
    async def save_search(name: str, text: str, avoid: str = "", where: str = "") -> Json:
        """Save a search under a name; the parameters are those of ``search``."""
        query = {"q": [text], "avoid": [avoid] if avoid else [], "where": where}
        return await answer(lambda: library().searches.save(name, query).to_json())

    @server.tool()
    async def export(kind: str, project: str = "", clip_ids: list[str] | None = None) -> Json:
        """A list of the sounds of a project, or of clips, as text: csv, tsv, json, m3u, otio, rpp, regions or credits.

        ``credits`` has title, author, licence and source; ``rpp`` is a REAPER project.
        """
        return await answer(lambda: _export(library(), kind, project, clip_ids or []))


def _keep(library: Kept, item: NewItem, project: str) -> Json:
    if not project:
        if item.start_s is not None or item.note:
            raise ConfigError("a favourite is a whole sound without a note; name a project to keep a part or a note")
        library.favourites.add(item.clip_id)
        return {"kept": "favourite"}
    if project not in {one.name for one in library.projects.all()}:
        library.projects.make(project)
    return {"kept": project, "added": library.projects.add(project, [item])}


def _unkeep(library: Kept, clip_id: str, project: str) -> int:
    if not project:
        return int(library.favourites.remove(clip_id))
    items = [item.item_id for item in library.projects.items(project) if item.sound.clip_id == clip_id]
    for item_id in items:
        library.projects.remove_item(project, item_id)
    return len(items)


def _kept(library: Kept, project: str) -> Json:
    if project:
        found = library.projects.items(project)[:_MOST]
        rows = [{**item.to_json(), "metadata": _short(item.sound.metadata)} for item in found]
        return dict(json_safe({**library.projects.find(project).to_json(), "sounds": rows}))
    favourites = [{**mark.to_json(), "metadata": _short(mark.sound.metadata)} for mark in library.favourites.all()]
    return dict(json_safe({
        "favourites": favourites[:_MOST],
        "projects": [one.to_json() for one in library.projects.all()],
        "searches": [one.to_json() for one in library.searches.all()],
    }))  # fmt: skip


def _short(metadata: Any) -> Json:
    return {name: metadata[name] for name in ("duration_s", "title", "tags") if name in metadata}


def _export(library: Kept, kind: str, project: str, clip_ids: list[str]) -> Json:
    if kind not in LISTS:
        raise ConfigError(f"kind is {kind!r}; expected one of {', '.join(LISTS)}")
    store = library.person.sounds.store
    items: list[NewItem | str] = [*clip_ids]
    if project:
        kept = library.projects.items(project)
        items += [NewItem(one.sound.clip_id, one.start_s, one.end_s, one.note) for one in kept]
    roots = allowed_roots(store.url)
    rules = rules_of(roots, parse_address(store.url).folder)
    selection = select(store, items, CreditReader(roots, rules))
    text = LISTS[kind].write(selection, lambda one: one.path).decode("utf-8", "backslashreplace")
    return {"text": text, "sounds": len(selection.taken), "left_out": [one.to_json() for one in selection.left]}
