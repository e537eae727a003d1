"""Make the sounds of folders searchable, or update a collection after the folders have changed.

Unchanged files are skipped, renamed and deleted files are followed, and broken files are listed at the end. If the run
is stopped or killed, run the same command again: it continues.

Examples:
  askaudio index ~/sounds                                  into the default collection, with the default model
  askaudio index ~/sounds --model efficientat              with a larger model (askaudio models)
  askaudio index ~/sounds /mnt/library --workers 8         several folders, eight processes
  askaudio index ~/sounds --model runs/ask/encoder --collection ~/collections/mine
  askaudio index ~/sounds --watch                          update whenever the folder changes, until Ctrl-C
  askaudio index ~/sounds --collection postgresql://me@db/sounds
  askaudio index /nfs/sounds --collection s3://bucket/sounds --ray head:6379     on every machine of a Ray cluster
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.ingest.indexer import Indexer
    from askaudio.ingest.report import Report

HELP = "add the sounds of folders to a collection"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio index``."""
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="folders (or files) to index")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")
    parser.add_argument(
        "--model", help="name (askaudio models), encoder or run folder; default: the collection's, else small"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that encode (default: all)")
    parser.add_argument("--ray", metavar="ADDRESS", help="encode on a Ray cluster: its address, auto, or local")
    parser.add_argument(
        "--rehash", action="store_true", help="compare the content of every file, not its size and time"
    )
    parser.add_argument("--watch", action="store_true", help="keep running and update after every change, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Index; 0 when every file could be read, 1 when some are broken."""
    from askaudio.engines.address import default_collection
    from askaudio.ingest.indexer import Indexer
    from askaudio.ingest.watch import look, wait_for_change

    if args.workers < 1:
        raise ConfigError(f"--workers is {args.workers}; expected 1 or more")
    with Indexer(args.folders, args.collection or default_collection(), args.model) as indexer:
        seen = printed = None
        while True:
            report = _update(args, indexer)
            if printed is None or report.found_something or report.broken.keys() != printed.broken.keys():
                _print(args, report, indexer)
                printed = report
            if not args.watch:
                return 1 if report.broken else 0
            # the first look comes after the first update: what changed meanwhile is found by the next update
            seen = look(args.folders) if seen is None else wait_for_change(args.folders, seen)


def _update(args: argparse.Namespace, indexer: Indexer) -> Report:
    with progress_bar("indexing", "files") as bar:
        return indexer.update(workers=args.workers, cluster=args.ray or "", rehash=args.rehash, progress=bar)


def _print(args: argparse.Namespace, report: Report, indexer: Indexer) -> None:
    store = indexer.store
    if args.json:
        emit_json({"collection": store.url, "entries": store.count(), **report.to_json()})
        return
    speed = report.audio_s / max(report.took_s, 1e-9)
    say(
        f"{store.url}: {report.added} added, {report.changed} changed, {report.renamed} renamed, "
        f"{report.removed} removed, {report.unchanged} unchanged; {store.count()} entries"
    )
    if report.audio_s:
        say(f"{report.audio_s / 60:.1f} minutes of sound in {report.took_s:.1f} s ({speed:.0f} x real time)")
    if report.kept:
        say(f"{count_of(report.kept, 'file')} missing with their whole folder, kept (is a disk not mounted?)")
    if report.broken:
        place = f", listed with reasons in {indexer.broken_file}" if indexer.broken_file else ""
        say(f"{count_of(len(report.broken), 'file')} could not be read{place}:")
        for path in sorted(report.broken)[:10]:
            say(f"  {path}: {report.broken[path].reason}")
