"""One training of the benchmark with the product's own trainer, and what is kept of it: ranks and near-miss scores."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from setups import Setup
from torch import Tensor

from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import Drawn
from askaudio.models.dual_encoder import DualEncoder
from askaudio.pipeline.assemble import Parts, assemble, run
from askaudio.training.retrieval import RetrievalSet, embed_clips, embed_texts

from scenes import Scenes  # isort: skip
from scene_runs import ranks  # isort: skip - found by scenes

DRAWS = 4  # near misses of each kind and test scene


@dataclass(frozen=True)
class Result:
    """What a training led to.

    Attributes:
        rank_t2a: (5 N,) rank of each caption's scene among N test scenes; 1 is best.
        rank_a2t: (N,) rank of the best of each scene's five captions.
        right: (P,) whether the true text of each test pair scores above its near miss.
        val: T2A mAP@10 of the validation scenes after each epoch.
        best_epoch: The epoch whose weights were tested, from 0.
        steps_per_s: Steps a second, refreshes included.
    """

    rank_t2a: np.ndarray
    rank_a2t: np.ndarray
    right: np.ndarray
    val: list[float]
    best_epoch: int
    steps_per_s: float


def test_pairs(scenes: Scenes, part: str = "test") -> list[tuple[int, str, str, str]]:
    """Row of the scene, kind, true text and near miss of every pair that a row is tested on."""
    return [pair for draw in range(DRAWS) for pair in scenes.pairs(part, 1000 + draw)]


def train(setup: Setup, scenes: Scenes, seed: int, part: str = "test") -> Result:
    """Train a row with one seed and score it with the epoch that is best on validation.

    Args:
        setup: The row.
        scenes: The stored scenes.
        seed: Of the training.
        part: Split that is scored: "test", or "val" for tuning.
    """
    recipe = setup.recipe(seed)
    inputs = scenes.inputs(recipe, setup.errors, setup.share)
    parts = assemble(recipe, inputs)
    if setup.without:
        parts.objective.ask.candidates = without(parts, setup.without)
    with tempfile.TemporaryDirectory() as folder:
        fitted = run(recipe, parts, Path(folder) / "run")
    queries = inputs.queries(part)
    t2a, a2t = ranks(fitted.model, queries)
    right = near_miss_scores(fitted.model, queries, test_pairs(scenes, part), scenes)
    val = [epoch["validation"]["t2a/mAP@10"] for epoch in fitted.history]
    seconds = sum(epoch["seconds"] for epoch in fitted.history)
    steps = len(fitted.history) * (len(parts.train) // recipe.train.batch_size)
    return Result(t2a, a2t, right, val, fitted.best_epoch - 1, steps / seconds)


@torch.no_grad()
def near_miss_scores(
    model: DualEncoder, part: RetrievalSet, pairs: list[tuple[int, str, str, str]], scenes: Scenes
) -> np.ndarray:
    """(P,) whether each true text scores above its near miss; a tie counts as half."""
    audio = embed_clips(model, part.audio)[[row for row, *_ in pairs]]
    true, wrong = (embed_texts(model, scenes.texts([pair[k] for pair in pairs])) for k in (2, 3))
    margin = (audio * true).sum(1) - (audio * wrong).sum(1)
    return np.where(margin > 0, 1.0, np.where(margin == 0, 0.5, 0.0))


class Without:
    """A source of candidates: every entry of the base but those left out for the pairs of the batch.

    It shows which entries carry the gradient that separates two orders.

    Args:
        left_out: (N, N) entries that the pair of each row does not meet.
    """

    def __init__(self, left_out: Tensor) -> None:
        self.left_out = left_out

    def prepare(self, base: KnowledgeBase) -> None:
        """Nothing depends on the snapshot."""

    def moved(self, base: KnowledgeBase, rows: Tensor) -> None:
        """Nothing depends on the snapshot."""

    def restored(self, base: KnowledgeBase) -> None:
        """Nothing depends on the snapshot."""

    def candidates(self, targets: Tensor, audio: Tensor, text: Tensor) -> tuple[Drawn, Drawn]:
        """Targets, then all that no pair of the batch leaves out, with log weight 0."""
        kept = ~self.left_out[targets].any(0)
        kept[targets] = False
        rows = torch.cat([targets, torch.nonzero(kept)[:, 0]])
        drawn = rows, torch.zeros(len(rows))
        return drawn, drawn


def without(parts: Parts, which: str) -> Without:
    """Candidates for an ablation.

    Args:
        parts: Their training clips are the entries of the base.
        which: "same": entries with the same set of sounds, in whatever order and with whatever attributes; "others": as
            many entries for each pair, drawn at random.
    """
    clips = parts.train.clips
    sets = [frozenset(str(clip.label).split("; ")) for clip in clips]
    code = {key: k for k, key in enumerate(dict.fromkeys(sets))}
    labels = torch.tensor([code[key] for key in sets])
    same = labels[:, None] == labels[None, :]
    same.fill_diagonal_(False)
    if which == "same":
        return Without(same)
    chosen, random = torch.zeros_like(same), torch.Generator().manual_seed(0)
    for row, n in enumerate(same.sum(1).tolist()):
        free = torch.randperm(len(clips), generator=random)[: n + 1]
        chosen[row, free[free != row][:n]] = True
    return Without(chosen)
