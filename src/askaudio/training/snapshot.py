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
from askaudio.core.processes import sum_over, world
from askaudio.knowledge.base import Encode, EntryIndex, KnowledgeBase, encode_rows
from askaudio.knowledge.candidates import CandidateSource
from askaudio.knowledge.coarse import CoarseGrainedInjection
from askaudio.knowledge.drift import Drift, measure_drift, row_drift
from askaudio.knowledge.fine import FineGrainedInjection
from askaudio.knowledge.refinement import Clock, NeverRefine, RefineEveryEpochs, RefineInParts, RefinementPolicy
from askaudio.knowledge.reliability import ReliabilityEstimate
from askaudio.knowledge.rolling import Round
from askaudio.knowledge.shards import Shard
from askaudio.losses.partition import LEFT_OUT
from askaudio.losses.reduce import log_reliability

Reliability = Tensor | ReliabilityEstimate | Callable[[KnowledgeBase], Tensor] | None
ROWS = ("base_audio", "base_text")
DIVIDED = (*ROWS, "neighbor_rows", "neighbor_weights")  # each process has its rows of these
SAMPLE = 256  # rows encoded when a policy asks how far the base has drifted


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

    # ---- time ---------------------------------------------------------------------------------------------------

    def step_ended(self) -> Drift | None:
        """Tell that the optimizer has stepped; returns the drift where this refreshed the base."""
        self.clock[0] += 1
        if self._pending is not None:
            rows, audio, text = self._pending
            if self._shard is not None:
                here = self._shard.holds(rows)
                rows, audio, text = rows[here] - self._shard.start, audio[here], text[here]
            self.base_audio[rows], self.base_text[rows] = audio, text
            self._pending = None
        return self._refresh_if_due(epoch_end=False) if self.round is None else self._refresh_part(self.round)

    def epoch_ended(self) -> Drift | None:
        """Tell that an epoch is over; returns the drift where this refreshed the base."""
        self.clock[1] += 1
        return self._refresh_if_due(epoch_end=True)

    def _refresh_if_due(self, epoch_end: bool) -> Drift | None:
        if self._index is None:
            return None
        step, epoch, last_step, last_epoch, _ = self.clock.tolist()
        clock = Clock(step, epoch, last_step, last_epoch, epoch_end, self.sample_drift)
        return self.refresh() if self.refine.due(clock) else None

    def refresh(self) -> Drift:
        """Re-encode the base now, measure how far it had drifted, and rebuild what hangs on it."""
        stored = self.base
        if stored is None:
            raise ConfigError("there is no knowledge base to refresh: give ASK(base=...)")
        fresh = stored.refreshed(*self._encode_all(stored))
        self.last_drift = measure_drift(stored, fresh)
        self._install(fresh)
        self.clock[2], self.clock[3] = self.clock[0], self.clock[1]
        return self.last_drift

    def _encode_all(self, stored: KnowledgeBase) -> tuple[Tensor, Tensor]:
        """Fresh rows of the base, or of this process's part; each process encodes only its part in any case."""
        divided = stored.shard is None and 1 < world() <= len(stored)
        part = Shard.of(len(stored)) if divided else stored.shard or Shard(0, len(stored), len(stored))
        found = encode_rows(self._encoder_or_refuse(), torch.arange(part.start, part.stop), self.piece)
        audio, text = (x.to(stored.text.device) for x in found)
        return (part.whole(audio), part.whole(text)) if divided else (audio, text)

    def _refresh_part(self, current: Round) -> Drift | None:
        """Encode this step's part of the base again; at the end of a round, what hangs on the base moves too."""
        base = self.base
        assert base is not None
        rows = base.index.part((int(self.clock[0]) - 1) % current.parts, current.parts)
        if base.shard is not None:
            rows = rows[base.shard.holds(rows)]
        if len(rows):
            fresh = encode_rows(self._encoder_or_refuse(), rows, self.piece)
            here = rows if base.shard is None else rows - base.shard.start
            current.take(base, rows, here, *fresh, self._trust(base))
            if self.candidates is not None:
                self.candidates.moved(base, here)
        if int(self.clock[0]) % current.parts:
            return None
        self.last_drift = current.finish()
        self.prototypes_audio, self.prototypes_text = current.prototypes()
        if self.fine.k and self._needs_fine:
            self.neighbor_rows, self.neighbor_weights = self.fine.build(base, self._trust(base))
        self.clock[4] += 1
        self.clock[2], self.clock[3] = self.clock[0], self.clock[1]
        return self.last_drift

    def sample_drift(self, sample: int = SAMPLE) -> float:
        """Mean 1 - cosine between an evenly spaced sample of stored rows and their fresh embeddings."""
        base = self.base
        if base is None:
            return 0.0
        rows = torch.arange(0, len(base), max(1, len(base) // sample))[:sample]
        rows = rows if base.shard is None else rows[base.shard.holds(rows)]
        here = rows if base.shard is None else rows - base.shard.start
        sums = torch.zeros(4, dtype=torch.float64)  # text: drift, rows; audio: drift, rows
        if len(rows):
            found = encode_rows(self._encoder_or_refuse(), rows, self.piece)
            audio, text = (x.to(base.text.device) for x in found)
            paired = base.index.has_audio[rows]
            of_text, of_audio = row_drift(base.text[here], text), row_drift(base.audio[here], audio)[paired]
            sums = torch.tensor([of_text.double().sum(), len(of_text), of_audio.double().sum(), len(of_audio)])
        if base.shard is not None:
            sums = sum_over(sums)
        text_drift = float(sums[0] / sums[1].clamp_min(1))
        return (text_drift + float(sums[2] / sums[3])) / 2 if sums[3] else text_drift

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

    def remember(self, audio: Tensor, text: Tensor, codes: Tensor, rows: Tensor | None) -> None:
        """Keep a step's fresh rows until it has ended; only where it is plain which entry they are."""
        if rows is None and self._index is not None:
            own, valid = (x.to(audio.device) for x in self._index.rows_of(codes))
            single = valid.sum(dim=1) == 1
            rows, audio, text = own[single, 0], audio[single], text[single]
        if rows is None:
            return
        dtype = self.base_text.dtype
        self._pending = (rows, audio.detach().to(dtype), text.detach().to(dtype))
