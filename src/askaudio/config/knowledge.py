"""One recipe key, ``knowledge``, -> the objective: the plain loss, ASK, a part of it, or a null model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from askaudio.config.schema import KnowledgeRecipe, LossRecipe
from askaudio.data.dataset import PairDataset
from askaudio.knowledge.base import KnowledgeBase
from askaudio.knowledge.coarse import CoarseGrainedInjection
from askaudio.knowledge.fine import FineGrainedInjection
from askaudio.knowledge.queue import MomentumEncoder, QueueMemory
from askaudio.knowledge.refinement import NeverRefine, RefineEveryEpochs
from askaudio.knowledge.reliability import estimate_reliability
from askaudio.losses.ntxent import NTXent
from askaudio.losses.sigmoid import SigmoidLoss
from askaudio.losses.transport import TransportLoss
from askaudio.losses.triplet import Triplet
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.objective import ASK
from askaudio.training.retrieval import entry_encoder

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Objective:
    """The loss of a run, and what must be carried along for it."""

    ask: ASK
    momentum: MomentumEncoder | None = None


def build_objective(
    knowledge: KnowledgeRecipe, loss: LossRecipe, model: DualEncoder, pairs: PairDataset, seed: int = 0
) -> Objective:
    """Make the objective of a run.

    Args:
        knowledge: Which kind, and its settings.
        loss: The loss of the batch.
        model: Encodes the base, now and at every refresh.
        pairs: The training pairs; a base holds all of them.
        seed: Of prototypes and random bases.
    """
    batch = build_loss(loss)
    if knowledge.kind == "none":
        return Objective(ASK(None, batch))
    if knowledge.kind in ("xbm", "queue"):
        queue = QueueMemory(knowledge.queue_size, model.embed_dim)
        momentum = MomentumEncoder(model, knowledge.momentum) if knowledge.kind == "queue" else None
        return Objective(ASK(None, batch, queue=queue), momentum)
    encode = entry_encoder(model, pairs)
    base = KnowledgeBase.encoded(pairs.identities[pairs.entry_clips].tolist(), encode)
    if knowledge.kind == "random":
        base = KnowledgeBase.random(base, seed)
    static = knowledge.kind in ("static", "random")
    ask = ASK(
        base,
        batch,
        encode=encode,
        fine=FineGrainedInjection(knowledge.neighbors),
        coarse=CoarseGrainedInjection(knowledge.prototypes, seed=seed),
        fine_weight=0.0 if knowledge.kind == "coarse" else knowledge.fine_weight,
        coarse_weight=0.0 if knowledge.kind == "fine" else knowledge.coarse_weight,
        reliability=_reliability(knowledge, pairs),
        refine=NeverRefine() if static else RefineEveryEpochs(knowledge.refresh_epochs),
        inject="blend" if knowledge.kind == "blend" else "contrast",
    )
    return Objective(ask)


def build_loss(loss: LossRecipe) -> nn.Module:
    """The loss of the batch; all are called in the same way."""
    if loss.kind == "sigmoid":
        return SigmoidLoss(loss.temperature, learn=loss.learn_temperature)
    if loss.kind == "triplet":
        return Triplet(loss.margin)
    if loss.kind == "transport":
        return TransportLoss()
    return NTXent(loss.temperature, loss.learn_temperature)


def _reliability(knowledge: KnowledgeRecipe, pairs: PairDataset) -> Tensor | None:
    """(N,) how far each pair is to be trusted, from features that no training has touched; None trusts all."""
    if knowledge.reliability == "none":
        return None
    codes = torch.from_numpy(pairs.identities[pairs.entry_clips])
    estimate = estimate_reliability(_raw_audio(pairs), torch.from_numpy(pairs.entry_texts()), codes)
    return estimate.gate(0.5 if knowledge.reliability == "cut" else None)


def _raw_audio(pairs: PairDataset) -> Tensor:
    """(N, A) untrained audio features: a frozen tower's, or mean and spread over time of each log-mel band."""
    rows = []
    for windows in pairs.audio:
        x = torch.from_numpy(windows).float()
        if x.ndim == 3:  # (W, F, T)
            x = torch.cat([x.mean(2), x.std(2)], dim=1)  # (W, 2F)
        rows.append(x.mean(0))
    raw = torch.stack(rows)
    raw = (raw - raw.mean(0)) / raw.std(0).clamp(min=1e-3)
    return raw[torch.from_numpy(pairs.entry_clips)]
