"""One training run of the benchmark: a plain PyTorch loop that takes ASK as any user's loop would.

Everything a row of the tables can change is a field of ``Setup``. A run returns, for each test query, whether and at
which rank its clip was found, so that intervals can be taken over clips and over seeds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.ask.objective import ASK
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling, CandidateSource, CandidateTurns
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.queue import MomentumEncoder, QueueMemory
from askaudio.knowledge.locality import agreement, measure_locality, whole_gradient
from askaudio.knowledge.refinement.drift import Drift
from askaudio.knowledge.refinement.policies import (
    NeverRefine,
    RefineEveryEpochs,
    RefineEverySteps,
    RefinementPolicy,
    RefineOnDrift,
)
from askaudio.losses.ntxent import NTXent
from askaudio.losses.soft_targets import SoftTargets, target_rows
from askaudio.losses.text_similarity import TextSimilarityLoss

METERED = (0.1, 0.25, 0.5, 1, 2, 3, 4, 7, 10)  # after so many epochs locality is measured


@dataclass(frozen=True)
class Setup:
    """One row of a table.

    Attributes:
        batch: B.
        epochs, lr, dropout, temperature, weight_decay, hidden, dim: The usual.
        tower: "frozen" (embeddings of the pretrained tower under a head) or "cnn" (log-mel, trained from scratch).
        memory: "none", "xbm" or "momentum" (2,048 pairs).
        fine, coarse: Weights of the knowledge parts; both 0 is plain NT-Xent.
        neighbors, mass: K and their share of the target.
        candidates: Entries drawn at each step instead of the whole base; 0 takes the whole.
        refresh: Epochs between refreshes of the base, also parts of one.
        early: In the first epoch refresh also after so many steps, and at each doubling; 0: not.
        every: Each step reads every n-th row of the base; 0: all of it.
        refresh_drift: Refresh when the base has drifted so far instead (0: by epochs).
        static: Never refresh.
        random_base: Replace the base by random vectors.
        external: Add the external scenes to the base.
        inject: "contrast" or "blend".
        batch_weight: Weight of the plain loss of the batch.
        labels: "own", or soft labels in the place of NT-Xent: "text_similarity", "offline" (a finished plain model's).
        noise, share: Kind and share of wrong captions, all five of a clip together; see ``errors.py``.
        reliability: "posterior" estimates which pairs are right; ``cut`` makes the posterior 0 or 1.
        meter: Measure the gradient's locality during training.
    """

    batch: int = 24
    epochs: int = 10
    lr: float = 1e-3
    dropout: float = 0.2
    temperature: float = 0.07
    weight_decay: float = 0.01
    hidden: int = 512
    dim: int = 256
    tower: str = "frozen"
    memory: str = "none"
    fine: float = 0.0
    coarse: float = 0.0
    neighbors: int = 0
    mass: float = 0.1
    candidates: int = 0
    fine_temperature: float | None = None
    neighbor_beta: float = 1.0
    prototypes: int = 256
    refresh: float = 1
    early: int = 0
    refresh_drift: float = 0.0
    every: int = 0
    static: bool = False
    write_through: bool = False
    random_base: bool = False
    reliability: str = "none"
    cut: float | None = None
    external: bool = False
    inject: str = "contrast"
    batch_weight: float = 1.0
    labels: str = "own"
    meter: bool = False
    noise: str = "none"
    share: float = 0.0


@dataclass
class Data:
    """Tensors of the benchmark on the training device."""

    audio: Tensor  # (N, 384) or (N, 64, 125)
    text: Tensor  # (N, 5, 384)
    sentences: Tensor  # (N, 5, 384) the same as the sentence encoder gave them
    val: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    external: tuple[Tensor, Tensor] | None = None


class Head(nn.Module):
    def __init__(self, inputs: int, hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.net(x), dim=-1)


class Tower(nn.Module):
    """Small trainable tower on (B, 64, 125) log-mel, with its head."""

    def __init__(self, hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        widths = (64, 128, 192, 256)
        layers: list[nn.Module] = []
        for before, after in zip((64, *widths), widths, strict=False):
            layers += [nn.Conv1d(before, after, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        self.conv = nn.Sequential(*layers)
        self.head = Head(2 * widths[-1], hidden, dim, dropout)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv(mel)  # (B, C, 8)
        return self.head(torch.cat([x.mean(2), x.amax(2)], 1))


class Watch:
    """Notes when the base was refreshed, what that took and how far it had drifted, and the locality."""

    def __init__(self, setup: Setup, steps_an_epoch: int, measure: Callable[[], list[float]]) -> None:
        self.drift: list[float] = []
        self.refreshed_at: list[int] = []
        self.refresh_s = 0.0
        self.locality: list[list[float]] = []
        self._steps_an_epoch, self._measure = steps_an_epoch, measure
        self._metered = {max(1, round(part * steps_an_epoch)): part for part in METERED} if setup.meter else {}

    def ended(self, step: int, tell: Callable[[], Drift | None], whole_epoch: bool) -> None:
        """Tell the objective that a step or an epoch is over."""
        metered = step in self._metered and whole_epoch == (step % self._steps_an_epoch == 0)
        if metered:
            self.locality.append([self._metered[step], *self._measure()])
        begin = time.perf_counter()
        moved = tell()
        if moved is not None:
            self.refresh_s += time.perf_counter() - begin
            self.drift.append(moved.mean)
            self.refreshed_at.append(step)
        if metered:
            self.locality[-1] += self.locality[-1][3:5] if moved is None else self._measure()[2:]


@dataclass
class Result:
    rank_t2a: np.ndarray  # (5 N_test,) rank of the right clip, 1 is best
    rank_a2t: np.ndarray  # (N_test,) rank of the best of the five captions
    val: list[float]  # t2a mAP@10 of the validation scenes after each epoch
    best_epoch: int
    steps_per_s: float
    watch: Watch
    towers: nn.ModuleList


@torch.no_grad()
def ranks(towers: nn.ModuleList, part: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Ranks in both directions; equal scores count against the system."""
    towers.eval()
    audio, text = _in_pieces(towers[0], part[0]), _in_pieces(towers[1], part[1].flatten(0, 1))
    towers.train()
    n, k = part[1].shape[:2]
    scores = text @ audio.T  # (5N, N)
    own = torch.arange(n).repeat_interleave(k)
    right = scores[torch.arange(n * k), own]
    t2a = (scores >= right[:, None]).sum(1)
    a2t_scores = scores.T  # (N, 5N)
    best = a2t_scores.reshape(n, n, k)[torch.arange(n), torch.arange(n)].max(1).values
    a2t = (a2t_scores >= best[:, None]).sum(1)
    return t2a.numpy(), a2t.numpy()


def _in_pieces(tower: nn.Module, x: Tensor, piece: int = 2048) -> Tensor:
    return torch.cat([tower(x[i : i + piece].float()) for i in range(0, len(x), piece)])


def map10(rank: np.ndarray) -> float:
    return float(np.where(rank <= 10, 1.0 / rank, 0.0).mean())


def build_towers(setup: Setup, data: Data) -> nn.ModuleList:
    text = Head(data.text.shape[-1], setup.hidden, setup.dim, setup.dropout)
    if setup.tower == "cnn":
        return nn.ModuleList([Tower(setup.hidden, setup.dim, setup.dropout), text])
    return nn.ModuleList([Head(data.audio.shape[-1], setup.hidden, setup.dim, setup.dropout), text])


def train(setup: Setup, data: Data, seed: int, reliability: Tensor | None = None) -> Result:
    """Train once and return the ranks of the test queries at the epoch that was best on validation."""
    torch.manual_seed(seed)
    towers = build_towers(setup, data)
    n, n_captions = data.text.shape[:2]
    steps_an_epoch = n // setup.batch
    total = setup.epochs * steps_an_epoch
    warm = min(200, total // 10)
    optimizer = torch.optim.AdamW(towers.parameters(), lr=setup.lr, weight_decay=setup.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, s / total)))
    )
    drawing = torch.Generator().manual_seed(seed + 1)

    @torch.no_grad()
    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Fresh embeddings of entries: the clip and one of its captions, drawn anew."""
        towers.eval()
        captions = torch.randint(n_captions, (len(rows),), generator=drawing)
        out = towers[0](all_audio[rows].float()), towers[1](all_text[rows, captions])
        towers.train()
        return out

    all_audio, all_text = data.audio, data.text
    if setup.external and data.external is not None:
        all_audio, all_text = torch.cat([data.audio, data.external[0]]), torch.cat([data.text, data.external[1]])
    teacher = None
    if setup.labels == "offline":
        teacher = embed_all(train(replace(setup, labels="own", meter=False), data, seed + 1000).towers, data)
    ask = build_objective(setup, encode, len(all_audio), steps_an_epoch, reliability)
    momentum = MomentumEncoder(towers, 0.99) if setup.memory == "momentum" else None
    watch = Watch(setup, steps_an_epoch, lambda: meter(ask, towers, data, setup))
    best, state, curve, spent = -1.0, None, [], 0.0
    order = torch.Generator().manual_seed(seed + 2)
    ids_all = torch.arange(n)
    for epoch in range(setup.epochs):
        permutation = torch.randperm(n, generator=order)
        begin = time.perf_counter()
        for step in range(steps_an_epoch):
            ids = permutation[step * setup.batch : (step + 1) * setup.batch]
            captions = torch.randint(n_captions, (len(ids),), generator=order)
            x, y = data.audio[ids].float(), data.text[ids, captions]
            keys = None if momentum is None else (momentum.copy[0](x), momentum.copy[1](y))
            if isinstance(ask.loss, TextSimilarityLoss):
                ask.loss.see(data.sentences[ids, captions])
            if teacher is not None:
                similarity = teacher[0][ids] @ teacher[1][ids, captions].T
                ask.loss.see(target_rows(similarity, setup.temperature))
            out = ask(towers[0](x), towers[1](y), ids_all[ids], keys=keys)
            optimizer.zero_grad()
            out.total.backward()
            optimizer.step()
            schedule.step()
            if momentum is not None:
                momentum.follow(towers)
            spent += time.perf_counter() - begin
            watch.ended(epoch * steps_an_epoch + step + 1, ask.step_ended, whole_epoch=False)
            begin = time.perf_counter()
        watch.ended((epoch + 1) * steps_an_epoch, ask.epoch_ended, whole_epoch=True)
        curve.append(map10(ranks(towers, data.val)[0]))
        if curve[-1] > best:
            best, state = curve[-1], {k: v.clone() for k, v in towers.state_dict().items()}
    towers.load_state_dict(state or {})
    t2a, a2t = ranks(towers, data.test)
    return Result(t2a, a2t, curve, int(np.argmax(curve)), total / spent, watch, towers)


@torch.no_grad()
def embed_all(towers: nn.ModuleList, data: Data) -> tuple[Tensor, Tensor]:
    """Training scenes (N, D) and their captions (N, 5, D)."""
    towers.eval()
    audio, text = _in_pieces(towers[0], data.audio), _in_pieces(towers[1], data.text.flatten(0, 1))
    towers.train()
    return audio, text.view(*data.text.shape[:2], -1)


def meter(ask: ASK, towers: nn.ModuleList, data: Data, setup: Setup, batches: int = 8) -> list[float]:
    """Reach, effective contributors, fidelity, and agreement with the gradient of all pairs as one batch."""
    audio, text = embed_all(towers, data)
    text = text[:, 0]
    everything = torch.arange(len(audio))
    whole = whole_gradient(audio, text, setup.temperature)
    random = torch.Generator().manual_seed(0)
    found = []
    for _ in range(batches):
        rows = torch.randperm(len(audio), generator=random)[: setup.batch]
        step = lambda a, t, rows=rows: ask(a, t, rows).total  # noqa: E731
        one = measure_locality(
            step, audio[rows], text[rows], rows, audio, text, setup.temperature,
            None if ask.base is None else everything,
        )  # fmt: skip
        of_whole = agreement(step, audio[rows], text[rows], whole[torch.cat([rows, rows + len(audio)])])
        found.append([one.reach, one.contributors, one.fidelity, of_whole])
    return np.mean(found, axis=0).round(4).tolist()


def _policy(setup: Setup, steps_an_epoch: int) -> RefinementPolicy:
    if setup.static or setup.random_base:
        return NeverRefine()
    if setup.refresh_drift:
        return RefineOnDrift(setup.refresh_drift, every_steps=max(1, steps_an_epoch // 16))
    if setup.refresh < 1:
        return RefineEverySteps(max(1, round(setup.refresh * steps_an_epoch)))
    return RefineEveryEpochs(int(setup.refresh), setup.early)


def _candidates(setup: Setup) -> CandidateSource | None:
    if setup.every:
        return CandidateTurns(setup.every)
    return CandidateSampling(0, setup.candidates) if setup.candidates else None


def build_objective(setup: Setup, encode, n: int, steps_an_epoch: int, reliability: Tensor | None) -> ASK:
    """The plain loss, or ASK around it."""
    kinds = {"own": NTXent, "text_similarity": TextSimilarityLoss, "offline": SoftTargets}
    loss = kinds[setup.labels](setup.temperature)
    queue = QueueMemory(2048, setup.dim) if setup.memory != "none" else None
    if setup.fine == 0 and setup.coarse == 0 and setup.inject == "contrast" and reliability is None:
        return ASK(None, loss, queue=queue, batch_weight=setup.batch_weight)
    base = KnowledgeBase.encoded(list(range(n)), encode)
    if setup.random_base:
        base = KnowledgeBase.random(base)
    return ASK(
        base,
        loss,
        encode=encode,
        fine=FineGrainedInjection(setup.neighbors, setup.mass, setup.neighbor_beta),
        coarse=CoarseGrainedInjection(setup.prototypes),
        fine_weight=setup.fine,
        coarse_weight=setup.coarse,
        batch_weight=setup.batch_weight,
        reliability=reliability,
        temperature=setup.fine_temperature,
        candidates=_candidates(setup),
        refine=_policy(setup, steps_an_epoch),
        inject=setup.inject,
        queue=queue,
        write_through=setup.write_through,
    )


def standardised(train: np.ndarray, *others: np.ndarray) -> list[Tensor]:
    """Bring features to mean 0 and variance 1 over the training scenes."""
    mean, scale = train.mean(0), 1.0 / (train.std(0) + 1e-3)
    return [torch.from_numpy(((x - mean) * scale).astype(np.float32)) for x in (train, *others)]
