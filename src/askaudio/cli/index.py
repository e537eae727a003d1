"""Make the sounds of folders searchable, or bring a collection up to date with them.

What is unchanged is skipped, renamed and deleted files are followed, broken ones are listed at the end. A run that was
stopped, however roughly, is continued by running it again.

Examples:
  askaudio index ~/sounds                                  into the default collection, with the default model
  askaudio index ~/sounds --model efficientat              with better ears (askaudio models)
  askaudio index ~/sounds /mnt/library --workers 8         several folders, eight processes
  askaudio index ~/sounds --model runs/ask/encoder --collection ~/collections/mine
  askaudio index ~/sounds --watch                          keep up with the folder until Ctrl-C
  askaudio index ~/sounds --collection postgresql://me@db/sounds
  askaudio index /nfs/sounds --collection s3://bucket/sounds --ray head:6379     on every machine of a Ray cluster
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError, IndexStoreError

if TYPE_CHECKING:
    from askaudio.encoders.encoder import Encoder
    from askaudio.index.entries import Identity
    from askaudio.index.store import VectorStore
    from askaudio.ingest.report import Report

HELP = "add the sounds of folders to a collection"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio index``."""
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="folders (or files) to index")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")
    parser.add_argument(
        "--model", help="name (askaudio models), encoder or run folder; default: what made the collection, else small"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that encode (default: all)")
    parser.add_argument("--ray", metavar="ADDRESS", help="encode on a Ray cluster: its address, auto, or local")
    parser.add_argument("--rehash", action="store_true", help="trust no time stamps: compare the content of every file")
    parser.add_argument("--watch", action="store_true", help="go on and keep up with the folders until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Index; 0 when every file could be read, 1 when some are broken."""
    from askaudio.engines.open import default_collection, open_store
    from askaudio.ingest.walk import absolute_roots
    from askaudio.ingest.watch import look, wait_for_change

    if args.workers < 1:
        raise ConfigError(f"--workers is {args.workers}; expected 1 or more")
    absolute_roots(args.folders)  # a folder that is not there is told before a model is loaded
    collection = args.collection or default_collection()
    spec, encoder, identity = choose_model(args.model, collection)
    broken_file = broken_list(collection)
    with open_store(collection, "w", identity) as store:
        seen: dict[str, str] | None = None
        told: Report | None = None
        while True:
            report = _ingest(args, store, encoder, spec, broken_file)
            if told is None or report.found_something or report.broken.keys() != told.broken.keys():
                _tell(args, report, broken_file, store)
                told = report
            if not args.watch:
                return 1 if report.broken else 0
            # what changed during the first run shows at its first look
            seen = look(args.folders) if seen is None else wait_for_change(args.folders, seen)


def choose_model(model: str | None, collection: str) -> tuple[str, Encoder, Identity]:
    """The model to use: the one named, else the one that made the collection, else the default.

    Returns:
        Its spec (absolute when it is a folder), the encoder, and the identity that a new collection remembers.
    """
    from askaudio.encoders.load import DEFAULT, load, settled
    from askaudio.engines.open import open_store
    from askaudio.index.entries import Identity

    spec = model
    if spec is None:
        try:
            with open_store(collection) as store:
                spec = store.identity.model
        except IndexStoreError as error:
            if "make one" not in str(error):
                raise
            spec = DEFAULT
    spec = settled(spec)
    encoder = load(spec)
    return spec, encoder, Identity(encoder.fingerprint, encoder.embed_dim, spec)


def broken_list(collection: str) -> Path:
    """Where the broken files are listed: in the collection when it is a folder, else in the working folder."""
    folder = Path(collection.removeprefix("lance:").removeprefix("exact:")).expanduser()
    return Path("askaudio-broken.jsonl") if "://" in collection else folder / "broken.jsonl"


def _ingest(args: argparse.Namespace, store: VectorStore, encoder: Encoder, spec: str, broken_file: Path) -> Report:
    from askaudio.ingest.report import read_broken, write_broken
    from askaudio.ingest.update import ingest

    with progress_bar("indexing", "files") as bar:
        report = ingest(
            args.folders,
            store,
            encoder,
            spec=spec,
            workers=args.workers,
            cluster=args.ray or "",
            captions=manifest_captions(args.folders),
            known_broken={} if args.rehash else read_broken(broken_file),
            rehash=args.rehash,
            progress=bar,
        )
    if report.broken or broken_file.exists():
        write_broken(report, broken_file)
    return report


def manifest_captions(folders: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Captions from a manifest.jsonl that lies in one of the folders: absolute path -> texts."""
    from askaudio.data.manifest import read_manifest

    found: dict[str, Sequence[str]] = {}
    for folder in folders:
        manifest = Path(os.path.abspath(Path(folder).expanduser())) / "manifest.jsonl"
        if manifest.is_file():
            found.update((os.path.abspath(c.path), [t.text for t in c.captions]) for c in read_manifest(manifest))
    return found


def _tell(args: argparse.Namespace, report: Report, broken_file: Path, store: VectorStore) -> None:
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
        say(f"{count_of(report.kept, 'file')} gone with their whole folder, kept (is a disk not mounted?)")
    if report.broken:
        say(f"{count_of(len(report.broken), 'file')} could not be read, listed with reasons in {broken_file}:")
        for path in sorted(report.broken)[:10]:
            say(f"  {path}: {report.broken[path].reason}")
