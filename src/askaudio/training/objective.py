"""ASK as a plug-in for any training loop: the one place where knowledge and losses meet.

Five lines in a loop that has ``audio`` and ``text`` embeddings (B, D) of length 1::

    base = KnowledgeBase.encoded(ids, encode)                  # encode(rows) -> (audio (n, D), text (n, D))
    ask = ASK(base, loss=NTXent(0.05), encode=encode)
    out = ask(audio, text, batch_ids); out.total.backward()    # out.parts: batch, fine, coarse
    ask.step_ended()
    ask.epoch_ended()                                          # the base is refreshed here by default

Nothing is assumed about towers, trainer or loss. With an empty base, or with all weights 0, the result is the plain
loss to the bit. ``state_dict`` carries the snapshot, its neighbors, prototypes and reliabilities, the queue and the
clock, so that a reloaded run goes on bit-equal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from askaudio.core.errors import ConfigError, DataError
from askaudio.knowledge.base import Encode, EntryIndex, KnowledgeBase, encode_rows
from askaudio.knowledge.candidates import CandidateSampling
from askaudio.knowledge.coarse import CoarseGrainedInjection
from askaudio.knowledge.drift import Drift, measure_drift, row_drift
from askaudio.knowledge.fine import FineGrainedInjection, Targets
from askaudio.knowledge.inject import blend
from askaudio.knowledge.queue import QueueMemory, stable_codes
from askaudio.knowledge.refinement import Clock, RefineEveryEpochs, RefinementPolicy
from askaudio.knowledge.reliability import ReliabilityEstimate
from askaudio.losses.ntxent import NTXent
from askaudio.losses.partition import LEFT_OUT
from askaudio.losses.positives import same_clip
from askaudio.losses.reduce import log_reliability, weighted_mean
from askaudio.losses.soft_targets import small_table_contrast, table_contrast

Reliability = Tensor | ReliabilityEstimate | Callable[[KnowledgeBase], Tensor] | None
MODES = ("contrast", "blend")
SAMPLE = 256  # rows encoded when a policy asks how far the base has drifted


@dataclass(frozen=True)
class ASKOutput:
    """A loss with named parts.

    Attributes:
        total: Scalar to call ``backward`` on.
        parts: Scalars before weighting: ``batch``, and what is in use of ``fine``, ``coarse``, ``queue``.
    """

    total: Tensor
    parts: dict[str, Tensor]


class ASK(nn.Module):
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
        candidates: CandidateSampling | None = None,
        queue: QueueMemory | None = None,
        queue_weight: float = 1.0,
        write_through: bool = False,
        start_epoch: int = 0,
        piece: int = 4096,
    ) -> None:
        super().__init__()
        if inject not in MODES:
            raise ConfigError(f"inject must be one of {', '.join(MODES)} (augment is for inference), got {inject!r}")
        if min(fine_weight, coarse_weight, batch_weight, queue_weight) < 0:
            raise ConfigError("weights of the parts must not be negative")
        self.loss = NTXent() if loss is None else loss
        self.fine = fine or FineGrainedInjection()
        self.coarse = coarse or CoarseGrainedInjection()
        self.fine_weight, self.coarse_weight, self.batch_weight = fine_weight, coarse_weight, batch_weight
        self._temperature = temperature
        self.refine = refine or RefineEveryEpochs(1)
        self.graph_layer = getattr(self.refine, "layer", None)  # a learned layer's weights belong to the state
        self.inject = inject
        self.candidates = candidates
        self.queue, self.queue_weight = queue, queue_weight
        self.write_through = write_through
        self.start_epoch = start_epoch
        self.piece = piece
        self._encode = encode
        self._reliability = reliability
        self._pending: tuple[Tensor, Tensor, Tensor] | None = None
        self.last_drift: Drift | None = None
        self.register_buffer("clock", torch.zeros(5, dtype=torch.long))  # step, epoch, last refresh's two, version
        self._index: EntryIndex | None = None
        self._encoder = ""
        if base is not None and len(base):
            self._index = base.index
            self._install(base, cold=True)
        self.register_load_state_dict_post_hook(lambda module, _: module._set_biases())

    # ---- the snapshot -------------------------------------------------------------------------------------------

    @property
    def base(self) -> KnowledgeBase | None:
        """The snapshot in use; None without knowledge."""
        if self._index is None:
            return None
        return KnowledgeBase(self._index, self.base_audio, self.base_text, self._encoder, int(self.clock[4]))

    @property
    def temperature(self) -> float | Tensor:
        """Temperature of the knowledge parts."""
        if self._temperature is not None:
            return self._temperature
        return getattr(self.loss, "temperature", 0.07)

    def _install(self, base: KnowledgeBase, cold: bool = False) -> None:
        """Take a snapshot into the buffers, and re-estimate reliabilities, neighbors and prototypes with it."""
        reliability = self._trust(base)
        needs_fine = self.fine_weight > 0 or self.inject == "blend" or getattr(self.refine, "needs_neighbors", False)
        no_neighbors = FineGrainedInjection(k=0)
        rows, weights = (self.fine if needs_fine else no_neighbors).build(base, reliability)
        if not cold and getattr(self.refine, "needs_neighbors", False):
            base = self.refine.transform(base, rows, weights)
        warm = None if cold else (self.prototypes_audio, self.prototypes_text)
        if self.coarse_weight > 0:
            proto_audio, proto_text = self.coarse.fit(base, reliability, warm)
        else:
            proto_audio = proto_text = base.text[:0]
        audio, text = base.audio, base.text
        if self.write_through:
            audio, text = audio.clone(), text.clone()
        trust = torch.ones(0) if reliability is None else reliability.float()
        for name, value in {
            "base_audio": audio, "base_text": text, "pair_reliability": trust,
            "neighbor_rows": rows, "neighbor_weights": weights,
            "prototypes_audio": proto_audio, "prototypes_text": proto_text,
        }.items():  # fmt: skip
            self.register_buffer(name, value.to(self.clock.device))
        self._encoder = base.encoder
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
        trust = (given if isinstance(given, Tensor) else given(base)).detach()
        if trust.shape != (len(base),):
            raise DataError(f"reliability must be one number an entry ({len(base)},), got {tuple(trust.shape)}")
        return trust.to(base.text.device)

    def _set_biases(self) -> None:
        """Log-reliabilities as biases of the two tables; None where all are 0, so that a step reads nothing."""
        if self._index is None:
            return
        trusted = self.pair_reliability.numel() == 0
        log_r = None if trusted else log_reliability(self.pair_reliability, torch.float32)
        of_audio = log_r
        if not self._index.all_have_audio:
            has_audio = self._index.has_audio.to(self.base_text.device)
            start = torch.zeros(len(has_audio), device=has_audio.device) if log_r is None else log_r
            of_audio = torch.where(has_audio, start, LEFT_OUT)
        self.register_buffer("_text_bias", log_r, persistent=False)
        self.register_buffer("_audio_bias", of_audio, persistent=False)

    # ---- the loss -----------------------------------------------------------------------------------------------

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
        trust = self._trust_of_batch(codes, rows) if weights is None else weights
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
            self._remember(audio, text, codes, rows)
        return ASKOutput(total, parts)

    def _trust_of_batch(self, codes: Tensor | None, rows: Tensor | None) -> Tensor | None:
        """Reliability of the batch's pairs (B,): of their rows, or the mean over their clip's entries; unknown: 1."""
        if codes is None or self.pair_reliability.numel() == 0 or self._index is None:
            return None
        if rows is not None:
            return self.pair_reliability[rows]
        own, valid = (x.to(self.pair_reliability.device) for x in self._index.rows_of(codes))
        total = (self.pair_reliability[own] * valid).sum(dim=1)
        return torch.where(valid.any(dim=1), total / valid.sum(dim=1).clamp_min(1), 1.0)

    def _fine_part(
        self, audio: Tensor, text: Tensor, base: KnowledgeBase, targets: Targets, trust: Tensor | None
    ) -> Tensor:  # fmt: skip
        tau = self.temperature
        tables, biases, rows = (base.audio, base.text), (self._audio_bias, self._text_bias), targets.rows
        if self.candidates is not None:
            tables, biases, rows = self.candidates.select(base, rows, biases)
        live = (None, None) if targets.complete else (audio, text)
        a2t = table_contrast(audio, tables[1], rows, targets.to_text, tau, biases[1], live[1])
        t2a = table_contrast(text, tables[0], rows, targets.to_audio, tau, biases[0], live[0])
        return weighted_mean((a2t + t2a) / 2, trust)

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

    # ---- time ---------------------------------------------------------------------------------------------------

    def step_ended(self) -> Drift | None:
        """Tell that the optimizer has stepped; returns the drift where this refreshed the base."""
        self.clock[0] += 1
        if self._pending is not None:
            rows, audio, text = self._pending
            self.base_audio[rows], self.base_text[rows] = audio, text
            self._pending = None
        return self._refresh_if_due(epoch_end=False)

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
        audio, text = encode_rows(self._encoder_or_refuse(), torch.arange(len(stored)), self.piece)
        fresh = stored.refreshed(audio.to(stored.text.device), text.to(stored.text.device))
        self.last_drift = measure_drift(stored, fresh)
        self._install(fresh)
        self.clock[2], self.clock[3] = self.clock[0], self.clock[1]
        return self.last_drift

    def sample_drift(self, sample: int = SAMPLE) -> float:
        """Mean 1 - cosine between an evenly spaced sample of stored rows and their fresh embeddings."""
        n = len(self.base_text)
        rows = torch.arange(0, n, max(1, n // sample))[:sample]
        audio, text = encode_rows(self._encoder_or_refuse(), rows, self.piece)
        drift = row_drift(self.base_text[rows], text.to(self.base_text.device))
        paired = self._index.has_audio[rows] if self._index is not None else torch.ones(len(rows), dtype=torch.bool)
        if not bool(paired.any()):
            return float(drift.mean())
        of_audio = row_drift(self.base_audio[rows], audio.to(self.base_audio.device))[paired]
        return float((drift.mean() + of_audio.mean()) / 2)

    def _encoder_or_refuse(self) -> Encode:
        if self._encode is None:
            raise ConfigError(
                f"{type(self.refine).__name__} re-encodes the base, but ASK has no encoder: pass "
                "ASK(..., encode=lambda rows: (audio, text)), or refine=NeverRefine() for a static base"
            )
        return self._encode

    def _remember(self, audio: Tensor, text: Tensor, codes: Tensor, rows: Tensor | None) -> None:
        """Keep a step's fresh rows until it has ended; only where it is plain which entry they are."""
        if rows is None and self._index is not None:
            own, valid = (x.to(audio.device) for x in self._index.rows_of(codes))
            single = valid.sum(dim=1) == 1
            rows, audio, text = own[single, 0], audio[single], text[single]
        if rows is None:
            return
        dtype = self.base_text.dtype
        self._pending = (rows, audio.detach().to(dtype), text.detach().to(dtype))


def _positives(ids: Sequence[Hashable] | Tensor) -> Tensor | None:
    """Mask of pairs of one clip; None where every clip occurs once, which is the cheap and common case."""
    distinct = len(ids.unique()) if isinstance(ids, Tensor) else len(set(ids))
    return None if distinct == len(ids) else same_clip(ids)
