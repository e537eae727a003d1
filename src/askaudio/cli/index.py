"""Make the sounds of folders searchable, or update a collection after the folders have changed.

Unchanged files are skipped, moved and deleted files are followed, and broken files are listed at the end. If the run is
stopped or killed, run the same command again: it continues.

What cannot be looked at is kept: folders that cannot be listed, folders that have lost all of their sounds (an
unmounted disk), and more than a tenth of the files at once. They are named, and the exit code is 1. To remove them:
--remove-missing, or askaudio collection forget PATH.

Examples:
  askaudio index ~/sounds                                  into the default collection, with the default model
  askaudio index ~/sounds --model efficientat              with a larger model (askaudio models)
  askaudio index ~/sounds /mnt/library --workers 8         several folders, eight processes
  askaudio index ~/sounds --model runs/ask/encoder --collection ~/collections/mine
  askaudio index ~/sounds --remove-missing                 remove all missing files from the collection
  askaudio index ~/sounds --watch                          update whenever the folder changes, until Ctrl-C
  askaudio index ~/sounds --collection postgresql://me@db/sounds
  askaudio index /nfs/sounds --collection s3://bucket/sounds --ray head:6379     on every machine of a Ray cluster
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError
from askaudio.core.names import shown

if TYPE_CHECKING:
    from askaudio.ingest.indexer import Indexer
    from askaudio.ingest.report import Report

_MOST_ROWS = 10
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
    parser.add_argument(
        "--remove-missing", action="store_true", help="remove all missing files, also those of folders without sounds"
    )
    parser.add_argument("--watch", action="store_true", help="keep running and update after every change, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Index; 0 when every file could be read, 1 when something is broken, missing or could not be looked at."""
    from askaudio.engines.address import default_collection
    from askaudio.ingest.indexer import Indexer
    from askaudio.ingest.watch import look, wait_for_change

    if args.workers < 1:
        raise ConfigError(f"--workers is {args.workers}; expected 1 or more")
    with Indexer(args.folders, args.collection or default_collection(), args.model) as indexer:
        seen = printed = None
        while True:
            report = _update(args, indexer, first=printed is None)
            if printed is None or report.found_something or report.faults != printed.faults:
                _print(args, report, indexer)
                printed = report
            if not args.watch:
                return 1 if report.faults else 0
            # the first look comes after the first update: what changed meanwhile is found by the next update
            seen = look(args.folders) if seen is None else wait_for_change(args.folders, seen)


def _update(args: argparse.Namespace, indexer: Indexer, first: bool) -> Report:
    with progress_bar("indexing", "files") as bar:
        return indexer.update(
            workers=args.workers,
            cluster=args.ray or "",
            rehash=args.rehash,
            remove_missing=args.remove_missing and first,  # consent to what is missing now, not to what will be
            wait_for_folders=args.watch,
            progress=bar,
        )


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
    if report.measured:
        say(f"{count_of(report.measured, 'unchanged file')} measured (loudness, pitch, ...); their vectors are kept")
    if report.audio_s:
        say(f"{report.audio_s / 60:.1f} minutes of sound in {report.took_s:.1f} s ({speed:.0f} x real time)")
    _print_missing(report)
    _print_unread(report)
    place = f", listed with reasons in {indexer.broken_file}" if indexer.broken_file else ""
    _list(f"could not be read{place}", {path: row.reason for path, row in report.broken.items()})
    _list("damaged, read up to the fault", {path: row.reason for path, row in report.damaged.items()})
    _list("read with a remark", {path: "; ".join(notes) for path, notes in report.noted.items()})
    sys.stdout.flush()  # a watch may run for days


def _print_missing(report: Report) -> None:
    _list("could not be looked at, or lost its sounds", report.unseen, "place")
    if report.kept:
        say(
            f"{count_of(report.kept, 'file')} missing, kept (is a disk not mounted?). To remove what is gone for good: "
            "askaudio index FOLDER --remove-missing, or askaudio collection forget PATH"
        )


def _print_unread(report: Report) -> None:
    from askaudio.audio.readers.chain import NEEDS_CODEC
    from askaudio.ingest.walk import SUFFIXES

    if report.needs_codec:
        say(f"{count_of(len(report.needs_codec), 'file')} not read: {NEEDS_CODEC}")
    for folder in report.silent:
        say(f"no sound file found in {shown(folder)}; looked for {' '.join(sorted(SUFFIXES))}")
    _list("skipped", report.irregular)


def _list(what: str, rows: Mapping[str, str], kind: str = "file") -> None:
    """A heading and up to ten rows."""
    if not rows:
        return
    say(f"{count_of(len(rows), kind)} {what}:")
    for path in sorted(rows)[:_MOST_ROWS]:
        say(f"  {shown(path)}: {shown(rows[path])}")
    if len(rows) > _MOST_ROWS:
        say(f"  ... and {len(rows) - _MOST_ROWS} more; --json prints all of them")
