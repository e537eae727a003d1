"""The refresh of an objective's base: as a whole when the policy says so, or in parts after every step.

A refresh encodes the rows again and re-estimates reliabilities, neighbors and prototypes with them. Cost: one encoding
of N pairs, and the cost of the policy and of the two grains.

Several processes each encode only their rows. What they decide ("is the drift too large?") they decide on numbers that
are summed over all of them, so that all decide the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from askaudio.ask.state import KnowledgeState
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.processes import all_reduce_sum, world_size
from askaudio.knowledge.base.knowledge_base import Encode, KnowledgeBase, encode_rows
from askaudio.knowledge.base.shards import Shard
from askaudio.knowledge.injection.candidates import CandidateSource
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.refinement.drift import Drift, measure_drift, row_drift
from askaudio.knowledge.refinement.policies import Clock, RefinementPolicy
from askaudio.knowledge.refinement.rolling import Round
from askaudio.knowledge.reliability.estimate import ReliabilityEstimate

Reliability = Tensor | ReliabilityEstimate | Callable[[KnowledgeBase], Tensor] | None
SAMPLE = 256  # rows encoded when a policy measures the drift


class Refresher:
    """Counts steps and epochs, and renews a ``KnowledgeState`` when its policy says so.

    Args:
        state: What is renewed.
        policy: Decides when.
        encode: Rows of the base -> fresh embeddings; None for a static base.
        fine: Finds neighbors.
        coarse: Finds prototypes; None where they are not used.
        reliability: (N,) in [0, 1], an estimate, or a callable that estimates it again at every refresh.
        candidates: Gets the rows of each new base; None where every step reads the whole base.

    Attributes:
        last_drift: Drift that the last refresh found; None before the first.
    """

    def __init__(
        self,
        state: KnowledgeState,
        policy: RefinementPolicy,
        *,
        encode: Encode | None,
        fine: FineGrainedInjection,
        coarse: CoarseGrainedInjection | None,
        reliability: Reliability,
        candidates: CandidateSource | None,
    ) -> None:
        self.state, self.policy = state, policy
        self.fine, self.coarse, self.candidates = fine, coarse, candidates
        self.last_drift: Drift | None = None
        self._encode, self._reliability = encode, reliability

    def start(self, base: KnowledgeBase) -> None:
        """Install the first base; its rows are taken as they are.

        Raises:
            ConfigError: The policy cannot refresh a base of this kind.
        """
        policy, state = self.policy, self.state
        if base.mapped and policy.needs_encode and not policy.in_parts:
            raise ConfigError("a base in files is refreshed in place: pass ASK(..., refine=RefineInParts(steps))")
        if policy.in_parts and callable(self._reliability):
            raise ConfigError(
                "a reliability that is estimated at every refresh needs whole refreshes: pass refine=RefineEverySteps"
            )
        self._install(base, first=True)
        if policy.in_parts:
            divided = base.shard is not None
            state.round = Round(policy.in_parts, state.prototypes_audio, state.prototypes_text, divided)

    def step_ended(self) -> Drift | None:
        """Count a step; returns the drift where this completed a refresh."""
        self.state.step += 1
        self.state.write_pending()
        return self._refresh_if_due(epoch_end=False) if self.state.round is None else self._refresh_part()

    def epoch_ended(self) -> Drift | None:
        """Count an epoch; returns the drift where this refreshed the base."""
        self.state.epoch += 1
        return self._refresh_if_due(epoch_end=True)

    def refresh(self) -> Drift:
        """Re-encode the base now, measure how far it had drifted, and renew everything derived from it."""
        stored = self.state.base
        if stored is None:
            raise ConfigError("there is no knowledge base to refresh: pass ASK(base=...)")
        fresh = stored.refreshed(*self._encode_all(stored))
        self.last_drift = measure_drift(stored, fresh)
        self._install(fresh)
        return self.last_drift

    def sample_drift(self) -> float:
        """Mean 1 - cosine between an evenly spaced sample of stored rows and their fresh embeddings."""
        base = self.state.base
        if base is None:
            return 0.0
        rows = torch.arange(0, len(base), max(1, len(base) // SAMPLE))[:SAMPLE]
        rows, here = _held(base, rows)
        sums = torch.zeros(4, dtype=torch.float64)  # text: drift, rows; audio: drift, rows
        if len(rows):
            audio, text = (x.to(base.text.device) for x in encode_rows(self._encoder(), rows))
            paired = base.index.has_audio[rows]
            of_text, of_audio = row_drift(base.text[here], text), row_drift(base.audio[here], audio)[paired]
            sums = torch.tensor([of_text.double().sum(), len(of_text), of_audio.double().sum(), len(of_audio)])
        if base.shard is not None:
            sums = all_reduce_sum(sums)
        text_drift = float(sums[0] / sums[1].clamp_min(1))
        return (text_drift + float(sums[2] / sums[3])) / 2 if sums[3] else text_drift

    def _refresh_if_due(self, epoch_end: bool) -> Drift | None:
        state = self.state
        if state.base is None:
            return None
        clock = Clock(
            state.step, state.epoch, state.refreshed_step, state.refreshed_epoch, epoch_end, self.sample_drift
        )  # fmt: skip
        return self.refresh() if self.policy.due(clock) else None

    def _refresh_part(self) -> Drift | None:
        """Encode this step's part of the base again; at the end of a round, prototypes and neighbors follow."""
        state, base, current = self.state, self.state.base, self.state.round
        assert base is not None and current is not None
        rows, here = _held(base, base.index.part((state.step - 1) % current.parts, current.parts))
        if len(rows):
            current.take(base, rows, here, *encode_rows(self._encoder(), rows), self._reliabilities(base))
            if self.candidates is not None:
                self.candidates.moved(base, here)
        if state.step % current.parts:
            return None
        self.last_drift = current.finish()
        state.prototypes_audio, state.prototypes_text = current.prototypes()
        if self.fine.k:
            state.neighbor_rows, state.neighbor_weights = self.fine.build(base, self._reliabilities(base))
        state.refreshed(state.version + 1)
        return self.last_drift

    def _install(self, base: KnowledgeBase, first: bool = False) -> None:
        """Derive everything from new rows and put it into the state."""
        reliability = self._reliabilities(base)
        neighbors = self.fine.build(base, reliability)
        if not first:
            base = self.policy.transform(base, *neighbors)
        prototypes = base.text[:0], base.text[:0]
        if self.coarse is not None:
            warm = None if first else (self.state.prototypes_audio, self.state.prototypes_text)
            prototypes = self.coarse.fit(base, reliability, warm)
        self.state.install(base, reliability=reliability, neighbors=neighbors, prototypes=prototypes)
        if self.candidates is not None:
            self.candidates.prepare(base)

    def _encode_all(self, stored: KnowledgeBase) -> tuple[Tensor, Tensor]:
        """Fresh rows of the base, or of this process's part of it; each process encodes only its part in any case."""
        divided = stored.shard is None and 1 < world_size() <= len(stored)
        part = Shard.of(len(stored)) if divided else stored.shard or Shard(0, len(stored), len(stored))
        found = encode_rows(self._encoder(), torch.arange(part.start, part.stop))
        audio, text = (x.to(stored.text.device) for x in found)
        return (part.whole(audio), part.whole(text)) if divided else (audio, text)

    def _reliabilities(self, base: KnowledgeBase) -> Tensor | None:
        given = self._reliability
        if given is None:
            return None
        if isinstance(given, ReliabilityEstimate):
            given = given.posterior
        reliability = (given if isinstance(given, Tensor) else given(base.whole())).detach()
        if reliability.shape != (len(base),):
            raise DataError(f"reliability must be one number per entry ({len(base)},), got {tuple(reliability.shape)}")
        return reliability.to(base.text.device)

    def _encoder(self) -> Encode:
        if self._encode is None:
            raise ConfigError(
                f"{type(self.policy).__name__} re-encodes the base, but ASK has no encoder: pass "
                "ASK(..., encode=lambda rows: (audio, text)), or refine=NeverRefine() for a static base"
            )
        return self._encode


def _held(base: KnowledgeBase, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Those of some rows (n,) of a base that this process holds, and their places in its tables."""
    if base.shard is None:
        return rows, rows
    rows = rows[base.shard.holds(rows)]
    return rows, rows - base.shard.start
