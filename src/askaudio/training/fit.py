"""One call from model, objective and data to a run folder; resumable after a kill at any moment.

Run folder: ``weights.safetensors`` and ``dual_encoder.json`` (the best epoch by validation), ``metrics.json`` (its
scores and every epoch's), ``state/`` (for resuming). Lightning's own loggers, bars and checkpoints are switched off:
what is left is about half a step of bare torch for small projections (measured at B = 8: 5.4 against 3.5 ms).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
from lightning.pytorch.strategies import DDPStrategy

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError
from askaudio.core.processes import barrier, is_first, world_size
from askaudio.core.types import Json, Progress, silent
from askaudio.knowledge.injection.queue import MomentumEncoder
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.callbacks import STATE_FILE, KnowledgeClock, RunFolder
from askaudio.training.checkpoint import SafeCheckpointIO
from askaudio.training.collate import Batch
from askaudio.training.datamodule import PairDataModule
from askaudio.training.dataset import PairDataset
from askaudio.training.module import RetrievalModule
from askaudio.training.processes import devices_here
from askaudio.training.retrieval import RetrievalSet


@dataclass(frozen=True)
class FitResult:
    """What a training came to.

    Attributes:
        model: With the best epoch's weights, in evaluation mode.
        best_epoch: Counted from 1.
        validation: The best epoch's scores.
        history: Every epoch's losses and scores.
    """

    model: DualEncoder
    best_epoch: int
    validation: dict[str, float]
    history: list[Json]


def fit(
    model: DualEncoder,
    objective: ASK,
    train: PairDataset,
    validation: RetrievalSet,
    folder: Path | str,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.01,
    warmup_share: float = 0.05,
    clip_grad: float = 1.0,
    feature_dropout: float = 0.0,
    gradient_cache_chunk: int = 0,
    patience: int = 0,
    save_every_steps: int = 0,
    seed: int = 0,
    device: str = "auto",
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    compile: bool = False,
    momentum: MomentumEncoder | None = None,
    see: Callable[[Batch], None] | None = None,
    caption_entries: bool = True,
    score_start: bool = False,
    resume: bool = False,
    progress: Progress = silent,
) -> FitResult:
    """Train.

    Args:
        model: Its weights are where training starts.
        objective: The loss, with or without knowledge.
        train: Pairs of the training split.
        validation: Picks the checkpoint by text-to-audio mAP@10.
        folder: The run folder.
        epochs: Passes over the pairs.
        batch_size: B, of all processes together.
        lr: Highest learning rate.
        weight_decay: Of matrices.
        warmup_share: Share of the steps over which the rate rises.
        clip_grad: Largest norm of the gradient; 0: not clipped.
        feature_dropout: Share of a frozen tower's features dropped from each input.
        gradient_cache_chunk: Pairs encoded at once, so that memory does not grow with the batch; 0: all.
        patience: Epochs without a better validation after which training stops; 0: it never does.
        save_every_steps: Write the state so often, besides each epoch's end.
        seed: Of order, draws and dropout.
        device: ``auto``, ``cpu`` or ``cuda``; several processes, where they have joined, take one each.
        precision: ``bf16-mixed`` runs towers and projections in bfloat16; losses stay as they are.
        compile: Towers and projections through torch.compile; the first step waits for it.
        momentum: For a momentum queue, or to encode the base.
        see: Told of each batch before the objective, for losses with soft labels.
        caption_entries: The objective's base has an entry for each caption; else one for each clip.
        score_start: Let the model as it is given stand for election too, as epoch 0.
        resume: Go on from the folder's state; without one, start from the beginning.
        progress: Told of every step.

    Returns:
        The best epoch, whose weights are also in the folder.

    Raises:
        ConfigError: The folder holds a run and ``resume`` is not set.
    """
    folder = Path(folder)
    state = folder / STATE_FILE
    if state.exists() and not resume:
        raise ConfigError(f"{folder} already holds a run; go on with it (--resume) or give another folder (--out)")
    data = PairDataModule(train, batch_size, seed)
    module = RetrievalModule(
        model,
        objective,
        lr=lr,
        weight_decay=weight_decay,
        warmup_share=warmup_share,
        total_steps=epochs * len(data.sampler),
        seed=seed,
        feature_dropout=feature_dropout,
        momentum=momentum,
        see=see,
        caption_entries=caption_entries,
        gradient_cache_chunk=gradient_cache_chunk,
    )
    if compile:
        model.compile()
    keeper = RunFolder(
        folder, data, validation, patience, save_every_steps, score_start, progress if is_first() else silent
    )
    here, machines = devices_here() if world_size() > 1 else (1, 1)
    with _quiet():
        trainer = pl.Trainer(
            accelerator={"cuda": "gpu"}.get(device, device),
            devices=here,
            num_nodes=machines,
            strategy="auto" if world_size() == 1 else DDPStrategy(broadcast_buffers=False),
            precision=precision,
            max_epochs=epochs,
            callbacks=[KnowledgeClock(), keeper],
            plugins=[SafeCheckpointIO()],
            gradient_clip_val=clip_grad or None,
            deterministic="warn" if device != "cpu" else None,
            default_root_dir=folder,
            reload_dataloaders_every_n_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        _run(trainer, module, data, state if resume and state.exists() else None)
    barrier()
    best = keeper.best
    assert best is not None  # there is at least one epoch
    return FitResult(DualEncoder.load(folder), best["epoch"], best["validation"], keeper.history)


def _run(trainer: pl.Trainer, module: RetrievalModule, data: PairDataModule, state: Path | None) -> None:
    module.train()
    try:
        trainer.fit(module, datamodule=data, ckpt_path=state)
    except SystemExit as error:  # Lightning turns Ctrl-C into an exit
        raise KeyboardInterrupt from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's notices about hardware and loaders: they advise against choices made on purpose here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
