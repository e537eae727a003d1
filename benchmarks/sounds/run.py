"""Measure text-to-audio retrieval on real recordings held out by group: the recipe ``sounds``, three seeds, intervals.

    python benchmarks/sounds/run.py                                 # 20 minutes the first time, 4 afterwards
    python benchmarks/sounds/run.py --seeds 0 1 2 --out /tmp/x.json train.lr=0.0005 knowledge=ask

Data: the sounds of ../shared/data/sounds without urbansound8k, split 70/10/20 by group of recordings. Queries are the
distinct texts of the test groups; every test clip with that text is relevant (R@k: any of them). The validation split
picks the checkpoint; the test split is scored once a seed, after training, with the trainer of ``askaudio train``.

The features of the towers are computed once and cached. Results are written to benchmarks/sounds/results.json; add
experiments to benchmarks/LOG.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from askaudio.cli.output import progress_bar
from askaudio.config.load import load_recipe
from askaudio.config.schema import Recipe
from askaudio.core.files import sha256_file, write_json
from askaudio.evaluation.report import Report
from askaudio.evaluation.significance import bootstrap, interval, unit_rows
from askaudio.pipeline.assemble import assemble, run
from askaudio.pipeline.inputs import Inputs, read_inputs
from askaudio.training.retrieval import score

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared"
METRICS = [f"{d}/{m}" for d in ("t2a", "a2t") for m in ("R@1", "R@5", "R@10", "mAP@10", "MedR")]


def main() -> int:
    """Train and score each seed, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="recipe keys to try out")
    parser.add_argument("--manifest", default=SHARED / "data/sounds/manifest.jsonl")
    parser.add_argument("--tower", default=SHARED / "models/efficientat_mn04/mn04_as.onnx")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validation-only", action="store_true", help="for tuning: the test split stays untouched")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    args = parser.parse_intermixed_args()
    keys = [f"data.manifest={args.manifest}", f"model.audio_weights={args.tower}", *args.overrides]
    recipe = load_recipe("sounds", keys)
    with progress_bar("features", "sounds") as progress:
        inputs = read_inputs(recipe, progress=progress)
    split = "val" if args.validation_only else "test"
    reports, seconds = [], []
    for seed in args.seeds:
        began = time.monotonic()
        reports.append(train_and_score(load_recipe("sounds", [*keys, f"seed={seed}"]), inputs, split))
        seconds.append(round(time.monotonic() - began, 1))
        sys.stdout.write(f"seed {seed} {split}: " + line(reports[-1].values) + f"  ({seconds[-1]} s)\n")
    figures = {metric: over_seeds(reports, metric) for metric in METRICS}
    sys.stdout.write("mean of seeds: " + line({m: f["mean"] for m, f in figures.items()}) + "\n")
    if not args.validation_only:
        write_json(args.out, result(recipe, args, inputs, reports[0], figures, seconds))
    return 0


def train_and_score(recipe: Recipe, inputs: Inputs, split: str) -> Report:
    """One seed: the epoch that is best on validation, scored on a split."""
    with tempfile.TemporaryDirectory() as folder, progress_bar(f"seed {recipe.seed}") as progress:
        fitted = run(recipe, assemble(recipe, inputs), folder, progress=progress)
    return score(fitted.model, inputs.queries(split), name=f"seed {recipe.seed}")


def over_seeds(reports: list[Report], metric: str) -> dict[str, object]:
    """Mean over seeds, with a 95 % interval over queries and seeds."""
    values = [report[metric] for report in reports]
    units = unit_rows(reports[0].directions[metric.split("/")[0]].query_units)
    table = np.stack([report.per_query(metric) for report in reports])  # (seeds, Q)
    over = "both" if len(reports) > 1 else "clips"
    drawn = bootstrap([table], units, over=over, median=metric.endswith("MedR"))
    low, high = interval(drawn[:, 0])
    return {"mean": float(np.mean(values)), "low": low, "high": high, "seeds": values}


def line(values: dict[str, float]) -> str:
    """The text-to-audio figures in one line."""
    return "  ".join(f"{m} {values[f't2a/{m}']:.3f}" for m in ("R@1", "R@5", "R@10", "mAP@10"))


def result(recipe, args, inputs, report, figures, seconds):
    """Everything that a reader needs to judge or repeat the figures."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False)
    clips = {s: len(inputs.manifest.split(s)) for s in ("train", "val", "test")}
    return {
        "command": "python benchmarks/sounds/run.py " + " ".join(args.overrides),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}",
        "data": {"manifest_sha256": sha256_file(args.manifest), "clips": clips},
        "pool": report.counts_line(),
        "protocol": report.protocol_line(),
        "chance_R@10": 10 / clips["test"],
        "seeds": args.seeds,
        "seconds_per_seed": seconds,
        "recipe": asdict(recipe) | {"data": asdict(recipe.data) | {"manifest": "../shared/data/sounds/manifest.jsonl"},
                                    "model": asdict(recipe.model) | {"audio_weights": Path(args.tower).name}},
        "figures": figures,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
