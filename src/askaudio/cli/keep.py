"""Keep sounds, parts of sounds and searches: favourites, projects, notes, saved searches.

Sounds are named by their clip_id (askaudio search --json shows it) or by the path of their file.

Examples:
  askaudio keep add ~/sounds/rain.wav                        make it a favourite
  askaudio keep make "Storm, scene 4" --note "for Tuesday"   make a project
  askaudio keep add 96f0c2d1e5b7a843 --project "Storm, scene 4" --part 12.5-17 --note "thunder roll"
  askaudio keep list                                         favourites, projects, saved searches
  askaudio keep show "Storm, scene 4"
  askaudio keep remove ~/sounds/rain.wav
  askaudio keep note ~/sounds/rain.wav "good from 2 s on"
  askaudio keep save "dry rain" "rain on leaves" --not thunder --where "duration<30"
  askaudio keep search "dry rain"                            search again
  askaudio keep delete "Storm, scene 4"                      a project; --search: a saved search
  askaudio keep export kept.json                             everything, as JSON; askaudio keep import kept.json

The page and the API keep the same things. Take them to other programs with askaudio deliver --project NAME.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import count_of, emit_json, say
from askaudio.core.errors import ConfigError
from askaudio.core.names import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from askaudio.projects.kept import Kept
    from askaudio.projects.projects import NewItem

HELP = "keep favourites, projects, notes and searches"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio keep``."""
    parser.add_argument("verb", choices=list(_VERBS))
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="sounds, a project, a search, a file; see the examples"
    )
    parser.add_argument("--project", metavar="P", help="add, remove: a project instead of the favourites")
    parser.add_argument("--part", metavar="A-B", help="add: only this part, in seconds, for example 12.5-17")
    parser.add_argument("--note", default="", help="add, make: a text about it")
    parser.add_argument("--shared", action="store_true", help="make: all people see and change it")
    parser.add_argument("--not", dest="avoid", action="append", default=[], metavar="TEXT", help="save: what to avoid")
    parser.add_argument("--where", default="", help="save: a filter")
    parser.add_argument("--replace", action="store_true", help="save: replace the search of this name")
    parser.add_argument("--search", action="store_true", help="delete: a saved search instead of a project")
    parser.add_argument("--top", type=int, default=10, help="search: how many recordings (default 10)")
    parser.add_argument("--overwrite", action="store_true", help="export: replace the file")
    parser.add_argument("--person", default="", help="whose things; without it those of the person without a name")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")


def run(args: argparse.Namespace) -> int:
    """Do one of the verbs."""
    from askaudio.projects.kept import open_kept

    if args.verb == "search":
        return _search(args)
    with open_kept(args.collection, args.person) as kept:
        return _VERBS[args.verb](args, kept)


def clip_ids(kept_or_names: Sequence[str]) -> list[str]:
    """Ids of clips from ids and paths: what exists as a file is a path."""
    from askaudio.ingest.walk import clip_id_of

    found = []
    for name in kept_or_names:
        path = Path(name).expanduser()
        found.append(clip_id_of(os.path.abspath(path)) if os.sep in name or path.is_file() else name)
    return found


def part_of(text: str | None) -> tuple[float | None, float | None]:
    """The times of ``12.5-17``; None and None without a text.

    Raises:
        ConfigError: It is not of this form.
    """
    if not text:
        return None, None
    start, _, end = text.partition("-")
    try:
        return float(start), float(end)
    except ValueError as error:
        raise ConfigError(f"--part is {text!r}; expected two times in seconds, for example 12.5-17") from error


def _needs(args: argparse.Namespace, what: str, most: int | None = None) -> list[str]:
    """The names, of which there must be one or more."""
    if not args.names or (most is not None and len(args.names) > most):
        raise ConfigError(f"keep {args.verb} needs {what}; got {len(args.names)} names. See: askaudio keep --help")
    return args.names


def _list(args: argparse.Namespace, kept: Kept) -> int:
    favourites, projects, searches = kept.favourites.all(), kept.projects.all(), kept.searches.all()
    notes = kept.notes.all()
    if args.json:
        parts: dict[str, Sequence[Any]] = {
            "favourites": favourites, "notes": notes, "projects": projects, "searches": searches,
        }  # fmt: skip
        emit_json({name: [row.to_json() for row in rows] for name, rows in parts.items()})
        return 0
    for mark in favourites:
        say(f"favourite  {mark.sound.clip_id}  {_path(mark.sound.path, mark.sound.missing)}")
    for mark in notes:
        say(f"note       {mark.sound.clip_id}  {_path(mark.sound.path, mark.sound.missing)}: {shown(mark.text)}")
    for project in projects:
        about = f"{count_of(project.items, 'sound')}{', shared' if project.shared else ''}"
        say(f"project    {shown(project.name)}  ({about}){'  ' + shown(project.note) if project.note else ''}")
    for search in searches:
        say(f"search     {shown(search.name)}  {shown(json.dumps(dict(search.query), ensure_ascii=False))}")
    if not (favourites or projects or searches or notes):
        say("nothing is kept yet; for example: askaudio keep add ~/sounds/rain.wav")
    return 0


def _path(path: str, missing: bool) -> str:
    return shown(path) + (" (not in the collection)" if missing else "")


def _show(args: argparse.Namespace, kept: Kept) -> int:
    (name,) = _needs(args, "the name of a project", 1)
    items = kept.projects.items(name)
    if args.json:
        emit_json({**kept.projects.find(name).to_json(), "items": [item.to_json() for item in items]})
    for item in [] if args.json else items:
        part = "" if item.start_s is None else f"{item.start_s:.2f}-{item.end_s:.2f} s"
        path = _path(item.sound.path, item.sound.missing)
        say(f"{item.sound.clip_id}  {part:>18}  {path}{'  ' + shown(item.note) if item.note else ''}")
    return 0


def _add(args: argparse.Namespace, kept: Kept) -> int:
    ids = clip_ids(_needs(args, "sounds: ids or paths"))
    if args.project is None:
        if args.part or args.note:
            raise ConfigError("a favourite is a whole sound without a note; name a project with --project, or: "
                              "askaudio keep note SOUND TEXT")  # fmt: skip
        kept.favourites.add(*ids)
        return _done(args, {"favourites": len(ids)}, f"{count_of(len(ids), 'favourite')} kept")
    added = kept.projects.add(args.project, _items(ids, args))
    return _done(args, {"added": added}, f"{count_of(added, 'sound')} added to {args.project}")


def _items(ids: list[str], args: argparse.Namespace) -> list[NewItem]:
    from askaudio.projects.projects import NewItem

    start_s, end_s = part_of(args.part)
    return [NewItem(clip_id, start_s, end_s, args.note) for clip_id in ids]


def _remove(args: argparse.Namespace, kept: Kept) -> int:
    ids = clip_ids(_needs(args, "sounds: ids or paths"))
    if args.project is None:
        removed = sum(kept.favourites.remove(clip_id) for clip_id in ids)
    else:
        gone = [item.item_id for item in kept.projects.items(args.project) if item.sound.clip_id in ids]
        for item_id in gone:
            kept.projects.remove_item(args.project, item_id)
        removed = len(gone)
    _done(args, {"removed": removed}, f"{count_of(removed, 'sound')} removed")
    return 0 if removed else 1


def _note(args: argparse.Namespace, kept: Kept) -> int:
    if len(args.names) != 2:
        raise ConfigError('keep note needs a sound and a text, for example: keep note rain.wav "too loud"')
    kept.notes.set(clip_ids(args.names[:1])[0], args.names[1])
    return _done(args, {"note": args.names[1]}, "noted" if args.names[1].strip() else "note removed")


def _make(args: argparse.Namespace, kept: Kept) -> int:
    (name,) = _needs(args, "the name of the new project", 1)
    made = kept.projects.make(name, args.note, args.shared)
    return _done(args, made.to_json(), f"project {made.name} made")


def _delete(args: argparse.Namespace, kept: Kept) -> int:
    (name,) = _needs(args, "the name of a project, or of a saved search with --search", 1)
    (kept.searches if args.search else kept.projects).delete(name)
    return _done(args, {"deleted": name}, f"{name} deleted; the sounds are not touched")


def _save(args: argparse.Namespace, kept: Kept) -> int:
    if len(args.names) < 2:
        raise ConfigError('keep save needs a name and texts, for example: keep save "dry rain" "rain on leaves"')
    name, *texts = args.names
    saved = kept.searches.save(name, {"q": texts, "avoid": args.avoid, "where": args.where}, args.replace)
    return _done(args, saved.to_json(), f"search {saved.name} saved")


def _search(args: argparse.Namespace) -> int:
    from askaudio.cli.search import show
    from askaudio.engines.address import default_collection
    from askaudio.projects.kept import open_kept
    from askaudio.search.engine import SearchEngine
    from askaudio.search.query import make_parts

    (name,) = _needs(args, "the name of a saved search", 1)
    with open_kept(args.collection, args.person) as kept:
        query = kept.searches.find(name).query
        parts = make_parts(query.get("q"), like=query.get("like"), avoid=query.get("avoid"), unlike=query.get("unlike"))
        kept.recent.add(query)
    with SearchEngine.open(args.collection or default_collection()) as engine:
        hits = engine.search(more=parts, top_k=args.top, where=query.get("where"))
    if args.json:
        emit_json([hit.to_json() for hit in hits])
    else:
        show(hits)
    return 0 if hits else 1


def _recent(args: argparse.Namespace, kept: Kept) -> int:
    queries, used = kept.recent.all(args.top), kept.used.all(args.top)
    if args.json:
        emit_json({"queries": [row.to_json() for row in queries], "sounds": [mark.to_json() for mark in used]})
        return 0
    for row in queries:
        say(f"query       {row.times:4d} x  {shown(json.dumps(dict(row.query), ensure_ascii=False))}")
    for mark in used:
        say(f"{mark.action:<10}  {mark.times:4d} x  {_path(mark.sound.path, mark.sound.missing)}")
    return 0


def _export(args: argparse.Namespace, kept: Kept) -> int:
    from askaudio.core.files import write_text
    from askaudio.projects.exchange import export_kept

    (name,) = _needs(args, "the file to write", 1)
    target = Path(name).expanduser()
    if target.exists() and not args.overwrite:
        raise ConfigError(f"{target} exists; nothing was changed. Fix: choose another name, or add --overwrite")
    value = export_kept(kept.person.database)
    write_text(target, json.dumps(value, indent=1) + "\n")  # ASCII: names may be no text
    people = len(value["people"])
    return _done(args, {"file": str(target), "people": people}, f"{shown(target)} written")


def _import(args: argparse.Namespace, kept: Kept) -> int:
    from askaudio.core.files import read_json
    from askaudio.projects.exchange import import_kept

    (name,) = _needs(args, "the file to read", 1)
    added = import_kept(kept.person.database, read_json(Path(name).expanduser()), args.person or None)
    said = ", ".join(f"{number} {part}" for part, number in added.items() if number)
    return _done(args, added, f"added: {said or 'nothing new'}")


def _done(args: argparse.Namespace, value: Mapping[str, Any], text: str) -> int:
    if args.json:
        emit_json(value)
    else:
        say(shown(text))
    return 0


_VERBS: dict[str, Callable[..., int]] = {
    "list": _list, "show": _show, "add": _add, "remove": _remove, "note": _note, "make": _make, "delete": _delete,
    "save": _save, "search": _search, "recent": _recent, "export": _export, "import": _import,
}  # fmt: skip
