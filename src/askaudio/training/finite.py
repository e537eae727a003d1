"""Stops a training at the first step whose loss is not a finite number, and names what led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from askaudio.core.errors import ModelError
from askaudio.training.datamodule import PairDataModule
from askaudio.training.module import RetrievalModule

EVERY_STEPS = 16  # on an accelerator: reading the loss at every step would make the host wait for the device
_SHOWN = 8  # clips in a message


@dataclass(frozen=True, slots=True)
class _Step:
    number: int  # in the run, from 1
    batch: int  # in the epoch, from 0
    loss: Tensor


class FiniteLoss(pl.Callback):
    """Checks the loss of each step: at once on the CPU, every ``EVERY_STEPS`` steps elsewhere, and before each state.

    Must be the first of the callbacks, so that nothing is computed from the weights of a bad step or written to disk.

    Args:
        data: Knows the clips of each batch.

    Raises:
        ModelError: A loss or a weight is NaN or infinite; from every hook.
    """

    def __init__(self, data: PairDataModule) -> None:
        super().__init__()
        self._data = data
        self._steps: list[_Step] = []  # not checked yet

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the loss of a step."""
        loss = outputs["loss"].detach()
        self._steps.append(_Step(trainer.global_step, batch_idx, loss))
        if loss.device.type == "cpu" or len(self._steps) >= EVERY_STEPS:
            self._check(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check before validation, which may write the weights."""
        self._check(pl_module)
        self._check_weights(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:  # fmt: skip
        """Check before a state is written."""
        self._check(pl_module)
        self._check_weights(trainer, pl_module)

    def _check(self, module: pl.LightningModule) -> None:
        steps, self._steps = self._steps, []
        losses = torch.stack([step.loss for step in steps]).tolist() if steps else []
        for step, loss in zip(steps, losses, strict=True):
            if not abs(loss) < float("inf"):
                ids = self._data.clip_ids(step.batch)
                more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
                clips = f"clips of the batch: {', '.join(ids[:_SHOWN])}{more}"
                raise ModelError(f"the loss is {loss} at {_place(step.number, module)}; {clips}. {_WAYS_ON}")

    def _check_weights(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A step with a finite loss can have gradients that are not."""
        finite = [weight.detach().isfinite().all() for weight in module.parameters()]
        if not bool(torch.stack(finite).all()):
            raise ModelError(f"weights are not finite after {_place(trainer.global_step, module)}. {_WAYS_ON}")


def _place(step: int, module: pl.LightningModule) -> str:
    assert isinstance(module, RetrievalModule)
    return f"step {step}, learning rate {module.settings.lr * module.rate_at(step - 1):.3g}"


_WAYS_ON = (
    "The run folder holds the last good state, if one was written. Lower train.lr, set train.clip_grad above 0, "
    "or check the sounds: askaudio data check DATASET --audio full"
)
