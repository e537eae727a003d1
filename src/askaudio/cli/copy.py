"""Copy a collection to another store, vectors and all: nothing is encoded again.

Entries that only the target has are removed. If the copy is stopped, run it again: it continues.

Examples:
  askaudio copy ~/.askaudio/collections/default s3://bucket/sounds
  askaudio copy ~/.askaudio/collections/default postgresql://me@db.example/sounds
  askaudio copy postgresql://me@db.example/sounds ~/collections/from-db
  askaudio copy ~/collections/sounds sounds.parquet      one row a window, for other tools (extra parquet)
  askaudio copy sounds.parquet ~/collections/again       and back
  askaudio copy ~/collections/sounds hf:FOLDER           a data set of Hugging Face datasets (extra hf)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.types import Progress

HELP = "copy a collection to another store"
PARQUET, DATASET = ".parquet", "hf:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio copy``."""
    parser.add_argument("source", help="folder, address or .parquet file of the collection to copy")
    parser.add_argument("target", help="folder, address, .parquet file or hf:FOLDER to copy it to; made when not there")


def run(args: argparse.Namespace) -> int:
    """Copy."""
    with progress_bar("copying", "entries") as bar:
        if args.target.endswith(PARQUET) or args.target.startswith(DATASET):
            source, target, copied = _export(args.source, args.target, bar)
        elif args.source.endswith(PARQUET):
            source, target, copied = _import(args.source, args.target, bar)
        else:
            source, target, copied = _copy(args.source, args.target, bar)
    if args.json:
        emit_json({"source": source, "target": target, "entries": copied})
    else:
        say(f"{copied} entries: {source} -> {target}")
    return 0


def _copy(source_url: str, target_url: str, bar: Progress) -> tuple[str, str, int]:
    from askaudio.engines.copy import copy
    from askaudio.engines.open import open_store

    with open_store(source_url) as source, open_store(target_url, "w", source.identity) as target:
        return source.url, target.url, copy(source, target, bar)


def _export(source_url: str, target: str, bar: Progress) -> tuple[str, str, int]:
    from askaudio.engines.open import open_store
    from askaudio.index.portable import write_dataset, write_parquet

    with open_store(source_url) as source:
        if target.endswith(PARQUET):
            return source.url, target, write_parquet(source, Path(target).expanduser(), bar)
        return source.url, target, write_dataset(source, Path(target.removeprefix(DATASET)).expanduser(), bar)


def _import(source: str, target_url: str, bar: Progress) -> tuple[str, str, int]:
    from askaudio.engines.copy import fill
    from askaudio.engines.open import open_store
    from askaudio.index.portable import read_parquet

    identity, total, entries = read_parquet(Path(source).expanduser())
    with open_store(target_url, "w", identity) as target:
        return source, target.url, fill(target, entries, total, bar)
