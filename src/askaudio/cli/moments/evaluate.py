"""Score a run file of moments against true moments: R1@IoU, mAP, mIoU, pointing accuracy, with 95 % intervals.

The run has one query a line: {"qid": 7, "pred_relevant_windows": [[12.1, 15.0, 0.83], [3.0, 4.0, 0.2]]}, each moment
with start, end and score. The truth is CASTELLA's JSON or the JSON lines of the DCASE task; docs/formats.md has both.
Queries that the run lacks count as 0. Intervals resample recordings.

Examples:
  askaudio moments evaluate run.jsonl --truth castella/en/test.json
  askaudio moments evaluate run.jsonl --truth moments.jsonl --metrics R1@0.3,R1@0.5,mAP
"""

from __future__ import annotations

import argparse

from askaudio.cli.output import emit_json, say

HELP = "score a run file: R1@IoU, mAP, pointing accuracy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio moments evaluate``."""
    parser.add_argument("run", metavar="RUN.jsonl", help="moments of any system, one query a line")
    parser.add_argument("--truth", required=True, metavar="FILE", help="CASTELLA .json or JSON lines")
    parser.add_argument("--metrics", metavar="M,M", help="for example R1@0.5,R1@0.7,mAP@0.5,mAP,mIoU,pointing")


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    from askaudio.moments.metrics import DEFAULT_METRICS
    from askaudio.moments.report import score_run
    from askaudio.moments.run_files import read_moment_run
    from askaudio.moments.truth import read_truth

    queries = read_truth(args.truth)
    metrics = args.metrics.split(",") if args.metrics else DEFAULT_METRICS
    report = score_run(queries, read_moment_run(args.run, queries), metrics)
    if args.json:
        emit_json(report.to_json())
    else:
        say(report.table())
    return 0
