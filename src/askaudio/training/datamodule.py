"""Batches for Lightning: a fresh loader each epoch, in the order and with the draws of that epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from askaudio.core.errors import ConfigError
from askaudio.core.processes import rank, world_size
from askaudio.training.collate import Batch, collate
from askaudio.training.dataset import PairDataset
from askaudio.training.sampler import PairBatchSampler


class PairDataModule(pl.LightningDataModule):
    """Pairs of the training split.

    Args:
        dataset: The pairs.
        batch_size: B, of all processes together.
        seed: Of the order.
        workers: Processes that make batches; 0: this one.

    Raises:
        ConfigError: The processes cannot share a batch evenly.
    """

    def __init__(self, dataset: PairDataset, batch_size: int, seed: int = 0, workers: int = 0) -> None:
        super().__init__()
        if batch_size % world_size():
            raise ConfigError(
                f"train.batch_size is {batch_size}, the batch of all {world_size()} processes together; "
                f"take a multiple of {world_size()}"
            )
        self.dataset = dataset
        self.workers = workers
        self.sampler = PairBatchSampler(dataset.clip_rows, batch_size, seed)
        self.done = 0
        """Batches of the current epoch that have been trained on."""

    def start_epoch(self, epoch: int) -> None:
        """Make the draws of an epoch; a run that resumes in its middle continues after ``done`` batches."""
        self.dataset.set_epoch(epoch)
        self.sampler.set_epoch(epoch, self.done)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Loader of the trainer's current epoch."""
        if self.trainer is not None:
            self.start_epoch(self.trainer.current_epoch)
        # its own generator: a loader without one takes a number from torch's global generator
        return DataLoader(
            self.dataset,  # type: ignore[arg-type]
            batch_sampler=_Share(self.sampler),
            collate_fn=collate,
            generator=torch.Generator(),
            num_workers=self.workers,
            worker_init_fn=_start_worker if self.workers else None,
            pin_memory=self.workers > 0 and torch.cuda.is_available(),
        )

    def clip_ids(self, batch: int) -> list[str]:
        """Ids of the clips of a batch of the current epoch, those of all processes."""
        return [self.dataset.clips[self.dataset.clip_rows[item]].clip_id for item in self.sampler.items(batch)]

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch."""
        return {"done": self.done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at that position."""
        self.done = int(state_dict["done"])


def _start_worker(_number: int) -> None:
    """One thread a worker; the tokenizers library warns about its own threads in a forked process."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)


class _Share:
    """This process's part of each batch: the batches are the same whatever the number of processes."""

    def __init__(self, sampler: PairBatchSampler) -> None:
        self._batches = sampler  # by the name of sampler the trainer would find it and set its epoch again

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches:
            size = len(batch) // world_size()
            yield batch[rank() * size : (rank() + 1) * size]
