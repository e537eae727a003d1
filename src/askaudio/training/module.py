"""The training step for Lightning: encode a batch and compute the objective.

The draws of a step (dropout) depend on (seed, step) alone, so a resumed run gives the same numbers as one that was
never stopped, without a saved generator. Several processes each encode a part of the batch and compute the loss of all
of it.
"""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from askaudio.core.processes import all_reduce_sum, rank, world_size
from askaudio.knowledge.injection.queue import MomentumEncoder
from askaudio.losses.gather import gather_numbers, gather_rows
from askaudio.losses.gradient_cache import GradientCache
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.tuning import rates
from askaudio.training.collate import Batch, Inputs
from askaudio.training.settings import Objective, TrainSettings
from askaudio.training.spec_augment import spec_augment


class RetrievalModule(pl.LightningModule):
    """A dual encoder and its objective.

    Args:
        model: What is trained.
        objective: Loss with or without knowledge.
        settings: Learning rate, dropout, seed and the like.
        total_steps: Steps of the whole run, over which the learning rate falls to 0.
    """

    def __init__(
        self, model: DualEncoder, objective: Objective, settings: TrainSettings, *, total_steps: int = 1000
    ) -> None:  # fmt: skip
        super().__init__()
        self.model = model
        self.objective = objective.ask
        self.momentum = objective.momentum
        self.extra = objective.extra
        self.phrases = objective.phrases
        self.caption_entries = objective.caption_entries
        self.ema = MomentumEncoder(model, 0.0) if settings.ema else None
        self.settings = settings
        self.total_steps = total_steps
        self._cache: GradientCache[tuple[Inputs, Tensor]] | None = None
        # the base is no parameter: data parallel training must not copy it from rank 0 at every step
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]
        if self.objective.graph_layer is not None:  # it is trained at each refresh, in all processes alike
            named = self.objective.graph_layer.named_parameters(prefix="objective.graph_layer")
            self._ddp_params_and_buffers_to_ignore += [name for name, _ in named]
        self._sums: dict[str, Tensor] = {}  # of each part of the loss since the epoch began; read once an epoch
        self._steps = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        self._seed_draws()
        audio_in, text_in = self._draw_audio(batch.audio), self._drop(batch.text)
        audio, text = (gather_rows(_full(x)) for x in self._embed(audio_in, text_in))  # (B, D), (B, D)
        keys, near = self._keys(batch), self._near(batch)
        batch = self._whole(batch)
        extra = None if self.extra is None else self.extra(batch)
        with torch.autocast(self.device.type, enabled=False):  # a softmax over a base needs all its digits
            rows = self._base_rows(batch)
            outcome = self.objective(audio, text, batch.ids, rows=rows, keys=keys, extra=extra, near=near)
        total, parts = outcome.total, outcome.parts
        if self.phrases is not None:
            with torch.autocast(self.device.type, enabled=False):
                parts = {**parts, "phrases": self.phrases(self.model, batch.entries).total}
            total = total + self.phrases.weight * parts["phrases"]
        self._note({"total": total, **parts})
        return total

    def _whole(self, batch: Batch) -> Batch:
        """The batch as the objective takes it: captions and ids of all processes, the sounds of this process only."""
        if world_size() == 1:
            return batch
        text = batch.text if self.extra is None else gather_numbers(batch.text)
        return Batch(batch.audio, text, gather_numbers(batch.ids), gather_numbers(batch.entries))

    def _near(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Embeddings (B, R, D) of the batch's near misses, and how many each pair has (B,)."""
        if batch.near is None or batch.n_near is None:
            return None
        rows = self.model.encode_text(self._drop(batch.near.flatten(0, 1)))  # (B R, D)
        shape = (-1, batch.near.shape[1], rows.shape[1])
        return gather_rows(_full(rows)).reshape(shape), gather_numbers(batch.n_near)

    def _embed(self, audio: Inputs, text: Tensor) -> tuple[Tensor, Tensor]:
        if not 0 < self.settings.gradient_cache_chunk < len(text):
            return self.model(audio, text)
        self._cache = GradientCache(lambda piece: self.model(*piece), self._pieces(audio, text), self.model)
        return self._cache.embed()

    def _keys(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """The batch's embeddings by the momentum copy."""
        if self.momentum is None or self.objective.queue is None:
            return None
        pairs = [self.momentum(*piece) for piece in self._pieces(batch.audio, batch.text)]
        return gather_numbers(torch.cat([a for a, _ in pairs])), gather_numbers(torch.cat([t for _, t in pairs]))

    def _pieces(self, audio: Inputs, text: Tensor) -> list[tuple[Inputs, Tensor]]:
        size = self.settings.gradient_cache_chunk or len(text)
        texts = text.split(size)
        if isinstance(audio, Tensor):
            return list(zip(audio.split(size), texts, strict=True))
        sounds = zip(*(part.split(size) for part in audio), strict=True)  # (log-mels, frames) of each piece
        return list(zip(sounds, texts, strict=True))  # type: ignore[arg-type]

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Back-propagate to the embeddings, and with a cached gradient piece by piece to the weights."""
        super().backward(loss, *args, **kwargs)
        if self._cache is not None:
            self._cache.backward()
            self._cache = None
            for parameter in self.parameters() if world_size() > 1 else ():  # what the reducer does otherwise
                if parameter.grad is not None:
                    parameter.grad = all_reduce_sum(parameter.grad) / world_size()

    def on_train_start(self) -> None:
        """Switch the reducer of data parallel training off for a cached gradient: it expects one backward a step."""
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel) and self.settings.gradient_cache_chunk:
            wrapped.require_backward_grad_sync = False

    def _seed_draws(self) -> None:
        """Seed this step's dropout; torch.manual_seed would queue a call with a stack trace for every absent device."""
        own = [rank()] if rank() else []  # each process drops other features
        seed = hash((self.settings.seed, self.global_step, *own))
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _draw_audio(self, audio: Inputs) -> Inputs:
        """A frozen tower's features with some dropped; spectrograms with parts blanked out."""
        if isinstance(audio, Tensor):
            return self._drop(audio)
        time, mels = self.settings.mask_time, self.settings.mask_mels
        return (spec_augment(*audio, time, mels), audio[1]) if time or mels else audio

    def _drop(self, features: Tensor) -> Tensor:
        share = self.settings.feature_dropout
        return nn.functional.dropout(features, share) if share and features.is_floating_point() else features

    def _base_rows(self, batch: Batch) -> Tensor | None:
        return None if self.objective.base is None or not self.caption_entries else batch.entries

    def _note(self, parts: dict[str, Tensor]) -> None:
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + value.detach() if name in self._sums else value.detach()
        self._steps += 1

    def mean_losses(self) -> dict[str, float]:
        """Mean of each part over the steps since the last call."""
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        self._sums, self._steps = {}, 0
        return means

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the running sums too, so that a resumed epoch reports the mean of all its steps."""
        checkpoint["losses"] = {"sums": self._sums, "steps": self._steps}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the running sums."""
        self._sums, self._steps = checkpoint["losses"]["sums"], checkpoint["losses"]["steps"]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def configure_optimizers(self) -> Any:
        """AdamW, with warm-up and half a cosine."""
        groups = self._groups()
        # fused saves a tenth of a small model's step; Lightning cannot clip gradients with it in mixed precision
        optimizer = torch.optim.AdamW(groups, lr=self.settings.lr, fused=self.trainer.precision == "32-true")
        optimizer.register_load_state_dict_post_hook(_lay_out_like_weights)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_at)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by learning rate, and by whether they decay; the highest rate and decaying ones first."""
        own: dict[int, float] = {}
        model, at = self.model, self.settings
        for tower, rate in ((model.audio_tower, at.audio_lr), (model.text_tower, at.text_lr)):
            if tower is not None:
                own |= rates(tower, rate or at.lr, at.layer_decay)
        found: dict[tuple[float, bool], list[nn.Parameter]] = {(at.lr, True): [], (at.lr, False): []}
        for p in self.parameters():
            if p.requires_grad:
                found.setdefault((own.get(id(p), at.lr), p.ndim >= 2), []).append(p)
        return [
            {"params": found[key], "lr": key[0], "weight_decay": at.weight_decay if key[1] else 0.0}
            for key in sorted(found, reverse=True)
        ]

    def follow(self) -> None:
        """Move averaged weights after a step; the first steps count more, so that they forget the start."""
        if self.ema is not None:
            step = self.global_step
            self.ema.momentum = min(self.settings.ema, (1 + step) / (10 + step))
            self.ema.follow(self.model)

    @property
    def scored(self) -> DualEncoder:
        """The model that is validated and kept: averaged weights, if there are any."""
        if self.ema is None:
            return self.model
        assert isinstance(self.ema.copy, DualEncoder)
        return self.ema.copy

    def rate_at(self, step: int) -> float:
        """Learning rate at a step, as a share of the highest."""
        warmup = max(1, round(self.settings.warmup_share * self.total_steps))
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, self.total_steps - warmup)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def _lay_out_like_weights(optimizer: torch.optim.Optimizer) -> None:
    """Give the moments the strides of their weights, which fused AdamW needs and states of earlier versions lack."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def _full(rows: Tensor) -> Tensor:
    """Embeddings in single precision, of length 1 to all digits, also where towers work in half precision."""
    return rows if rows.dtype in (torch.float32, torch.float64) else nn.functional.normalize(rows.float(), dim=-1)
