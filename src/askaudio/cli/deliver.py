"""Take sounds out of a collection: copies in a folder or ZIP, playlists, tables, timelines, REAPER; with credits.

Examples:
  askaudio deliver "rain on a tin roof" --top 20 --to ~/Desktop/rain       copies and CREDITS.txt in a new folder
  askaudio deliver "thunder" --parts --handles 2 --to thunder.zip          only the matching parts, cut as WAV
  askaudio deliver --project "Storm, scene 4" --to storm.rpp               a REAPER project that refers to the files
  askaudio deliver --project "Storm, scene 4" --to storm --list rpp --list csv
                                                                           copies with lists that refer to them
  askaudio deliver --favourites --commercial --to best.m3u8                only what is known to allow commercial use
  askaudio search rain --json | askaudio deliver --from - --to rain.csv

The kind follows from the suffix of --to (.zip .m3u8 .csv .tsv .json .otio .rpp .txt: credits), else it is a folder;
--kind regions makes a CSV of regions for REAPER. Licences and authors come from tags, from files beside the sounds and
from credits.yaml; see the documentation. Nothing that exists is replaced without --overwrite.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.cli.keep import clip_ids
from askaudio.cli.output import count_of, emit_json, progress_bar, say, warn
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.names import shown

if TYPE_CHECKING:
    from askaudio.delivery.deliver import Delivery
    from askaudio.index.store import VectorStore
    from askaudio.projects.projects import NewItem

HELP = "take sounds out: copies, ZIP, playlist, table, timeline, REAPER, credits"
_SUFFIXES = {
    ".zip": "zip", ".m3u": "m3u", ".m3u8": "m3u", ".csv": "csv", ".tsv": "tsv", ".json": "json", ".otio": "otio",
    ".rpp": "rpp", ".txt": "credits",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio deliver``."""
    add = parser.add_argument
    add("text", nargs="*", help="words that describe the sounds")
    add("--to", required=True, metavar="TARGET", help="a new folder, or a file")
    add(
        "--kind", help="folder, zip, m3u, csv, tsv, json, otio, rpp, regions or credits; default: by the suffix of --to"
    )
    add("--list", dest="lists", action="append", default=[], metavar="KIND", help="beside copies; repeatable")
    add("--top", type=int, default=10, help="how many hits of the words (default 10)")
    add("--where", help='a filter for the hits, for example "duration<3 and tag=rain"')
    add("--parts", action="store_true", help="take only the best part of each hit")
    add("--clip", action="append", default=[], metavar="C", help="a clip_id or the path of a sound; repeatable")
    add(
        "--from",
        dest="source",
        metavar="FILE",
        help="ids, one a line, or the output of search --json; - for standard input",
    )
    add("--project", metavar="P", help="the sounds of a project")
    add("--favourites", action="store_true", help="the favourites")
    add("--handles", type=float, default=0.0, metavar="S", help="seconds to keep before and after each part")
    add("--commercial", action="store_true", help="leave out what is not known to allow commercial use")
    add("--rules", metavar="FILE", help="rules about licences and authors, before those of credits.yaml in the folders")
    add(
        "--allow",
        metavar="FOLDER",
        action="append",
        default=[],
        help="also read this folder, which was not indexed here",
    )
    add("--overwrite", action="store_true", help="replace the file; never a folder")
    add("--person", default="", help="whose project or favourites")
    add("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")


def run(args: argparse.Namespace) -> int:
    """Deliver; 0 when everything was taken, 1 when something was left out."""
    from askaudio.delivery.deliver import check_kinds, deliver
    from askaudio.delivery.rules import read_rules
    from askaudio.engines.address import default_collection
    from askaudio.engines.open import open_store

    kind = args.kind or _SUFFIXES.get(Path(args.to).suffix.lower(), "folder")
    check_kinds(kind, args.lists)
    rules = read_rules(args.rules) if args.rules else []
    wanted = _hits(args) if args.text else []
    with open_store(args.collection or default_collection()) as store, progress_bar("taking", "sounds") as bar:
        wanted += [*_named(args), *_kept(args, store)]
        if not wanted:
            raise ConfigError("nothing to deliver: name words, --project, --favourites, --clip or --from")
        done = deliver(
            store, wanted, args.to, kind, lists=args.lists, handles_s=args.handles, commercial=args.commercial,
            rules=rules, folders=args.allow, overwrite=args.overwrite, progress=bar,
        )  # fmt: skip
    _report(args, done)
    return 1 if done.selection.left else 0


def _hits(args: argparse.Namespace) -> list[NewItem | str]:
    from askaudio.engines.address import default_collection
    from askaudio.projects.projects import NewItem
    from askaudio.search.engine import SearchEngine

    with SearchEngine.open(args.collection or default_collection()) as engine:
        hits = engine.search(args.text, top_k=args.top, where=args.where)
    return [NewItem(hit.clip_id, hit.start_s, hit.end_s) if args.parts else hit.clip_id for hit in hits]


def _named(args: argparse.Namespace) -> list[NewItem | str]:
    named: list[NewItem | str] = list(clip_ids(args.clip))
    return named + (_read(args.source, args.parts) if args.source else [])


def _read(source: str, parts: bool) -> list[NewItem | str]:
    """Ids of a file: one a line, or the JSON that ``askaudio search --json`` prints."""
    from askaudio.core.text import decode_text, non_blank_lines, read_text

    try:
        text = decode_text(sys.stdin.buffer.read()) if source == "-" else read_text(source)
    except DataError as error:
        raise ConfigError(f"--from {source}: {error}") from error
    if not text.lstrip().startswith("["):
        return list(clip_ids(non_blank_lines(text)))
    try:
        return [_of_json(row, parts) for row in json.loads(text)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"--from {source}: expected ids, one a line, or the output of search --json") from error


def _of_json(row: Any, parts: bool) -> NewItem | str:
    from askaudio.projects.projects import NewItem

    if parts and row.get("start_s") is not None:
        return NewItem(str(row["clip_id"]), float(row["start_s"]), float(row["end_s"]))
    return str(row["clip_id"])


def _kept(args: argparse.Namespace, store: VectorStore) -> list[NewItem | str]:
    from askaudio.projects.database import Database, file_of
    from askaudio.projects.kept import Kept
    from askaudio.projects.projects import NewItem

    if not (args.project or args.favourites):
        return []
    kept, found = Kept(Database(file_of(store.url)), store, args.person), []
    if args.project:
        items = kept.projects.items(args.project)
        found += [NewItem(item.sound.clip_id, item.start_s, item.end_s, item.note) for item in items]
    if args.favourites:
        found += [NewItem(mark.sound.clip_id) for mark in kept.favourites.all()]
    kept.person.database.close()
    return [*found]


def _report(args: argparse.Namespace, done: Delivery) -> None:
    taken, left = done.selection.taken, done.selection.left
    if args.json:
        rows = [{"clip_id": one.clip_id, "path": one.path, "name": one.name, **one.credit.to_json()} for one in taken]
        emit_json({"files": list(map(str, done.files)), "taken": rows, "left_out": [one.to_json() for one in left]})
        return
    for one in left:
        warn(f"left out: {shown(one.path or one.clip_id)}: {one.reason}")
    place = done.files[0].parent if len(done.files) > 2 else done.files[0]
    say(f"{count_of(len(taken), 'sound')} in {shown(place)}")
