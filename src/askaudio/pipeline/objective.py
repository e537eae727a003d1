"""From the recipe sections ``knowledge`` and ``loss`` to the objective: the plain loss, ASK, or a null model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from askaudio.ask.objective import ASK
from askaudio.ask.refresher import Reliability
from askaudio.config.schema import KnowledgeRecipe, LossRecipe
from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling, CandidateSource, CandidateTurns
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.queue import MomentumEncoder, QueueMemory
from askaudio.knowledge.refinement.graph import GraphAttention
from askaudio.knowledge.refinement.policies import (
    GraphRefinement,
    NeverRefine,
    RefineEveryEpochs,
    RefineEverySteps,
    RefineInParts,
    RefinementPolicy,
    RefineOnDrift,
)
from askaudio.knowledge.reliability.agreement import AgreementGate, DualSoftmax, RankBiasedOverlap, TransportPlan
from askaudio.knowledge.reliability.estimate import estimate_reliability
from askaudio.losses.ntxent import NTXent
from askaudio.losses.sigmoid import SigmoidLoss
from askaudio.losses.soft_targets import SoftTargets, target_rows
from askaudio.losses.text_similarity import TextSimilarityLoss
from askaudio.losses.transport import TransportLoss
from askaudio.losses.triplet import Triplet
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.collate import Batch
from askaudio.training.dataset import PairDataset
from askaudio.training.retrieval import clip_encoder, entry_encoder, text_vectors, tower_vectors
from askaudio.training.settings import Objective

TILES: dict[str, Callable[[], Callable[[KnowledgeBase], Tensor]]] = {
    "agreement": AgreementGate,
    "overlap": RankBiasedOverlap,
    "transport": TransportPlan,
    "dual_softmax": DualSoftmax,
}  # computed in the learned space at every refresh
HARD_SHARE = 1 / 3  # of the candidates: from the cells of the batch's own entries


def build_objective(
    knowledge: KnowledgeRecipe, loss: LossRecipe, model: DualEncoder, pairs: PairDataset, seed: int = 0
) -> Objective:
    """Make the objective of a run.

    Args:
        knowledge: Kind and settings.
        loss: Loss of the batch.
        model: Encodes the base, now and at every refresh.
        pairs: Training pairs; a base holds all of them.
        seed: Of prototypes, candidates and random bases.

    Raises:
        ConfigError: The teacher of soft targets does not fit the recipe's towers.
    """
    near = loss.near_miss_weight
    if knowledge.kind == "none":
        return Objective(ASK(None, build_loss(loss), near_weight=near))
    if knowledge.kind == "text_similarity":
        ask = ASK(None, TextSimilarityLoss(loss.temperature), near_weight=near)
        return Objective(ask, extra=lambda batch: {"sentences": batch.text})
    if knowledge.kind == "offline":
        targets = _teacher_targets(knowledge.teacher, loss.temperature, pairs, model)
        return Objective(ASK(None, SoftTargets(loss.temperature), near_weight=near), extra=targets)
    if knowledge.kind in ("xbm", "queue"):
        queue = QueueMemory(knowledge.queue_size, model.embed_dim)
        slow = MomentumEncoder(model, knowledge.momentum) if knowledge.kind == "queue" else None
        return Objective(ASK(None, build_loss(loss), queue=queue, near_weight=near), slow)
    slow = MomentumEncoder(model, knowledge.momentum) if knowledge.refresh_by == "momentum" else None
    ask = _with_base(knowledge, loss, model if slow is None else _copy_of(slow), pairs, seed)
    return Objective(ask, slow, caption_entries=knowledge.entries == "caption")


def _copy_of(slow: MomentumEncoder) -> DualEncoder:
    assert isinstance(slow.copy, DualEncoder)
    return slow.copy


def _with_base(
    knowledge: KnowledgeRecipe, loss: LossRecipe, encoder: DualEncoder, pairs: PairDataset, seed: int
) -> ASK:  # fmt: skip
    """ASK and those null models that have a base."""
    if knowledge.entries == "clip":
        encode, ids = clip_encoder(encoder, pairs), pairs.identities
    else:
        encode, ids = entry_encoder(encoder, pairs), pairs.identities[pairs.entry_clips]
    base = KnowledgeBase.encoded(ids.tolist(), encode)
    if knowledge.kind == "random":
        base = KnowledgeBase.random(base, seed)
    return ASK(
        base,
        build_loss(loss),
        encode=encode,
        fine=FineGrainedInjection(knowledge.neighbors),
        coarse=CoarseGrainedInjection(knowledge.prototypes, seed=seed),
        fine_weight=0.0 if knowledge.kind == "coarse" else knowledge.fine_weight,
        coarse_weight=0.0 if knowledge.kind == "fine" else knowledge.coarse_weight,
        reliability=_reliability(knowledge, pairs, encoder),
        refine=build_policy(knowledge, encoder.embed_dim),
        inject="blend" if knowledge.kind == "blend" else "contrast",
        candidates=_candidates(knowledge, seed),
        write_through=knowledge.write_through,
        near_weight=loss.near_miss_weight,
    )


def _candidates(knowledge: KnowledgeRecipe, seed: int) -> CandidateSource | None:
    """Which entries a step reads; None: all."""
    if knowledge.candidates:
        hard = round(HARD_SHARE * knowledge.candidates)
        return CandidateSampling(hard, knowledge.candidates - hard, seed=seed)
    return CandidateTurns(knowledge.read_every) if knowledge.read_every > 1 else None


def build_policy(knowledge: KnowledgeRecipe, embed_dim: int) -> RefinementPolicy:
    """The policy that says when the base is refreshed, and changes its fresh rows."""
    if knowledge.kind in ("static", "random"):
        return NeverRefine()
    when: RefinementPolicy = RefineEveryEpochs(knowledge.refresh_epochs, knowledge.refresh_early)
    if knowledge.refresh == "steps":
        when = RefineEverySteps(knowledge.refresh_steps)
    if knowledge.refresh == "parts":
        when = RefineInParts(knowledge.refresh_steps)
    if knowledge.refresh == "drift":
        when = RefineOnDrift(knowledge.refresh_drift)
    if knowledge.graph == "none":
        return when
    layer = GraphAttention(2 * embed_dim) if knowledge.graph == "attention" else None
    return GraphRefinement(when, knowledge.graph_alpha, knowledge.graph_depth, layer)


def build_loss(loss: LossRecipe) -> nn.Module:
    """The loss of the batch."""
    if loss.kind == "sigmoid":
        return SigmoidLoss(loss.temperature, learn=loss.learn_temperature)
    if loss.kind == "triplet":
        return Triplet(loss.margin)
    if loss.kind == "transport":
        return TransportLoss()
    return NTXent(loss.temperature, loss.learn_temperature)


def _teacher_targets(
    teacher: str, temperature: float, pairs: PairDataset, model: DualEncoder
) -> Callable[[Batch], dict[str, Tensor]]:
    """Soft targets of every batch from a finished model's similarities; its embeddings are computed once."""
    finished = DualEncoder.load(Path(teacher))
    finished.takes_like(model)
    try:
        audio, text = entry_encoder(finished, pairs)(torch.arange(pairs.n_entries))
    except RuntimeError as error:  # a matrix that does not fit the features
        raise ConfigError(
            f"knowledge.teacher: {teacher} does not take this recipe's features ({error}); "
            "train the teacher with the same model section"
        ) from error

    def targets(batch: Batch) -> dict[str, Tensor]:
        similarity = audio[batch.entries] @ text[batch.entries].T  # (B, B)
        return {"targets": target_rows(similarity, temperature).to(batch.text.device)}

    return targets


def _reliability(knowledge: KnowledgeRecipe, pairs: PairDataset, model: DualEncoder) -> Reliability:
    """Reliability of each entry: estimated once from untrained features, or a tile of the learned space."""
    if knowledge.reliability == "none":
        return None
    if knowledge.reliability in TILES:
        return TILES[knowledge.reliability]()
    clips = torch.from_numpy(pairs.entry_clips)
    audio, text = _raw_audio(pairs, model), _raw_text(pairs, model)
    if knowledge.entries == "clip":
        codes = torch.from_numpy(pairs.identities)
        text = torch.zeros(len(audio), text.shape[1]).index_add_(0, clips, text) / clips.bincount()[:, None]
    else:
        codes, audio = torch.from_numpy(pairs.identities)[clips], audio[clips]
    return estimate_reliability(audio, text, codes).gate(0.5 if knowledge.reliability == "cut" else None)


def _raw_text(pairs: PairDataset, model: DualEncoder) -> Tensor:
    """(n_entries, C) text features before training."""
    texts = pairs.entry_texts()
    return torch.from_numpy(texts) if texts.dtype.kind == "f" else text_vectors(model, texts)


def _raw_audio(pairs: PairDataset, model: DualEncoder) -> Tensor:
    """(M, A) audio features before training: a pretrained tower's, or mean and spread over time of log-mel bands."""
    if model.audio_tower is not None and not model.audio_ready and not isinstance(model.audio_tower, CnnAudioTower):
        raw = tower_vectors(model, pairs.audio)
        return (raw - raw.mean(0)) / raw.std(0).clamp(min=1e-3)
    rows = []
    for windows in pairs.audio:
        x = torch.from_numpy(windows).float()
        if x.ndim == 3:  # (W, F, T)
            x = torch.cat([x.mean(2), x.std(2)], dim=1)  # (W, 2F)
        rows.append(x.mean(0))
    raw = torch.stack(rows)
    return (raw - raw.mean(0)) / raw.std(0).clamp(min=1e-3)
