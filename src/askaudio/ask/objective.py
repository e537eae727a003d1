"""ASK as a plug-in for any training loop: the one place where knowledge and losses meet.

Five lines in a loop that has ``audio`` and ``text`` embeddings (B, D) of length 1::

    base = KnowledgeBase.encoded(ids, encode)                  # encode(rows) -> (audio (n, D), text (n, D))
    ask = ASK(base, loss=NTXent(0.05), encode=encode)
    out = ask(audio, text, batch_ids); out.total.backward()    # out.parts: batch, fine, coarse
    ask.step_ended()
    ask.epoch_ended()                                          # the base is refreshed here by default

Nothing is assumed about towers, trainer or loss. With an empty base, or with all weights 0, the result is the plain
loss to the bit. ``state_dict`` carries the snapshot, its neighbors, prototypes and reliabilities, the queue and the
clock, so that a reloaded run goes on bit-equal. With several processes all call all of this with the gathered batch
(``losses.gather``); each then holds, reads and refreshes its part of the base.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from askaudio.ask.refresh import RefreshedSnapshot
from askaudio.ask.snapshot import Reliability
from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import Encode, KnowledgeBase
from askaudio.knowledge.injection.blend import blend
from askaudio.knowledge.injection.candidates import CandidateSource
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection, Targets
from askaudio.knowledge.injection.queue import QueueMemory, stable_codes
from askaudio.knowledge.refinement.policies import RefinementPolicy
from askaudio.losses.ntxent import NTXent
from askaudio.losses.partition import LEFT_OUT
from askaudio.losses.positives import same_clip
from askaudio.losses.reduce import log_reliability, weighted_mean
from askaudio.losses.soft_targets import small_table_contrast, table_contrast

MODES = ("contrast", "blend")


@dataclass(frozen=True)
class ASKOutput:
    """A loss with named parts.

    Attributes:
        total: Scalar to call ``backward`` on.
        parts: Scalars before weighting: ``batch``, and what is in use of ``fine``, ``coarse``, ``queue``.
    """

    total: Tensor
    parts: dict[str, Tensor]


class ASK(RefreshedSnapshot):
    """A base loss plus knowledge from outside the batch.

    Args:
        base: The knowledge; None or empty for none.
        loss: Base loss on the batch, called ``loss(audio, text, positives, weights, reliability)``; default NT-Xent.
        encode: Rows of the base -> fresh embeddings; needed by every policy but ``NeverRefine``.
        fine: Fine grain (neighbors and targets).
        coarse: Coarse grain (prototypes).
        fine_weight: Weight of the contrast with single entries; 0 leaves it out.
        coarse_weight: Weight of the contrast with prototypes; 0 leaves it out.
        batch_weight: Weight of the base loss.
        temperature: Of the knowledge parts; None takes ``loss.temperature``.
        reliability: How far each entry's pair is to be trusted, (N,) in [0, 1]: a tensor, an estimate, or a
            callable that is asked again at every refresh. None trusts all.
        refine: When the base is refreshed.
        inject: "contrast" (knowledge in the loss) or "blend" (knowledge in the embeddings).
        candidates: For a base too large to contrast whole: which entries to take at each step.
        queue: A memory of past batches, contrasted like the base (XBM, momentum queue).
        queue_weight: Weight of that part.
        write_through: Fresh embeddings of a step overwrite their own entries.
        start_epoch: Knowledge enters from this epoch on; before it the loss is the plain one.
        piece: Rows encoded at once in a refresh.

    Raises:
        ConfigError: An argument has a wrong value, or a policy needs ``encode`` and there is none.
    """

    def __init__(
        self,
        base: KnowledgeBase | None = None,
        loss: nn.Module | None = None,
        *,
        encode: Encode | None = None,
        fine: FineGrainedInjection | None = None,
        coarse: CoarseGrainedInjection | None = None,
        fine_weight: float = 1.0,
        coarse_weight: float = 0.5,
        batch_weight: float = 1.0,
        temperature: float | None = None,
        reliability: Reliability = None,
        refine: RefinementPolicy | None = None,
        inject: str = "contrast",
        candidates: CandidateSource | None = None,
        queue: QueueMemory | None = None,
        queue_weight: float = 1.0,
        write_through: bool = False,
        start_epoch: int = 0,
        piece: int = 4096,
    ) -> None:
        if inject not in MODES:
            raise ConfigError(f"inject must be one of {', '.join(MODES)} (augment is for inference), got {inject!r}")
        if min(fine_weight, coarse_weight, batch_weight, queue_weight) < 0:
            raise ConfigError("weights of the parts must not be negative")
        needs_fine = fine_weight > 0 or inject == "blend"
        super().__init__(
            base, encode, fine, coarse, needs_fine, coarse_weight > 0, reliability, refine, candidates, write_through,
            piece, divide=inject == "contrast",
        )  # fmt: skip
        self.loss = NTXent() if loss is None else loss
        self.fine_weight, self.coarse_weight, self.batch_weight = fine_weight, coarse_weight, batch_weight
        self._temperature = temperature
        self.inject = inject
        self.queue, self.queue_weight = queue, queue_weight
        self.start_epoch = start_epoch

    @property
    def temperature(self) -> float | Tensor:
        """Temperature of the knowledge parts."""
        if self._temperature is not None:
            return self._temperature
        return getattr(self.loss, "temperature", 0.07)

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        ids: Sequence[Hashable] | Tensor,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
        keys: tuple[Tensor, Tensor] | None = None,
    ) -> ASKOutput:
        """Loss of one batch.

        Args:
            audio: (B, D) rows of length 1.
            text: (B, D) rows of length 1; row i describes audio i.
            ids: B clip ids, as in the base.
            weights: (B,) reliabilities of the batch's pairs in [0, 1], where the caller knows better than the base.
            rows: (B,) rows of the base that hold these very pairs, where clips have several entries.
            keys: Embeddings of the batch by a momentum encoder, for a momentum queue.

        Returns:
            The total and its parts.
        """
        base = self.base if int(self.clock[1]) >= self.start_epoch else None
        codes = None if base is None else base.index.codes_of(ids)
        trust = self.trust_of_batch(codes, rows) if weights is None else weights
        positives = _positives(ids)
        parts: dict[str, Tensor] = {}
        targets: Targets | None = None
        if base is not None and codes is not None and (self.fine_weight > 0 or self.inject == "blend"):
            targets = self.fine.targets(base, codes, self.neighbor_rows, self.neighbor_weights, rows)
        seen = (audio, text)
        if self.inject == "blend" and base is not None and targets is not None:
            seen = blend(audio, text, base, targets, (self.prototypes_audio, self.prototypes_text), self.coarse)
        parts["batch"] = self.loss(*seen, positives, trust, trust)
        total = parts["batch"] if self.batch_weight == 1.0 else self.batch_weight * parts["batch"]
        if self.inject == "contrast" and base is not None:
            if targets is not None:
                parts["fine"] = self._fine_part(audio, text, base, targets, trust)
                total = total + self.fine_weight * parts["fine"]
            if self.coarse_weight > 0 and len(self.prototypes_text):
                parts["coarse"] = self._coarse_part(audio, text, trust)
                total = total + self.coarse_weight * parts["coarse"]
        if self.queue is not None and self.queue_weight > 0:
            parts["queue"] = self._queue_part(audio, text, ids, trust, keys, self.queue)
            total = total + self.queue_weight * parts["queue"]
        if self.write_through and codes is not None:
            self.remember(audio, text, codes, rows)
        return ASKOutput(total, parts)

    def _fine_part(
        self, audio: Tensor, text: Tensor, base: KnowledgeBase, targets: Targets, trust: Tensor | None
    ) -> Tensor:  # fmt: skip
        tau, rows = self.temperature, targets.rows
        start = None if base.shard is None else base.shard.start
        drawn = self._drawn(audio, text, base, rows)
        live = (None, None) if targets.complete else (audio, text)
        a2t = table_contrast(audio, base.text, rows, targets.to_text, tau, self._text_bias, live[1], start, drawn[1])
        t2a = table_contrast(text, base.audio, rows, targets.to_audio, tau, self._audio_bias, live[0], start, drawn[0])
        return weighted_mean((a2t + t2a) / 2, trust)

    def _drawn(
        self, audio: Tensor, text: Tensor, base: KnowledgeBase, rows: Tensor
    ) -> tuple[tuple[Tensor, Tensor] | None, tuple[Tensor, Tensor] | None]:  # fmt: skip
        """Rows and biases that stand for the audio and the text table in the denominators; None: the tables do."""
        if self.candidates is None:
            return None, None
        if base.shard is not None:
            rows = rows[base.shard.holds(rows)] - base.shard.start
        of_audio, of_text = self.candidates.candidates(rows.unique(), audio.detach(), text.detach())
        return _weighted(base.audio, self._audio_bias, *of_audio), _weighted(base.text, self._text_bias, *of_text)

    def _coarse_part(self, audio: Tensor, text: Tensor, trust: Tensor | None) -> Tensor:
        tau = self.temperature
        goal = self.coarse.targets(audio, text, self.prototypes_audio, self.prototypes_text)  # (B, P)
        a2t = small_table_contrast(audio, self.prototypes_text, goal, tau)
        t2a = small_table_contrast(text, self.prototypes_audio, goal, tau)
        return weighted_mean((a2t + t2a) / 2, trust)

    def _queue_part(
        self,
        audio: Tensor,
        text: Tensor,
        ids: Sequence[Hashable] | Tensor,
        trust: Tensor | None,
        keys: tuple[Tensor, Tensor] | None,
        queue: QueueMemory,
    ) -> Tensor:
        """Enter the batch, then contrast it with the whole memory; older copies of its own clips are left out."""
        codes = stable_codes(ids).to(audio.device)
        own = queue.add(*(keys or (audio, text)), codes, trust)  # (B,)
        filled = len(queue)
        bias = log_reliability(queue.reliability[:filled], torch.float32)
        bias = bias.masked_fill(queue.stale_copies(own, codes), LEFT_OUT)
        rows, mass = own[:, None], torch.ones(len(own), 1, device=audio.device)
        tau = self.temperature
        a2t = table_contrast(audio, queue.text[:filled], rows, mass, tau, bias)
        t2a = table_contrast(text, queue.audio[:filled], rows, mass, tau, bias)
        return weighted_mean((a2t + t2a) / 2, trust)


def _weighted(table: Tensor, bias: Tensor | None, rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (C,) of a table with their log importance (C,) -> (C, D) and biases (C,)."""
    rows, weight = rows.to(table.device), weight.to(table.device)
    # index_select copies whole rows; indexing copies number by number
    return table.index_select(0, rows), weight if bias is None else weight + bias[rows]


def _positives(ids: Sequence[Hashable] | Tensor) -> Tensor | None:
    """Mask of pairs of one clip; None where every clip occurs once, which is the cheap and common case."""
    distinct = len(ids.unique()) if isinstance(ids, Tensor) else len(set(ids))
    return None if distinct == len(ids) else same_clip(ids)
