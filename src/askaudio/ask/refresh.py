"""When the snapshot of an objective is made anew: whole, in parts after every step, or row by row as steps go by.

``step_ended`` and ``epoch_ended`` ask the policy. Several processes each encode their rows; what they decide (is the
drift too large?) they decide on numbers that all of them have.
"""

from __future__ import annotations

import torch
from torch import Tensor

from askaudio.ask.snapshot import Snapshot
from askaudio.core.errors import ConfigError
from askaudio.core.processes import all_reduce_sum, world_size
from askaudio.knowledge.base.knowledge_base import KnowledgeBase, encode_rows
from askaudio.knowledge.base.shards import Shard
from askaudio.knowledge.refinement.drift import Drift, measure_drift, row_drift
from askaudio.knowledge.refinement.policies import Clock
from askaudio.knowledge.refinement.rolling import Round

SAMPLE = 256  # rows encoded when a policy asks how far the base has drifted


class RefreshedSnapshot(Snapshot):
    """A snapshot that keeps time; arguments as there."""

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
        divided = stored.shard is None and 1 < world_size() <= len(stored)
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
            sums = all_reduce_sum(sums)
        text_drift = float(sums[0] / sums[1].clamp_min(1))
        return (text_drift + float(sums[2] / sums[3])) / 2 if sums[3] else text_drift

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
