"""One training of the benchmark: the product's own trainer on stored scenes, and the rank of every test query.

What the trainer does not record is added around it by ``Watch``: the drift at each refresh, what refreshes cost, and
the locality of the gradient. It replaces the two methods of the objective that the trainer calls after a step and
after an epoch, so nothing in the product knows of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from setups import PLAIN, Setup
from torch import Tensor

from askaudio.ask.objective import ASK
from askaudio.config.schema import Recipe
from askaudio.knowledge.locality import agreement, measure_locality, whole_gradient
from askaudio.knowledge.refinement.drift import Drift
from askaudio.pipeline.assemble import Parts, assemble, run
from askaudio.training.retrieval import embed_clips, embed_texts

from scenes import Scenes  # isort: skip
from scene_runs import ranks  # isort: skip - found by scenes

METERED = (0.1, 0.25, 0.5, 1, 2, 3, 4, 7, 10)  # epochs after which locality is measured
BATCHES = 8  # of one measurement of locality
TEACHER_SEED = 1000  # added to a row's seed for the teacher of its soft targets


@dataclass
class Watch:
    """Records the refreshes of an objective and, if asked for, the locality of its gradient.

    Attributes:
        measure: Returns reach, effective contributors, fidelity and agreement; None: locality is not measured.
        steps_an_epoch: Steps of an epoch.
        drift: Mean drift at each refresh.
        refreshed_at: Step of each refresh.
        refresh_s: Seconds of all refreshes.
        locality: Epoch, the four values, and fidelity and agreement again if the base was refreshed then.
    """

    measure: Callable[[], list[float]] | None
    steps_an_epoch: int
    drift: list[float] = field(default_factory=list)
    refreshed_at: list[int] = field(default_factory=list)
    refresh_s: float = 0.0
    locality: list[list[float]] = field(default_factory=list)
    step: int = 0

    def attach(self, ask: ASK) -> None:
        """Put this between the trainer and the objective."""
        after_step, after_epoch = ask.step_ended, ask.epoch_ended

        def step_ended() -> Drift | None:
            self.step += 1
            return self._ended(after_step, epoch_end=False)

        def epoch_ended() -> Drift | None:
            return self._ended(after_epoch, epoch_end=True)

        ask.step_ended, ask.epoch_ended = step_ended, epoch_ended  # type: ignore[method-assign]

    def _ended(self, tell: Callable[[], Drift | None], epoch_end: bool) -> Drift | None:
        metered = {max(1, round(part * self.steps_an_epoch)): part for part in METERED} if self.measure else {}
        now = self.step in metered and epoch_end == (self.step % self.steps_an_epoch == 0)
        before = [metered[self.step], *self.measure()] if now and self.measure else []
        began = time.perf_counter()
        moved = tell()
        if moved is not None:
            self.refresh_s += time.perf_counter() - began
            self.drift.append(moved.mean)
            self.refreshed_at.append(self.step)
        if now and self.measure:
            self.locality.append(before + (before[3:5] if moved is None else self.measure()[2:]))
        return moved


@dataclass(frozen=True)
class Result:
    """What a training led to.

    Attributes:
        rank_t2a: (5 N,) rank of each caption's scene among N test scenes; 1 is best.
        rank_a2t: (N,) rank of the best of each scene's five captions.
        val: T2A mAP@10 of the validation scenes after each epoch.
        best_epoch: The epoch whose weights were tested, from 0.
        steps_per_s: Steps a second, refreshes included.
        watch: What happened besides.
    """

    rank_t2a: np.ndarray
    rank_a2t: np.ndarray
    val: list[float]
    best_epoch: int
    steps_per_s: float
    watch: Watch


def train(setup: Setup, scenes: Scenes, seed: int, locality: bool = False) -> Result:
    """Train a row with one seed and rank the test queries with the epoch that is best on validation."""
    with tempfile.TemporaryDirectory() as folder:
        if "knowledge=offline" in setup.keys:
            _fit(PLAIN.recipe(seed + TEACHER_SEED), setup, scenes, Path(folder) / "teacher")
            setup = setup + f"knowledge.teacher={folder}/teacher"
        return _fit(setup.recipe(seed), setup, scenes, Path(folder) / "run", locality)


def _fit(recipe: Recipe, setup: Setup, scenes: Scenes, folder: Path, locality: bool = False) -> Result:
    inputs = scenes.inputs(recipe, setup.errors, setup.share)
    parts = assemble(recipe, inputs)
    steps = len(parts.train) // recipe.train.batch_size
    watch = Watch((lambda: meter(parts, recipe)) if locality else None, steps)
    watch.attach(parts.objective.ask)
    fitted = run(recipe, parts, folder)
    t2a, a2t = ranks(fitted.model, inputs.queries("test"))
    val = [epoch["validation"]["t2a/mAP@10"] for epoch in fitted.history]
    seconds = sum(epoch["seconds"] for epoch in fitted.history)
    return Result(t2a, a2t, val, fitted.best_epoch - 1, watch.step / seconds, watch)


@torch.no_grad()
def meter(parts: Parts, recipe: Recipe) -> list[float]:
    """Reach, effective contributors, fidelity, and agreement with the gradient of all pairs as one batch."""
    model, ask, temperature = parts.model, parts.objective.ask, recipe.loss.temperature
    model.eval()
    first = np.cumsum([0, *(len(clip.captions) for clip in parts.train.clips[:-1])])
    audio, text = embed_clips(model, parts.train.audio), embed_texts(model, parts.train.entry_texts()[first])
    model.train()
    everything = torch.arange(len(audio))
    whole = whole_gradient(audio, text, temperature)
    random = torch.Generator().manual_seed(0)
    found = []
    for _ in range(BATCHES):
        rows = torch.randperm(len(audio), generator=random)[: recipe.train.batch_size]

        def step(a: Tensor, t: Tensor, rows: Tensor = rows) -> Tensor:
            return ask(a, t, rows).total

        in_base = None if ask.base is None else everything
        one = measure_locality(step, audio[rows], text[rows], rows, audio, text, temperature, candidates=in_base)
        of_whole = agreement(step, audio[rows], text[rows], whole[torch.cat([rows, rows + len(audio)])])
        found.append([one.reach, one.contributors, one.fidelity, of_whole])
    return np.mean(found, axis=0).round(4).tolist()
