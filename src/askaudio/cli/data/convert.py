"""Write any captioned set as a manifest, with new splits and without leaks.

Leak filters (--without NAME=DATASET) remove every clip whose recording, or file name, is in a part of another set:
  no_clotho_test, no_clotho_val_test, no_clotho                    =clotho:ROOT
  no_audiocaps_test, no_audiocaps_val_test, no_audiocaps           =audiocaps:ROOT
  any=DATASET          every clip of any set
  ids=FILE             the clips listed in a file (.txt, .csv, or a JSON blacklist as WavCaps has them)
A knowledge base is training data: filter it too.

Examples:
  askaudio data convert wds:/data/shards manifest.jsonl
  askaudio data convert ~/sounds ~/sounds/manifest.jsonl --split-by-group
  askaudio data convert ~/sounds ~/sounds/manifest.jsonl --split-by-group --by-sound      one sound, one split
  askaudio data convert wavcaps.csv train.jsonl --without no_clotho_test=clotho:/data/clotho --without ids=black.json
  askaudio data convert my.csv train.jsonl --without any=test.csv --by-sound
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.checks.leaks import Filtered
    from askaudio.core.types import Progress
    from askaudio.data.manifest import Manifest

HELP = "write a set as a manifest, without leaks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio data convert``."""
    parser.add_argument("dataset", help="what to read, as `askaudio data --help` names it")
    parser.add_argument("out", help="manifest to write (.jsonl)")
    parser.add_argument("--without", action="append", default=[], metavar="NAME=DATASET", help="leak filter, see above")
    parser.add_argument("--by-sound", action="store_true", help="filters and splits compare the audio too (decodes it)")
    parser.add_argument("--split-by-group", action="store_true", help="70/10/20 train, val, test; no recording cut")
    parser.add_argument("--seed", type=int, default=0, help="of --split-by-group")
    parser.add_argument("--captions-only", action="store_true", help="do not look for audio")


def run(args: argparse.Namespace) -> int:
    """Read, filter, split, write."""
    from askaudio.data.manifest import write_manifest
    from askaudio.data.readers.open import open_dataset

    if not args.out.endswith(".jsonl"):
        raise ConfigError(f"the manifest to write must end in .jsonl, got {args.out!r}")
    filters = [_filter(text) for text in args.without]
    with progress_bar("reading", "clips") as progress:
        manifest = open_dataset(args.dataset, need_audio=not args.captions_only, progress=progress)
        dropped = {}
        for name, place in filters:
            left = _without(manifest, name, place, args.by_sound, progress)
            manifest, dropped[f"{name}={place}"] = left.manifest, left.dropped
        if args.split_by_group:
            manifest = _deal_out(manifest, args, progress)
    write_manifest(manifest, args.out)
    if args.json:
        emit_json({"manifest": args.out, "pool": manifest.summary.to_json(), "dropped": dropped})
        return 0
    for name, reasons in dropped.items():
        counts = ", ".join(f"{n:,} by {reason}" for reason, n in reasons.items())
        say(f"{name}: {sum(reasons.values()):,} clips taken out ({counts})")
    say(f"{args.out}: {manifest.summary}")
    return 0


def _deal_out(manifest: Manifest, args: argparse.Namespace, progress: Progress) -> Manifest:
    from askaudio.checks.sound_groups import split_by_sound
    from askaudio.data.cache import default_root
    from askaudio.data.manifest import split_by_group

    if not args.by_sound:
        return split_by_group(manifest, seed=args.seed)
    return split_by_sound(manifest, seed=args.seed, cache=default_root(), progress=progress)


def _filter(text: str) -> tuple[str, str]:
    from askaudio.checks.leaks import LEAK_FILTERS

    name, equals, place = text.partition("=")
    known = (*LEAK_FILTERS, "any", "ids")
    if not equals or not place or name not in known:
        raise ConfigError(f"--without {text!r}: expected NAME=DATASET with a name of {', '.join(known)}")
    return name, place


def _without(manifest: Manifest, name: str, place: str, by_sound: bool, progress: Progress) -> Filtered:
    from askaudio.checks.leaks import reference_of, without_listed, without_recordings_of
    from askaudio.data.cache import default_root
    from askaudio.data.readers.open import read_dataset

    if name == "ids":
        return without_listed(manifest, place)
    other = read_dataset(place, need_audio=by_sound, progress=progress)
    reference = other if name == "any" else reference_of(name, other)
    return without_recordings_of(manifest, reference, by_sound=by_sound, cache=default_root(), progress=progress)
