"""What happens besides the steps: the objective counts steps and epochs, the run folder is written."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from askaudio.core.files import write_json
from askaudio.core.processes import all_gather_object, broadcast, is_first, world_size
from askaudio.core.types import Json, Progress, silent
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.datamodule import PairDataModule
from askaudio.training.module import RetrievalModule
from askaudio.training.retrieval import RetrievalSet, score
from askaudio.training.settings import TrainSettings

PRIMARY = "t2a/mAP@10"
STATE_FILE = "state/last.safetensors"
METRICS_FILE = "metrics.json"


class KnowledgeClock(pl.Callback):
    """Calls the objective and the momentum copy after every step and epoch; must come before those that write."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After the optimizer's step."""
        assert isinstance(pl_module, RetrievalModule)
        if world_size() > 1:
            _share_statistics(pl_module.model)
        if pl_module.momentum is not None:
            pl_module.momentum.follow(pl_module.model)
        pl_module.follow()
        pl_module.objective.step_ended()
        if pl_module.phrases is not None:
            pl_module.phrases.ask.step_ended()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After the last batch, before validation."""
        assert isinstance(pl_module, RetrievalModule)
        pl_module.objective.epoch_ended()
        if pl_module.phrases is not None:
            pl_module.phrases.ask.epoch_ended()


class RunFolder(pl.Callback):
    """Validates each epoch and keeps the run folder: best weights, metrics, and a state to resume from.

    Args:
        folder: The run folder.
        data: Counts the batches of an epoch, for the state.
        validation: Picks the checkpoint, by text-to-audio mAP@10; never the test split.
        settings: ``patience``, ``save_every_steps`` and ``score_start`` are read.
        progress: Called after every step.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: PairDataModule,
        validation: RetrievalSet,
        settings: TrainSettings,
        progress: Progress = silent,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.data = data
        self.validation = validation
        self.settings = settings
        self.progress = progress
        self.history: list[Json] = []
        self._began = self._step_ended = time.monotonic()
        self._waited = 0.0  # seconds of this epoch in which a step waited for its batch

    @property
    def best(self) -> Json | None:
        """The epoch with the highest validation score, the earliest of equals; None before the first."""
        return max(self.history, key=lambda entry: entry["validation"][PRIMARY], default=None)

    def state_dict(self) -> Json:
        """The history, for the state."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: Json) -> None:
        """Load the history."""
        self.history = state_dict["history"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate the start where settings say so; a run that had stopped early stays stopped when it is resumed."""
        assert isinstance(pl_module, RetrievalModule)
        self._began = self._step_ended = time.monotonic()
        if self.settings.score_start and not self.history:
            self._score(0, 0, pl_module)
        trainer.should_stop = self._out_of_patience()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation and refresh between epochs are no waiting."""
        self._step_ended = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:  # fmt: skip
        """Measure how long the step has waited for its batch."""
        self._waited += time.monotonic() - self._step_ended

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch, report progress, and save the state where it is due."""
        self.data.done = batch_idx + 1
        self._step_ended = time.monotonic()
        step = trainer.global_step
        self.progress(step, int(trainer.estimated_stepping_batches), self._note(trainer.current_epoch))
        last_of_epoch = self.data.done == len(self.data.sampler)
        every = self.settings.save_every_steps
        if every and step % every == 0 and not last_of_epoch:
            trainer.save_checkpoint(self.folder / STATE_FILE)

    def _note(self, epoch: int) -> str:
        best = self.best
        return f"epoch {epoch + 1}" + (f", best mAP@10 {best['validation'][PRIMARY]:.3f}" if best else "")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate, keep the weights if they are the best so far, then write metrics and state."""
        assert isinstance(pl_module, RetrievalModule)
        self.data.done = 0
        self._score(trainer.current_epoch + 1, trainer.global_step, pl_module)
        trainer.should_stop = self._out_of_patience()
        trainer.save_checkpoint(self.folder / STATE_FILE)

    def _score(self, epoch: int, step: int, pl_module: RetrievalModule) -> None:
        """Validate, record the scores, and keep the weights if they are the best so far; epoch 0 is the start."""
        scores = None
        if is_first():
            scores = score(pl_module.scored, self.validation, name=f"epoch {epoch}").values
        scores = all_gather_object(scores)[0]
        entry: Json = {
            "epoch": epoch,
            "step": step,
            "losses": pl_module.mean_losses() if step else {},
            "temperature": float(torch.as_tensor(pl_module.objective.temperature).detach()),
            "validation": scores,
            "seconds": round(time.monotonic() - self._began, 2),
            "waited": round(self._waited, 2),
        }
        self._began, self._waited = time.monotonic(), 0.0
        self.history.append(entry)
        if self.best is entry:
            keep_temperature(pl_module.scored, entry["temperature"])
            if is_first():
                pl_module.scored.save(self.folder)
        if is_first():
            write_json(self.folder / METRICS_FILE, self.summary())

    def _out_of_patience(self) -> bool:
        best, patience = self.best, self.settings.patience
        return bool(patience and best and self.history[-1]["epoch"] - best["epoch"] >= patience)

    def summary(self) -> Json:
        """Content of metrics.json."""
        relevance = self.validation.relevance
        return {
            "primary_metric": PRIMARY,
            "best_epoch": self.best["epoch"] if self.best else None,
            "validation": self.best["validation"] if self.best else None,
            "validation_clips": relevance.n_gallery,
            "validation_captions": relevance.n_queries,
            "history": self.history,
        }


def _share_statistics(model: DualEncoder) -> None:
    """Copy the running statistics of rank 0 to all processes: each saw only its part of the batch."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            for buffer in module.buffers():
                broadcast(buffer)


def keep_temperature(model: DualEncoder, temperature: float) -> None:
    """Write the loss's temperature into the model's logit scale, so that a checkpoint is whole."""
    model.log_logit_scale.data.fill_(math.log(1.0 / temperature))
