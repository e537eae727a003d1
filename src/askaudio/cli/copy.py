"""Copy a collection to another store, vectors and all: nothing is encoded again.

What only the target has is removed. A copy that was stopped is continued by running it again.

Examples:
  askaudio copy ~/.askaudio/collections/default s3://bucket/sounds
  askaudio copy ~/.askaudio/collections/default postgresql://me@db.example/sounds
  askaudio copy postgresql://me@db.example/sounds ~/collections/from-db
"""

from __future__ import annotations

import argparse

from askaudio.cli.output import emit_json, progress_bar, say

HELP = "copy a collection to another store"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio copy``."""
    parser.add_argument("source", help="folder or address of the collection to copy")
    parser.add_argument("target", help="folder or address to copy it to; made when it is not there")


def run(args: argparse.Namespace) -> int:
    """Copy."""
    from askaudio.index.check import copy
    from askaudio.index.open import open_store

    with open_store(args.source) as source, open_store(args.target, "w", source.identity) as target:
        with progress_bar("copying", "entries") as bar:
            copied = copy(source, target, bar)
        if args.json:
            emit_json({"source": source.url, "target": target.url, "entries": copied})
        else:
            say(f"{copied} entries: {source.url} -> {target.url}")
    return 0
