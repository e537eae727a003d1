"""Recipes, with and without ASK, over several seeds: trained, scored, compared, and written as one table.

Layout of the output folder::

    runs/SYSTEM-SEED/       a run folder each
    reports/SYSTEM-SEED/    its scores on the test split
    table.md, table.tex, table.json

A call that is repeated continues where the last one was killed: finished trainings are not repeated, an unfinished one
resumes from its state, and reports that exist are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from askaudio.config.load import dump_recipe, load_recipe
from askaudio.config.schema import Recipe
from askaudio.core.errors import ConfigError, ModelError
from askaudio.core.files import read_json, write_json, write_text
from askaudio.core.types import Json, Progress, silent
from askaudio.evaluation.compare import Comparison, compare
from askaudio.evaluation.relevance import By
from askaudio.evaluation.report import Report, show
from askaudio.evaluation.tables import render
from askaudio.models.torch_encoder import TorchEncoder
from askaudio.pipeline.assemble import ENCODER_FOLDER, train
from askaudio.pipeline.evaluate import evaluate_model
from askaudio.training.callbacks import METRICS_FILE
from askaudio.training.processes import launch

METRICS = ("t2a/R@1", "t2a/R@5", "t2a/R@10", "t2a/mAP@10", "a2t/R@1", "a2t/R@10")
WITH = {"": [], " + ASK": ["knowledge=ask"]}  # the only difference between a recipe's two systems
DONE_FILE = "finished.json"  # in a run folder whose training has ended


@dataclass(frozen=True)
class Table:
    """Scores of all systems.

    Attributes:
        comparisons: Metric -> its comparison of each recipe with and without ASK.
        reports: System -> one report a seed.
    """

    comparisons: dict[str, list[Comparison]]
    reports: dict[str, list[Report]]

    def text(self, style: str = "table") -> str:
        """Means with intervals, then differences, as ``table``, ``markdown`` or ``latex``."""
        scores: dict[str, list[str]] = {name: [name, str(len(found))] for name, found in self.reports.items()}
        differences: dict[str, list[str]] = {}
        warnings: list[str] = []
        for metric, comparisons in self.comparisons.items():
            for comparison in comparisons:
                for s in comparison.systems:
                    scores[s.name].append(f"{show(s.value, metric)} [{show(s.low, metric)}, {show(s.high, metric)}]")
                for d in comparison.differences:
                    row = differences.setdefault(f"{d.second} - {d.first}", [f"{d.second} - {d.first}"])
                    row.append(f"{_signed(d.value, metric)} [{_signed(d.low, metric)}, {_signed(d.high, metric)}]")
                warnings += [w for w in comparison.warnings if w not in warnings]
        first = next(iter(self.comparisons.values()))[0]
        notes = [first.counts_line, f"paired bootstrap, {first.resamples:,} resamples; intervals of 95 %"]
        notes += [f"warning: {w}" for w in warnings]
        above = render(["system", "seeds", *self.comparisons], list(scores.values()), style)
        below = render(["difference", *self.comparisons], list(differences.values()), style, notes)
        return f"{above}\n\n{below}"

    def to_json(self) -> Json:
        """All numbers; shares, not percent."""
        return {metric: [c.to_json() for c in found] for metric, found in self.comparisons.items()}


def run_table(
    data: str,
    recipes: Sequence[str],
    out: Path | str,
    *,
    seeds: int = 3,
    test: str = "",
    overrides: Sequence[str] = (),
    progress: Progress = silent,
    on_system: Callable[[str], None] | None = None,
) -> Table:
    """Train, score and compare.

    Args:
        data: Spec of the data set to train on, for example ``audiocaps:/data/AudioCaps``.
        recipes: Names or files of recipes.
        out: Folder of runs, reports and tables.
        seeds: Trainings of each system, with the seeds 0, 1, ...
        test: Spec of the data set to score on; default ``data``. Its test split counts.
        overrides: ``key=value`` for every recipe.
        progress: Called in every stage.
        on_system: Called with the name of a system and its seed before it is trained or read.

    Raises:
        ConfigError: Two recipes of one name, a fault of a recipe, or runs in ``out`` that were started with other keys.
    """
    out = Path(out)
    systems: dict[str, list[Report]] = {}
    pairs: list[list[str]] = []
    loaded = [_recipes(name, [f"data.manifest={data}", *overrides]) for name in recipes]  # all faults before any work
    names = [next(iter(found.values())).name for found in loaded]
    if len(set(names)) < len(names):
        raise ConfigError(f"recipes must have different names, got {', '.join(names)}; set name: in the file")
    for found, name in zip(loaded, names, strict=True):
        pairs.append([f"{name}{suffix}" for suffix in found])
        for suffix, recipe in found.items():
            system = f"{name}{suffix}"
            systems[system] = []
            for seed in range(seeds):
                if on_system is not None:
                    on_system(f"{system}, seed {seed}")
                systems[system].append(_one(replace(recipe, seed=seed), out, system, test or data, progress))
    comparisons = {
        metric: [compare({name: systems[name] for name in pair}, metric) for pair in pairs] for metric in METRICS
    }
    table = Table(comparisons, systems)
    write_text(out / "table.md", table.text("markdown") + "\n")
    write_text(out / "table.tex", table.text("latex") + "\n")
    write_json(out / "table.json", table.to_json())
    return table


def _recipes(name: str, overrides: Sequence[str]) -> dict[str, Recipe]:
    """The recipe without and with ASK."""
    return {suffix: load_recipe(name, ["knowledge=none", *overrides, *keys]) for suffix, keys in WITH.items()}


def _one(recipe: Recipe, out: Path, system: str, test: str, progress: Progress) -> Report:
    """One system and seed: trained or found, scored or read."""
    place = f"{system.replace(' + ', '-').replace(' ', '-')}-{recipe.seed}"
    run, reports = out / "runs" / place, out / "reports" / place
    if not (run / DONE_FILE).is_file():
        if recipe.train.devices > 1:
            _train_in_processes(recipe, run, out / "recipes" / f"{place}.yaml")
        else:
            train(recipe, run, resume=True, command=f"askaudio table: {system}", progress=progress)
        write_json(run / DONE_FILE, {"best_epoch": read_json(run / METRICS_FILE)["best_epoch"]})
    about = reports / "about.json"
    key = {"test": test, "weights": read_json(run / METRICS_FILE)["best_epoch"]}
    if not (about.is_file() and read_json(about) == key):
        encoder: Any = run if (run / ENCODER_FOLDER).is_dir() else TorchEncoder(run, _device(recipe))
        by: By = "text" if recipe.data.same_text else "caption"
        evaluation = evaluate_model(encoder, test, relevance=by, name=system, progress=progress)
        evaluation.report.save(reports)
        write_json(about, key)
    return Report.load(reports)


def _train_in_processes(recipe: Recipe, run: Path, file: Path) -> None:
    """Train in ``train.devices`` processes of this machine."""
    write_text(file, dump_recipe(recipe))
    code = launch(recipe.train.devices, ["train", str(file), "--out", str(run), "--resume"])
    if code:
        raise ModelError(f"the training in {run} ended with exit code {code}; its messages are above")


def _device(recipe: Recipe) -> str:
    return "cuda" if recipe.train.device != "cpu" and torch.cuda.is_available() else "cpu"


def _signed(value: float, metric: str) -> str:
    return f"{'+' if value >= 0 else '-'}{show(abs(value), metric)}"
