"""The knowledge an objective stands on: a snapshot of the base, what hangs on it, and when it is made anew.

All tensors are buffers, so that ``state_dict`` carries rows, neighbors, prototypes, reliabilities and the clock. With
the rows come their neighbors (fine grain), prototypes (coarse grain) and reliabilities; a refresh encodes the rows
again and re-estimates all of these. Cost of a refresh: one encoding of N pairs, the policies' and grains' own cost.

With several processes each holds its part of the rows and of their neighbors, and encodes that part; ``state_dict`` is
always of the whole, so that a run goes on with any number of processes. (All must ask for it together.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from askaudio.core.errors import ConfigError, DataError
from askaudio.knowledge.base.knowledge_base import Encode, EntryIndex, KnowledgeBase
from askaudio.knowledge.base.shards import Shard
from askaudio.knowledge.injection.candidates import CandidateSource
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.refinement.drift import Drift
from askaudio.knowledge.refinement.policies import NeverRefine, RefineEveryEpochs, RefineInParts, RefinementPolicy
from askaudio.knowledge.refinement.rolling import Round
from askaudio.knowledge.reliability.estimate import ReliabilityEstimate
from askaudio.losses.partition import LEFT_OUT
from askaudio.losses.reduce import log_reliability

Reliability = Tensor | ReliabilityEstimate | Callable[[KnowledgeBase], Tensor] | None
ROWS = ("base_audio", "base_text")
DIVIDED = (*ROWS, "neighbor_rows", "neighbor_weights")  # each process has its rows of these


class Snapshot(nn.Module):
    """A knowledge base in use; ``ASK`` adds the loss to it and describes the arguments.

    Args:
        base: The knowledge; None or empty for none.
        encode: Rows of the base -> fresh embeddings.
        fine: Finds neighbors.
        coarse: Finds prototypes.
        needs_fine: Neighbors are used.
        needs_coarse: Prototypes are used.
        reliability: (N,) in [0, 1], an estimate, or a callable asked at every refresh.
        refine: When the base is refreshed.
        candidates: Prepared with every snapshot.
        write_through: Fresh embeddings of a step overwrite their own entries.
        piece: Rows encoded at once.
        divide: Several processes may divide the base; else each holds all of it, and only the refresh is divided.
    """

    base_audio: Tensor
    base_text: Tensor
    pair_reliability: Tensor
    neighbor_rows: Tensor
    neighbor_weights: Tensor
    prototypes_audio: Tensor
    prototypes_text: Tensor
    clock: Tensor
    _text_bias: Tensor | None
    _audio_bias: Tensor | None

    def __init__(
        self,
        base: KnowledgeBase | None,
        encode: Encode | None,
        fine: FineGrainedInjection | None,
        coarse: CoarseGrainedInjection | None,
        needs_fine: bool,
        needs_coarse: bool,
        reliability: Reliability,
        refine: RefinementPolicy | None,
        candidates: CandidateSource | None,
        write_through: bool,
        piece: int,
        divide: bool = True,
    ) -> None:
        super().__init__()
        self.fine = fine or FineGrainedInjection()
        self.coarse = coarse or CoarseGrainedInjection()
        self._needs_fine, self._needs_coarse = needs_fine, needs_coarse
        self.refine = refine or RefineEveryEpochs(1)
        self.graph_layer = getattr(self.refine, "layer", None)  # a learned layer's weights belong to the state
        self.candidates = candidates
        self.write_through = write_through
        self.piece = piece
        self._encode = encode
        self._reliability = reliability
        self._pending: tuple[Tensor, Tensor, Tensor] | None = None
        self.last_drift: Drift | None = None
        self.register_buffer("clock", torch.zeros(5, dtype=torch.long))  # step, epoch, last refresh's two, version
        self._index: EntryIndex | None = None
        self._shard: Shard | None = None
        self._mapped = False
        self._encoder = ""
        self.round: Round | None = None
        # messages over the graph, and embeddings mixed with neighbors, read all rows at every step
        self._divide = divide and not getattr(self.refine, "needs_neighbors", False)
        if base is not None and len(base):
            if base.mapped and not isinstance(self.refine, (NeverRefine, RefineInParts)):
                raise ConfigError("a base in files is refreshed in place: pass ASK(..., refine=RefineInParts(steps))")
            self._index = base.index
            self._install(base.sharded() if self._divide else base.whole(), cold=True)
            self._begin_rounds()
        self.register_load_state_dict_post_hook(lambda module, _: module._restored())

    def _begin_rounds(self) -> None:
        if not isinstance(self.refine, RefineInParts):
            return
        if callable(self._reliability):
            raise ConfigError("a reliability that is asked at every refresh needs whole ones: take RefineEverySteps")
        divided = self._shard is not None
        self.round = Round(self.refine.parts, self.prototypes_audio, self.prototypes_text, divided)

    @property
    def base(self) -> KnowledgeBase | None:
        """The snapshot in use; None without knowledge."""
        if self._index is None:
            return None
        version = int(self.clock[4])
        return KnowledgeBase(
            self._index, self.base_audio, self.base_text, self._encoder, version, self._shard, self._mapped
        )

    def _install(self, base: KnowledgeBase, cold: bool = False) -> None:
        """Take a snapshot into the buffers, and re-estimate reliabilities, neighbors and prototypes with it."""
        reliability = self._trust(base)
        graph = getattr(self.refine, "needs_neighbors", False)
        fine = self.fine if self._needs_fine or graph else FineGrainedInjection(k=0)
        rows, weights = fine.build(base, reliability)
        if graph and not cold:
            base = self.refine.transform(base, rows, weights)
        warm = None if cold else (self.prototypes_audio, self.prototypes_text)
        proto_audio = proto_text = base.text[:0]
        if self._needs_coarse:
            proto_audio, proto_text = self.coarse.fit(base, reliability, warm)
        audio, text = base.audio, base.text
        if not base.mapped and (self.write_through or isinstance(self.refine, RefineInParts)):
            audio, text = audio.clone(), text.clone()
        trust = torch.ones(0) if reliability is None else reliability.float()
        for name, value in {
            "base_audio": audio, "base_text": text, "pair_reliability": trust,
            "neighbor_rows": rows, "neighbor_weights": weights,
            "prototypes_audio": proto_audio, "prototypes_text": proto_text,
        }.items():  # fmt: skip
            self.register_buffer(name, value.to(self.clock.device), persistent=not base.mapped or name not in ROWS)
        self._encoder, self._shard, self._mapped = base.encoder, base.shard, base.mapped
        self.clock[4] = base.version
        if self.candidates is not None:
            self.candidates.prepare(base)
        self._set_biases()

    def _trust(self, base: KnowledgeBase) -> Tensor | None:
        given = self._reliability
        if given is None:
            return None
        if isinstance(given, ReliabilityEstimate):
            given = given.posterior
        trust = (given if isinstance(given, Tensor) else given(base.whole())).detach()
        if trust.shape != (len(base),):
            raise DataError(f"reliability must be one number an entry ({len(base)},), got {tuple(trust.shape)}")
        return trust.to(base.text.device)

    def _restored(self) -> None:
        self._set_biases()
        if self.candidates is not None and (base := self.base) is not None:
            self.candidates.restored(base)

    def _set_biases(self) -> None:
        """Log-reliabilities as biases of the two tables; None where all are 0, so that a step reads nothing."""
        base = self.base
        if base is None:
            return
        here = slice(None) if base.shard is None else slice(base.shard.start, base.shard.stop)
        trusted = self.pair_reliability.numel() == 0
        log_r = None if trusted else log_reliability(self.pair_reliability[here], torch.float32)
        of_audio = log_r
        if not base.index.all_have_audio:
            has_audio = base.has_audio.to(self.base_text.device)
            start = torch.zeros(len(has_audio), device=has_audio.device) if log_r is None else log_r
            of_audio = torch.where(has_audio, start, LEFT_OUT)
        self.register_buffer("_text_bias", log_r, persistent=False)
        self.register_buffer("_audio_bias", of_audio, persistent=False)

    def trust_of_batch(self, codes: Tensor | None, rows: Tensor | None) -> Tensor | None:
        """Reliability of the batch's pairs (B,): of their rows, or the mean over their clip's entries; unknown: 1."""
        if codes is None or self.pair_reliability.numel() == 0 or self._index is None:
            return None
        if rows is not None:
            return self.pair_reliability[rows]
        own, valid = (x.to(self.pair_reliability.device) for x in self._index.rows_of(codes))
        total = (self.pair_reliability[own] * valid).sum(dim=1)
        return torch.where(valid.any(dim=1), total / valid.sum(dim=1).clamp_min(1), 1.0)

    # ---- state --------------------------------------------------------------------------------------------------

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._shard is not None:
            for name in DIVIDED if not self._mapped else DIVIDED[len(ROWS) :]:
                destination[prefix + name] = self._shard.whole(getattr(self, name))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        if (shard := self._shard) is not None:
            for name in DIVIDED:
                if (whole := state_dict.get(prefix + name)) is not None and len(whole) == shard.total:
                    state_dict[prefix + name] = whole[shard.start : shard.stop]
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _encoder_or_refuse(self) -> Encode:
        if self._encode is None:
            raise ConfigError(
                f"{type(self.refine).__name__} re-encodes the base, but ASK has no encoder: pass "
                "ASK(..., encode=lambda rows: (audio, text)), or refine=NeverRefine() for a static base"
            )
        return self._encode
