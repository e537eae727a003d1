"""The training step as Lightning sees it: encode a batch, ask the objective, step.

The draws of a step (dropout) depend on (seed, step) alone, so a resumed run needs no generator's state to go on
exactly as if it had never stopped. Several processes encode a part of the batch each and compute the loss of all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from askaudio.ask.objective import ASK
from askaudio.core.processes import all_reduce_sum, rank, world_size
from askaudio.knowledge.injection.queue import MomentumEncoder
from askaudio.losses.gather import gather_numbers, gather_rows
from askaudio.losses.gradient_cache import GradientCache
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.collate import Batch, Inputs


class RetrievalModule(pl.LightningModule):
    """A dual encoder and its objective.

    Args:
        model: What is trained.
        objective: Loss with or without knowledge; its own parameters (a learned temperature) are trained too.
        lr: Highest learning rate.
        weight_decay: Of matrices; vectors and scalars (biases, norms, temperature) have none.
        warmup_share: Share of the steps over which the rate rises; then it falls to 0 by half a cosine.
        total_steps: Steps of the whole run.
        seed: Of dropout.
        feature_dropout: Share of a frozen tower's features that are dropped from each input in training.
        momentum: A slowly following copy of the model, for a momentum queue or to encode the base.
        see: Told of each batch before the objective, for losses with soft labels.
        caption_entries: The base has an entry for each caption; else one for each clip.
        gradient_cache_chunk: Pairs that are encoded at once, so that memory does not grow with the batch; 0: all.
    """

    def __init__(
        self,
        model: DualEncoder,
        objective: ASK,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_share: float = 0.05,
        total_steps: int = 1000,
        seed: int = 0,
        feature_dropout: float = 0.0,
        momentum: MomentumEncoder | None = None,
        see: Callable[[Batch], None] | None = None,
        caption_entries: bool = True,
        gradient_cache_chunk: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.momentum = momentum
        self.see = see
        self.caption_entries = caption_entries
        self.lr, self.weight_decay, self.warmup_share = lr, weight_decay, warmup_share
        self.total_steps = total_steps
        self.seed = seed
        self.feature_dropout = feature_dropout
        self.gradient_cache_chunk = gradient_cache_chunk
        self._cache: GradientCache[tuple[Inputs, Tensor]] | None = None
        # the base is no parameter: data parallel training shall not copy it from the first process at every step
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]
        if objective.graph_layer is not None:  # it is trained at each refresh, by all processes alike
            named = objective.graph_layer.named_parameters(prefix="objective.graph_layer")
            self._ddp_params_and_buffers_to_ignore += [name for name, _ in named]
        self._sums: dict[str, Tensor] = {}  # of each part of the loss since the epoch began; read once an epoch
        self._steps = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        self._seed_draws()
        audio_in, text_in = batch.audio, self._drop(batch.text)
        if isinstance(audio_in, Tensor):
            audio_in = self._drop(audio_in)
        audio, text = (gather_rows(_full(x)) for x in self._embed(audio_in, text_in))  # (B, D), (B, D)
        keys = self._keys(batch)
        batch = self._whole(batch)
        if self.see is not None:
            self.see(batch)
        with torch.autocast(self.device.type, enabled=False):  # a softmax over a base needs all its digits
            outcome = self.objective(audio, text, batch.ids, rows=self._base_rows(batch), keys=keys)
        self._note({"total": outcome.total, **outcome.parts})
        return outcome.total

    def _whole(self, batch: Batch) -> Batch:
        """What the objective looks at, of all processes' parts of the batch; the sounds stay this process's own."""
        if world_size() == 1:
            return batch
        text = batch.text if self.see is None else gather_numbers(batch.text)
        return Batch(batch.audio, text, gather_numbers(batch.ids), gather_numbers(batch.entries))

    def _embed(self, audio: Inputs, text: Tensor) -> tuple[Tensor, Tensor]:
        if not 0 < self.gradient_cache_chunk < len(text):
            return self.model(audio, text)
        self._cache = GradientCache(lambda piece: self.model(*piece), self._pieces(audio, text), self.model)
        return self._cache.embed()

    def _keys(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """The batch as the momentum copy sees it."""
        if self.momentum is None or self.objective.queue is None:
            return None
        pairs = [self.momentum(*piece) for piece in self._pieces(batch.audio, batch.text)]
        return gather_numbers(torch.cat([a for a, _ in pairs])), gather_numbers(torch.cat([t for _, t in pairs]))

    def _pieces(self, audio: Inputs, text: Tensor) -> list[tuple[Inputs, Tensor]]:
        size = self.gradient_cache_chunk or len(text)
        texts = text.split(size)
        if isinstance(audio, Tensor):
            return list(zip(audio.split(size), texts, strict=True))
        sounds = zip(*(part.split(size) for part in audio), strict=True)  # (log-mels, frames) of each piece
        return list(zip(sounds, texts, strict=True))  # type: ignore[arg-type]

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """From the loss to the embeddings, and piece by piece on to the weights where the gradient is cached."""
        super().backward(loss, *args, **kwargs)
        if self._cache is not None:
            self._cache.backward()
            self._cache = None
            for parameter in self.parameters() if world_size() > 1 else ():  # what the reducer does otherwise
                if parameter.grad is not None:
                    parameter.grad = all_reduce_sum(parameter.grad) / world_size()

    def on_train_start(self) -> None:
        """With a cached gradient the reducer of data parallel training rests: it expects one way back a step."""
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel) and self.gradient_cache_chunk:
            wrapped.require_backward_grad_sync = False

    def _seed_draws(self) -> None:
        """Seed this step's dropout; torch.manual_seed would queue a call with a stack trace for every absent device."""
        seed = hash((self.seed, self.global_step, *([rank()] if rank() else [])))  # each process drops other features
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _drop(self, features: Tensor) -> Tensor:
        return nn.functional.dropout(features, self.feature_dropout) if self.feature_dropout else features

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
        """The running sums too, so that a resumed epoch reports the mean of all its steps."""
        checkpoint["losses"] = {"sums": self._sums, "steps": self._steps}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self._sums, self._steps = checkpoint["losses"]["sums"], checkpoint["losses"]["steps"]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def configure_optimizers(self) -> Any:
        """AdamW; warm-up and half a cosine, a step at a time."""
        trained = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        # fused: a tenth of a small model's step less; the trainer clips no gradients for it in mixed precision
        optimizer = torch.optim.AdamW(groups, lr=self.lr, fused=self.trainer.precision == "32-true")
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_at)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate_at(self, step: int) -> float:
        """Share of the highest learning rate at a step."""
        warmup = max(1, round(self.warmup_share * self.total_steps))
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, self.total_steps - warmup)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def _full(rows: Tensor) -> Tensor:
    """Embeddings in single precision, of length 1 to all digits, also where towers work in half precision."""
    return rows if rows.dtype in (torch.float32, torch.float64) else nn.functional.normalize(rows.float(), dim=-1)
