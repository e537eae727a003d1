"""ASK in a Lightning module: the loss is ``ask(...)`` in ``training_step``; the callback reports steps and epochs.

Example::

    class Mine(pl.LightningModule):                       # self.ask = ask: its state is in the checkpoints
        def training_step(self, batch, number):
            audio, text = self(batch)                     # (B, D) each, rows of length 1
            return self.ask(audio, text, batch["ids"]).total

    trainer = pl.Trainer(callbacks=[ASKCallback()])

``examples/lightning_module.py`` runs it.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError


class ASKCallback(pl.Callback):
    """Tells ASK that the optimizer has stepped and that an epoch is over.

    Args:
        ask: The objective; None for the module's attribute ``ask``.
    """

    def __init__(self, ask: ASK | None = None) -> None:
        super().__init__()
        self.ask = ask
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find ASK.

        Raises:
            ConfigError: There is none.
        """
        self.ask = self.ask or getattr(pl_module, "ask", None)
        if self.ask is None:
            raise ConfigError(f"{type(pl_module).__name__} has no attribute 'ask'; write ASKCallback(ask)")
        self._step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After a batch; where gradients are accumulated, only the last of them is a step."""
        if self.ask is not None and trainer.global_step != self._step:
            self._step = trainer.global_step
            self.ask.step_ended()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After an epoch: by default the base is encoded again here."""
        if self.ask is not None:
            self.ask.epoch_ended()
