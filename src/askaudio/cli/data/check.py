"""Check captioned sets before they are used for training or evaluation; exit code 1 if an error is found.

Rows, missing and broken audio, durations, duplicates, empty and odd captions, captions that several clips share,
recordings that are in two splits or in two of the given sets (by id, by file name, with --audio full also by sound),
captions shifted by one row (sets with the same clips), and a checksum over which caption belongs to which clip.

Examples:
  askaudio data check library/manifest.jsonl
  askaudio data check audiocaps:/data/AudioCaps --out audiocaps-check.json
  askaudio data check my.csv clotho:/data/clotho           is anything of Clotho in my training data?
  askaudio data check my.csv clotho:/data/clotho --audio full      the same by sound: decodes every file once
  askaudio data check clotho:/data/clotho --audio none     caption files alone
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say

if TYPE_CHECKING:
    from askaudio.checks.findings import CheckedSet, CheckReport

HELP = "check rows, audio, captions and leaks"
_MARKS = {"error": "ERROR  ", "warning": "warning", "note": "note   "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio data check``."""
    parser.add_argument("datasets", nargs="+", metavar="DATASET", help="sets, as `askaudio data --help` names them")
    parser.add_argument(
        "--audio",
        choices=("none", "headers", "full"),
        default="headers",
        help="none: captions and ids; headers: also length and bytes of each file (default); full: also by sound",
    )
    parser.add_argument("--cache", help="folder for fingerprints; default ~/.cache/askaudio/features")
    parser.add_argument("--out", metavar="FILE", help="also write the report to this JSON file")


def run(args: argparse.Namespace) -> int:
    """Check the sets and print what was found; 1 when there are errors."""
    from askaudio.checks.dataset import check_datasets
    from askaudio.core.files import write_json
    from askaudio.data.cache import default_root
    from askaudio.data.readers.open import read_dataset

    with progress_bar("checking", "files") as progress:
        need_audio = args.audio != "none"
        manifests = [read_dataset(spec, need_audio=need_audio, progress=progress) for spec in args.datasets]
        report = check_datasets(manifests, args.audio, Path(args.cache or default_root()), progress)
    if args.out:
        write_json(args.out, report.to_json())
    if args.json:
        emit_json(report.to_json())
    else:
        _print(report)
    return 1 if report.n_errors else 0


def _print(report: CheckReport) -> None:
    for one in report.sets:
        say(str(one.summary))
        say(f"  captions {one.checksum}{_official(one)}{_audio(one)}")
    say()
    for finding in report.findings:
        say(f"{_MARKS[finding.level]} {finding.where}: {finding.count:,} {finding.text}")
        for example in finding.examples:
            say(f"          {example}")
    n_warnings = sum(finding.level == "warning" for finding in report.findings)
    say(f"{report.n_errors} errors, {n_warnings} warnings")


def _official(one: CheckedSet) -> str:
    return f" ({one.official})" if one.official else ""


def _audio(one: CheckedSet) -> str:
    if one.audio_s is None or one.shortest_s is None or one.longest_s is None:
        return ""
    return f"; audio {one.audio_s / 3600:.2f} h, clips of {one.shortest_s:.1f} to {one.longest_s:.1f} s"
