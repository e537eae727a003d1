"""Show, check and repair a collection, take folders out of it, and keep snapshots of it.

Examples:
  askaudio collection info                           how large it is and which model made it
  askaudio collection list --where "tag=rain" --top 20
  askaudio collection list --broken                  files that could not be read, or not to their end
  askaudio collection forget /mnt/old                remove what lies below a folder that is gone for good
  askaudio collection check                          check for damage; exit code 1 if there is any
  askaudio collection duplicates                     copies under other names, formats, levels and lengths
  askaudio collection repair                         rebuild the search cache, drop damaged entries
  askaudio collection snapshot before-cleanup        save the present state under a name
  askaudio collection snapshot                       list the snapshots
  askaudio collection restore before-cleanup         return to one
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError
from askaudio.core.names import shown

if TYPE_CHECKING:
    from askaudio.core.types import Json
    from askaudio.index.store import VectorStore

HELP = "show, check, repair or snapshot a collection"
WRITES = ("repair", "restore", "forget")
NAMED = ("snapshot", "restore", "forget")
_MOST_ROWS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio collection``."""
    parser.add_argument("verb", choices=list(_VERBS))
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the snapshot; forget: a folder or file")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")
    parser.add_argument("--where", help="list, duplicates: only what a filter names")
    parser.add_argument("--top", type=int, default=50, help="list: how many (default 50)")
    parser.add_argument("--csv", action="store_true", help="duplicates: print one row for each file as CSV")
    parser.add_argument(
        "--share", type=float, default=0.6, help="duplicates: least share of the longer sound in both (default 0.6)"
    )
    parser.add_argument("--broken", action="store_true", help="list: files that could not be read, or not to their end")
    parser.add_argument("--yes", action="store_true", help="forget: do not ask")


def run(args: argparse.Namespace) -> int:
    """Do one of the verbs."""
    from askaudio.engines.open import default_collection, open_store

    if args.name and args.verb not in NAMED:
        raise ConfigError(f"{args.verb} takes no name, got {args.name!r}")
    if args.verb == "restore" and not args.name:
        raise ConfigError("restore needs the name of a snapshot; askaudio collection snapshot lists them")
    if args.verb == "forget" and not args.name:
        raise ConfigError("forget needs a folder or file; askaudio collection list shows the paths")
    writes = args.verb in WRITES or (args.verb == "snapshot" and args.name)
    with open_store(args.collection or default_collection(), "w" if writes else "r") as store:
        return _VERBS[args.verb](args, store)


def _info(args: argparse.Namespace, store: VectorStore) -> int:
    clips = store.clips()
    facts: Json = {
        "collection": store.url,
        "clips": len(clips),
        "entries": store.count(),
        "hours": round(sum(float(c.metadata.get("duration_s") or 0) for c in clips) / 3600, 3),
        "model": store.identity.model,
        "fingerprint": store.identity.fingerprint,
        "embed_dim": store.identity.embed_dim,
        "snapshots": store.snapshots(),
    }
    if args.json:
        emit_json(facts)
    for name, value in {} if args.json else facts.items():
        say(f"{name:12} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _list(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.index.bookkeeping import public_metadata

    if args.broken:
        return _list_broken(args)
    clips = store.clips(store.check_filter(args.where))
    rows = sorted(clips, key=lambda c: c.path)[: args.top]
    if args.json:
        emit_json(
            [{"clip_id": c.clip_id, "path": c.path, "windows": c.windows, **public_metadata(c.metadata)} for c in rows]
        )
        return 0
    for clip in rows:
        say(f"{clip.clip_id}  {float(clip.metadata.get('duration_s') or 0):8.1f} s  {shown(clip.path)}")
    if len(clips) > len(rows):
        say(f"... and {len(clips) - len(rows)} more; --top shows more of them")
    return 0


def _list_broken(args: argparse.Namespace) -> int:
    from askaudio.engines.open import default_collection
    from askaudio.ingest.indexer import broken_file
    from askaudio.ingest.report import read_broken

    place = broken_file(args.collection or default_collection())
    rows = sorted(read_broken(place).items()) if place else []
    if args.json:
        emit_json([{"path": path, "damaged": row.damaged, "reason": row.reason} for path, row in rows])
    for path, row in [] if args.json else rows:
        say(f"{'damaged' if row.damaged else 'broken ':8} {shown(path)}: {shown(row.reason)}")
    return 0


def _forget(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.ingest.forget import clips_below, forget

    clips = clips_below(store, args.name)
    if clips and not args.yes:
        _ask(args, [clip.path for clip in clips])
    removed = forget(store, args.name) if clips else 0
    if args.json:
        emit_json({"removed": removed, "paths": [clip.path for clip in clips], "entries": store.count()})
    elif clips:
        say(f"{count_of(removed, 'file')} removed from {store.url}; {store.count()} entries")
    else:
        say(f"{store.url} holds nothing below {shown(args.name)}; askaudio collection list shows the paths")
    return 0 if removed else 1


def _ask(args: argparse.Namespace, paths: list[str]) -> None:
    """Show what will be removed, and ask on a terminal.

    Raises:
        ConfigError: The answer is no, or nobody can be asked.
    """
    what = f"{count_of(len(paths), 'file')} below {shown(args.name)}"
    for path in paths[:_MOST_ROWS]:
        sys.stderr.write(f"  {shown(path)}\n")
    if len(paths) > _MOST_ROWS:
        sys.stderr.write(f"  ... and {len(paths) - _MOST_ROWS} more\n")
    if not sys.stdin.isatty():
        raise ConfigError(f"{what} would be removed from the collection; nothing was changed. Fix: add --yes")
    sys.stderr.write(f"Remove {what} from the collection? The files are not touched. [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("nothing was changed")


def _check(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.engines.check import examine

    with progress_bar("checking", "entries") as bar:
        report = examine(store, bar)
    faults, without = report.faults, report.without_checksum
    if args.json:
        what = [fault.what for fault in faults]
        emit_json({"entries": report.entries, "faults": what, "without_checksum": without})
    else:
        for fault in faults:
            say(fault.what)
        if without:
            say(f"{without} entries have no checksum: an older version wrote them, and damage of them cannot be found")
        fix = f". Fix: askaudio collection repair --collection {store.url}" if faults or without else ""
        say(f"{report.entries} entries, {count_of(len(faults), 'fault')}{fix}")
    return 1 if faults else 0


def _duplicates(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.cli.duplicates import show_duplicates

    return show_duplicates(args, store)


def _repair(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.engines.check import check, repair

    with progress_bar("checking", "entries") as bar:
        done = repair(store, check(store, bar))
    if args.json:
        emit_json(done)
    else:
        again = "; index the folders again to restore them" if done["removed_entries"] else ""
        table = "table written again, its snapshots are gone; " if done["rebuilt_table"] else ""
        say(f"{table}search cache rebuilt; {done['removed_entries']} damaged entries removed{again}")
    return 0


def _snapshot(args: argparse.Namespace, store: VectorStore) -> int:
    if args.name:
        store.snapshot(args.name)
        store.save()
    if args.json:
        emit_json({"snapshots": store.snapshots()})
    else:
        say("\n".join(store.snapshots()) or "no snapshots")
    return 0


def _restore(args: argparse.Namespace, store: VectorStore) -> int:
    store.restore(args.name)
    store.save()
    if args.json:
        emit_json({"restored": args.name, "entries": store.count()})
    else:
        say(f"back at {args.name}: {store.count()} entries")
    return 0


_VERBS = {
    "info": _info,
    "list": _list,
    "check": _check,
    "duplicates": _duplicates,
    "repair": _repair,
    "forget": _forget,
    "snapshot": _snapshot,
    "restore": _restore,
}
