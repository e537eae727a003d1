"""Train recipes with and without ASK over several seeds, score them on the test split, and write one table.

A call that was killed is repeated with the same words: finished trainings are not repeated, an unfinished one resumes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from askaudio.cli.output import emit_json, progress_bar, say, warn

HELP = "train recipes with and without ASK, score and compare them"

EXAMPLES = """examples:
  askaudio table audiocaps:/data/AudioCaps --recipes audiocaps_htsat_roberta --seeds 3 --out results/
  askaudio table clotho:/data/clotho --recipes clotho_htsat_roberta clotho_ced_sonar --out results/ train.device=cuda
  askaudio table audiocaps:/data/AudioCaps --recipes audiocaps_ced_sonar --out results/ \\
      --test "audiocaps:/data/AudioCaps?list=mei_test.csv"
  askaudio table my_captions.csv --recipes my_recipe.yaml --seeds 5 --out results/ train.epochs=10

What a recipe needs: askaudio train --list
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLES
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign] # key=value before and after --out
    parser.add_argument("data", help="what to train on: audiocaps:ROOT, clotho:ROOT, a manifest, a folder ...")
    parser.add_argument("--recipes", nargs="+", required=True, metavar="RECIPE", help="shipped recipes or .yaml files")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="keys to set in every recipe")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each system (default: 3)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of runs, reports and tables")
    parser.add_argument(
        "--test", default="", metavar="SPEC", help="what to score on (default: the data, its test split)"
    )


def run(args: argparse.Namespace) -> int:
    """Train, score, compare, print the table."""
    from askaudio.core.errors import ConfigError

    if args.seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {args.seeds}")
    # recipes and key=value may follow each other without an option between them
    keys = [word for word in args.recipes if "=" in word and not Path(word).exists()]
    recipes = [word for word in args.recipes if word not in keys]
    from askaudio.pipeline.table import run_table

    with progress_bar("table") as progress:
        table = run_table(
            args.data,
            recipes,
            args.out,
            seeds=args.seeds,
            test=args.test,
            overrides=[*keys, *args.overrides],
            progress=progress,
            on_system=warn,
        )
    if args.json:
        emit_json(table.to_json())
        return 0
    say(table.text())
    say(f"written: {args.out / 'table.md'}, {args.out / 'table.tex'}, {args.out / 'table.json'}")
    return 0
