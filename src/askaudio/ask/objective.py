"""ASK as a plug-in for any training loop: a loss on the batch plus a contrast with knowledge from outside the batch.

Nothing is assumed about towers, trainer or loss. With an empty base, or with all weights 0, the result is the plain
loss to the bit. ``state_dict`` holds the base's rows, neighbors, prototypes and reliabilities, the queue and the
counters of steps and epochs, so that a resumed run continues bit for bit. With several processes all call all of this
with the gathered batch (``losses.gather``); each then holds, reads and refreshes its part of the base.

On a GPU ``forward`` never waits for the device: what depends on data (which clips are in the base, which rows are
candidates) is decided on the CPU, and copies to the GPU are asynchronous. Two settings keep one wait per step:
``candidates`` together with neighbors (``k > 0``), since the neighbors' rows are on the GPU, and ``InvertedLists``,
which searches for the anchors on the CPU.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from askaudio.ask.refresher import Refresher, Reliability
from askaudio.ask.state import KnowledgeState, rename_old_keys
from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import Encode, KnowledgeBase
from askaudio.knowledge.injection.blend import blend
from askaudio.knowledge.injection.candidates import CandidateSource
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection, Targets
from askaudio.knowledge.injection.queue import QueueMemory, stable_codes
from askaudio.knowledge.refinement.drift import Drift
from askaudio.knowledge.refinement.policies import RefineEveryEpochs, RefinementPolicy
from askaudio.losses.near_misses import near_miss_loss
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
        parts: Scalars before weighting: ``batch``, and those in use of ``fine``, ``coarse``, ``queue`` and ``near``.
    """

    total: Tensor
    parts: dict[str, Tensor]


class ASK(nn.Module):
    """A base loss plus knowledge from outside the batch.

    Most trainings need the first seven arguments only; those after ``refine`` are for experiments.

    Args:
        base: The knowledge; None or empty for none.
        loss: Base loss on the batch, called ``loss(audio, text, positives, weights, reliability)``; default NT-Xent.
        encode: Rows of the base (n,) -> fresh embeddings, (n, D) each; needed by every policy but ``NeverRefine``.
        fine_weight: Weight of the contrast with single entries; 0 leaves it out.
        coarse_weight: Weight of the contrast with prototypes; 0 leaves it out.
        reliability: Reliability of each entry's pair, (N,) in [0, 1]: a tensor, an estimate, or a callable
            ``f(base) -> (N,)`` that is called at every refresh. None: every pair is fully reliable.
        refine: When the base is refreshed; default at the end of every epoch.
        fine: Settings of the fine grain: neighbors and targets.
        coarse: Settings of the coarse grain: prototypes.
        temperature: Of the knowledge parts; default ``loss.temperature``.
        batch_weight: Weight of the base loss.
        inject: "contrast" (knowledge in the loss) or "blend" (knowledge in the embeddings).
        candidates: Chooses the entries that a step reads, for a base too large to be read whole at every step.
        queue: A memory of past batches, contrasted like the base (XBM, momentum queue).
        write_through: Write a step's embeddings over their own entries when the step has ended.
        near_weight: Weight of the loss of near misses, in steps that have some.

    Raises:
        ConfigError: An argument has a wrong value, or two of them do not fit together.
        DataError: ``reliability`` does not have one number per entry.

    Example:
        >>> import torch
        >>> from askaudio import ASK, KnowledgeBase
        >>> from askaudio.losses.ntxent import NTXent
        >>> features, head = torch.randn(2, 100, 16), torch.nn.Linear(16, 8)
        >>> def encode(rows):
        ...     return [torch.nn.functional.normalize(head(side[rows]), dim=1) for side in features]
        >>> base = KnowledgeBase.encoded(list(range(100)), encode)
        >>> ask = ASK(base, NTXent(0.05), encode=encode)
        >>> out = ask(*encode(torch.arange(6)), ids=range(6))
        >>> sorted(out.parts)
        ['batch', 'coarse', 'fine']
        >>> out.total.backward()
        >>> ask.step_ended()  # after the optimizer's step
        >>> ask.epoch_ended().overlap  # refreshes the base; nothing was trained here, so every neighbor stayed
        1.0
    """

    _text_bias: Tensor | None
    _audio_bias: Tensor | None

    def __init__(
        self,
        base: KnowledgeBase | None = None,
        loss: nn.Module | None = None,
        *,
        encode: Encode | None = None,
        fine_weight: float = 1.0,
        coarse_weight: float = 0.5,
        reliability: Reliability = None,
        refine: RefinementPolicy | None = None,
        fine: FineGrainedInjection | None = None,
        coarse: CoarseGrainedInjection | None = None,
        temperature: float | None = None,
        batch_weight: float = 1.0,
        inject: str = "contrast",
        candidates: CandidateSource | None = None,
        queue: QueueMemory | None = None,
        write_through: bool = False,
        near_weight: float = 1.0,
    ) -> None:
        if inject not in MODES:
            raise ConfigError(f"inject must be one of {', '.join(MODES)} (augment is for inference), got {inject!r}")
        if min(fine_weight, coarse_weight, batch_weight, near_weight) < 0:
            raise ConfigError("weights of the parts must not be negative")
        super().__init__()
        self.fine, self.coarse = fine or FineGrainedInjection(), coarse or CoarseGrainedInjection()
        self.refine = refine or RefineEveryEpochs(1)
        self.graph_layer = self.refine.layer  # here its weights are part of the state
        self.candidates = candidates
        self.state = KnowledgeState()
        self.loss = NTXent() if loss is None else loss
        self.fine_weight, self.coarse_weight, self.batch_weight = fine_weight, coarse_weight, batch_weight
        self.near_weight = near_weight
        self._temperature = temperature
        self.inject, self.queue, self.write_through = inject, queue, write_through
        needs_fine = fine_weight > 0 or inject == "blend" or self.refine.needs_neighbors
        self.refresher = Refresher(
            self.state,
            self.refine,
            encode=encode,
            fine=self.fine if needs_fine else FineGrainedInjection(k=0),
            coarse=self.coarse if coarse_weight > 0 else None,
            reliability=reliability,
            candidates=candidates,
        )
        if base is not None and len(base):
            # blended embeddings and messages over the graph read arbitrary rows: every process needs all of them
            divide = inject == "contrast" and not self.refine.needs_neighbors
            base = base.sharded() if divide else base.whole()
            self.refresher.start(base.copied() if write_through or self.refine.in_parts else base)
            self._set_biases()
        self.register_load_state_dict_post_hook(lambda module, _: module._restored())

    @property
    def base(self) -> KnowledgeBase | None:
        """The base as it is now; None without knowledge."""
        return self.state.base

    @property
    def last_drift(self) -> Drift | None:
        """Drift that the last refresh found; None before the first."""
        return self.refresher.last_drift

    @property
    def temperature(self) -> float | Tensor:
        """Temperature of the knowledge parts."""
        if self._temperature is not None:
            return self._temperature
        return getattr(self.loss, "temperature", 0.07)

    def step_ended(self) -> Drift | None:
        """Call after every optimizer step; returns the drift where this refreshed the base."""
        return self._renewed(self.refresher.step_ended())

    def epoch_ended(self) -> Drift | None:
        """Call after every epoch; returns the drift where this refreshed the base."""
        return self._renewed(self.refresher.epoch_ended())

    def refresh(self) -> Drift | None:
        """Refresh the base now, whatever the policy says; returns its drift."""
        return self._renewed(self.refresher.refresh())

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        ids: Sequence[Hashable] | Tensor,
        *,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
        keys: tuple[Tensor, Tensor] | None = None,
        extra: Mapping[str, Tensor] | None = None,
        near: tuple[Tensor, Tensor] | None = None,
    ) -> ASKOutput:
        """Loss of one batch.

        Args:
            audio: (B, D) rows of length 1.
            text: (B, D) rows of length 1; row i describes audio i.
            ids: B clip ids, as in the base; a tensor (B,) should be on the CPU, where ids are looked up.
            weights: (B,) reliabilities of the batch's pairs in [0, 1], used instead of those of the base.
            rows: (B,) rows of the base that hold these very pairs, where clips have several entries.
            keys: Embeddings of the batch by a momentum encoder, for a momentum queue.
            extra: Further keyword arguments of the base loss, for example ``{"targets": soft_targets}``.
            near: Embeddings (B, R, D) of near misses of the texts, and how many each pair has (B,).

        Returns:
            The total and its parts.
        """
        base, state = self.state.base, self.state
        codes = None if base is None else base.index.codes_of(ids)  # (B,), on the CPU
        rows = None if rows is None else rows.to(audio.device, non_blocking=True)
        if weights is None and codes is not None:
            weights = state.reliability_of(codes, rows)
        positives = _positives(ids, audio.device)
        targets: Targets | None = None
        if base is not None and codes is not None and (self.fine_weight > 0 or self.inject == "blend"):
            targets = self.fine.targets(base, codes, state.neighbor_rows, state.neighbor_weights, rows)
        seen = (audio, text)
        if self.inject == "blend" and base is not None and targets is not None:
            seen = blend(audio, text, base, targets, (state.prototypes_audio, state.prototypes_text), self.coarse)
        parts = {"batch": self.loss(*seen, positives, weights, weights, **(extra or {}))}
        total = parts["batch"] if self.batch_weight == 1.0 else self.batch_weight * parts["batch"]
        if self.inject == "contrast" and base is not None:
            if targets is not None:
                parts["fine"] = self._fine_part(audio, text, base, targets, weights)
                total = total + self.fine_weight * parts["fine"]
            if self.coarse_weight > 0 and len(state.prototypes_text):
                parts["coarse"] = self._coarse_part(audio, text, weights)
                total = total + self.coarse_weight * parts["coarse"]
        if self.queue is not None:
            parts["queue"] = self._queue_part(keys or (audio, text), audio, text, ids, weights)
            total = total + parts["queue"]
        if near is not None:
            parts["near"] = near_miss_loss(audio, text, *near, self.temperature, weights)
            total = total + self.near_weight * parts["near"]
        if self.write_through and codes is not None:
            state.write_later(audio, text, codes, rows)
        return ASKOutput(total, parts)

    def _fine_part(
        self, audio: Tensor, text: Tensor, base: KnowledgeBase, targets: Targets, weights: Tensor | None
    ) -> Tensor:  # fmt: skip
        tau = self.temperature  # read once: each read is a node of its own on the way back
        drawn_audio, drawn_text = self._drawn(audio, text, base, targets)
        # a pair whose target is not wholly in the base is contrasted with its live partner too
        own_audio, own_text = (None, None) if targets.complete else (audio, text)
        start = None if base.shard is None else base.shard.start
        a2t = table_contrast(
            audio, base.text, targets.rows, targets.to_text, tau,
            bias=self._text_bias, own=own_text, start=start, drawn=drawn_text,
        )  # fmt: skip
        t2a = table_contrast(
            text, base.audio, targets.rows, targets.to_audio, tau,
            bias=self._audio_bias, own=own_audio, start=start, drawn=drawn_audio,
        )  # fmt: skip
        return weighted_mean((a2t + t2a) / 2, weights)

    def _drawn(
        self, audio: Tensor, text: Tensor, base: KnowledgeBase, targets: Targets
    ) -> tuple[tuple[Tensor, Tensor] | None, tuple[Tensor, Tensor] | None]:  # fmt: skip
        """Rows and biases used instead of the audio and the text table in the denominators; None: the whole tables."""
        if self.candidates is None:
            return None, None
        rows = targets.rows.cpu() if targets.near else targets.own  # candidates are chosen on the CPU
        if base.shard is not None:
            rows = rows[base.shard.holds(rows)] - base.shard.start
        of_audio, of_text = self.candidates.candidates(rows.unique(), audio.detach(), text.detach())
        return _weighted(base.audio, self._audio_bias, *of_audio), _weighted(base.text, self._text_bias, *of_text)

    def _coarse_part(self, audio: Tensor, text: Tensor, weights: Tensor | None) -> Tensor:
        tau, of_audio, of_text = self.temperature, self.state.prototypes_audio, self.state.prototypes_text
        goal = self.coarse.targets(audio, text, of_audio, of_text)  # (B, P)
        a2t = small_table_contrast(audio, of_text, goal, tau)
        t2a = small_table_contrast(text, of_audio, goal, tau)
        return weighted_mean((a2t + t2a) / 2, weights)

    def _queue_part(
        self,
        keys: tuple[Tensor, Tensor],
        audio: Tensor,
        text: Tensor,
        ids: Sequence[Hashable] | Tensor,
        weights: Tensor | None,
    ) -> Tensor:
        """Enter the batch, then contrast it with the whole memory; older copies of its own clips are left out."""
        queue = self.queue
        assert queue is not None
        codes = stable_codes(ids).to(audio.device, non_blocking=True)
        own = queue.add(*keys, codes, weights)  # (B,)
        filled = len(queue)
        bias = log_reliability(queue.reliability[:filled], torch.float32)
        bias = bias.masked_fill(queue.stale_copies(own, codes), LEFT_OUT)
        rows, mass = own[:, None], torch.ones(len(own), 1, device=audio.device)
        tau = self.temperature
        a2t = table_contrast(audio, queue.text[:filled], rows, mass, tau, bias=bias)
        t2a = table_contrast(text, queue.audio[:filled], rows, mass, tau, bias=bias)
        return weighted_mean((a2t + t2a) / 2, weights)

    def _renewed(self, drift: Drift | None) -> Drift | None:
        if drift is not None:
            self._set_biases()
        return drift

    def _set_biases(self) -> None:
        """Log-reliabilities as biases of the two tables; None where all are 0, so that a step reads nothing."""
        base, reliability = self.state.base, self.state.reliability
        if base is None:
            return
        here = slice(None) if base.shard is None else slice(base.shard.start, base.shard.stop)
        of_text = None if reliability.numel() == 0 else log_reliability(reliability[here], torch.float32)
        of_audio = of_text
        if not base.index.all_have_audio:
            has_audio = base.has_audio.to(base.text.device)
            start = torch.zeros(len(has_audio), device=has_audio.device) if of_text is None else of_text
            of_audio = torch.where(has_audio, start, LEFT_OUT)
        self.register_buffer("_text_bias", of_text, persistent=False)
        self.register_buffer("_audio_bias", of_audio, persistent=False)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        rename_old_keys(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _restored(self) -> None:
        """After a state was loaded: renew what it does not hold."""
        if (base := self.state.base) is not None:
            self._set_biases()
            if self.candidates is not None:
                self.candidates.restored(base)


def _weighted(table: Tensor, bias: Tensor | None, rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (C,) of a table with their log importance (C,) -> (C, D) and biases (C,)."""
    rows, weight = (x.to(table.device, non_blocking=True) for x in (rows, weight))
    # index_select copies whole rows; indexing copies number by number
    return table.index_select(0, rows), weight if bias is None else weight + bias[rows]


def _positives(ids: Sequence[Hashable] | Tensor, device: torch.device) -> Tensor | None:
    """Mask of pairs of one clip; None where every clip occurs once, which is the cheap and common case."""
    distinct = len(ids.unique()) if isinstance(ids, Tensor) else len(set(ids))
    return None if distinct == len(ids) else same_clip(ids).to(device, non_blocking=True)
