"""Compare systems that were scored on the same clips and captions: paired differences, intervals, p, Holm's p.

A system is a folder written by askaudio evaluate --out, a run file, or the seeds of one system: NAME=one,two,three.
The first system is the baseline. Clips are resampled, not captions; with several seeds of every system, seeds too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.evaluate.data import add_data_arguments, read_relevance
from askaudio.cli.output import emit_json, progress_bar, say

if TYPE_CHECKING:
    from askaudio.evaluation.report import Report

HELP = "compare runs with paired intervals"

EXAMPLES = """examples:
  askaudio compare results/plain results/ask
  askaudio compare results/plain results/ask --metric a2t/mAP@10 --format markdown
  askaudio compare plain=runs/p0,runs/p1,runs/p2 ask=runs/a0,runs/a1,runs/a2 --figure seeds.png
  askaudio compare theirs.trec ours.jsonl --data clotho:/data/clotho --metric t2a/MedR
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio compare``."""
    parser.epilog = EXAMPLES
    # fmt: off
    add = parser.add_argument
    add("systems", nargs="+", metavar="SYSTEM", help="report folder, run file, or NAME=one,two,... for seeds")
    add("--metric", default="t2a/R@1", help="direction/name (default: %(default)s); also a2t/mAP@10, t2a/MedR ...")
    add("--over", choices=("clips", "seeds", "both"),
        help="what is resampled (default: both where every system has several seeds, else clips)")
    add("--resamples", type=int, default=10_000, metavar="N", help="default: %(default)s")
    add("--seed", type=int, default=0, help="seed of the resampling (default: 0)")
    add("--all-pairs", action="store_true", help="every pair, not only every system against the first")
    add("--force-pools", action="store_true", help="compare the common queries although the pools differ")
    add("--format", default="table", choices=("table", "json", "markdown", "latex"), help="default: table")
    add("--figure", type=Path, metavar="F", help="draw systems and differences: .png, .svg or .pdf")
    add_data_arguments(parser)
    # fmt: on


def run(args: argparse.Namespace) -> int:
    """Compare and print; returns 0."""
    from askaudio.core.errors import ConfigError
    from askaudio.evaluation.compare import compare
    from askaudio.evaluation.metrics import parse_metric
    from askaudio.evaluation.report import split_metric

    direction, name = split_metric(args.metric)
    if name not in ("MedR", "MeanR"):
        parse_metric(name)
    systems: dict[str, list[Report]] = {}
    for given in args.systems:
        label, places = _taken_apart(given)
        if label in systems:
            raise ConfigError(f"two systems are called {label!r}; name them: first={places[0]} second=OTHER")
        systems[label] = [_report(args, place, direction) for place in places]
    found = compare(
        systems,
        args.metric,
        over=args.over,
        resamples=args.resamples,
        all_pairs=args.all_pairs,
        force_pools=args.force_pools,
        seed=args.seed,
    )
    if args.figure:
        from askaudio.evaluation.figures import comparison_figure

        comparison_figure(found, args.figure)
    if args.json or args.format == "json":
        emit_json(found.to_json())
    else:
        say(found.table(args.format))
    return 0


def _taken_apart(system: str) -> tuple[str, list[str]]:
    """``NAME=a,b`` -> name and places; a plain place is named by its folder or file."""
    name, equals, rest = system.partition("=")
    if equals and not Path(system).exists():
        return name, [place for place in rest.split(",") if place]
    path = Path(system)
    return (path.resolve().name if path.is_dir() else path.stem), [system]


def _report(args: argparse.Namespace, place: str, direction: str) -> Report:
    from askaudio.core.errors import ConfigError, DataError
    from askaudio.evaluation.report import Report
    from askaudio.pipeline.evaluate import evaluate_run_file

    path = Path(place)
    if not path.exists():
        raise DataError(f"{place} does not exist; write a report with: askaudio evaluate ... --out {place}")
    if path.is_dir():
        return Report.load(path)
    if not (args.data or args.qrels):
        raise ConfigError(f"{place} is a run file: say what is right with --data SPEC or --qrels FILE")
    judged, data = read_relevance(args, run_file=place)
    with progress_bar("ranking", "queries") as progress:
        return evaluate_run_file(place, judged, data, direction=direction, progress=progress).report
