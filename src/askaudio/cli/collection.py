"""Show, check and repair a collection, and keep snapshots of it.

Examples:
  askaudio collection info                           how large it is and which model made it
  askaudio collection list --where "tag=rain" --top 20
  askaudio collection check                          check for damage; exit code 1 if there is any
  askaudio collection repair                         rebuild the search cache, drop damaged entries
  askaudio collection snapshot before-cleanup        save the present state under a name
  askaudio collection snapshot                       list the snapshots
  askaudio collection restore before-cleanup         return to one
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.core.types import Json
    from askaudio.index.store import VectorStore

HELP = "show, check, repair or snapshot a collection"
WRITES = ("repair", "restore")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio collection``."""
    parser.add_argument("verb", choices=["info", "list", "check", "repair", "snapshot", "restore"])
    parser.add_argument("name", nargs="?", help="of the snapshot")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")
    parser.add_argument("--where", help="list: only what a filter names")
    parser.add_argument("--top", type=int, default=50, help="list: how many (default 50)")


def run(args: argparse.Namespace) -> int:
    """Do one of the verbs."""
    from askaudio.engines.open import default_collection, open_store

    if args.name and args.verb not in ("snapshot", "restore"):
        raise ConfigError(f"{args.verb} takes no name, got {args.name!r}")
    if args.verb == "restore" and not args.name:
        raise ConfigError("restore needs the name of a snapshot; askaudio collection snapshot lists them")
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

    clips = store.clips(args.where)
    shown = sorted(clips, key=lambda c: c.path)[: args.top]
    if args.json:
        emit_json(
            [{"clip_id": c.clip_id, "path": c.path, "windows": c.windows, **public_metadata(c.metadata)} for c in shown]
        )
        return 0
    for clip in shown:
        say(f"{clip.clip_id}  {float(clip.metadata.get('duration_s') or 0):8.1f} s  {clip.path}")
    if len(clips) > len(shown):
        say(f"... and {len(clips) - len(shown)} more; --top shows more of them")
    return 0


def _check(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.engines.check import check

    with progress_bar("checking", "entries") as bar:
        faults = check(store, bar)
    if args.json:
        emit_json({"entries": store.count(), "faults": [fault.what for fault in faults]})
    else:
        for fault in faults:
            say(fault.what)
        fix = f"Fix: askaudio collection repair --collection {store.url}"
        say(f"{store.count()} entries, {count_of(len(faults), 'fault')}" + (f". {fix}" if faults else ""))
    return 1 if faults else 0


def _repair(args: argparse.Namespace, store: VectorStore) -> int:
    from askaudio.engines.check import check, repair

    with progress_bar("checking", "entries") as bar:
        done = repair(store, check(store, bar))
    if args.json:
        emit_json(done)
    else:
        again = "; index the folders again to restore them" if done["removed_entries"] else ""
        say(f"search cache rebuilt; {done['removed_entries']} damaged entries removed{again}")
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
    "repair": _repair,
    "snapshot": _snapshot,
    "restore": _restore,
}
