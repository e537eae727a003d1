"""One batch over several processes: every process gets all rows, and gradients find their way back.

Each process then computes the loss of the whole batch. A gathered row's gradient is summed over the processes, and data
parallel training averages parameter gradients over them, so the two cancel: N processes give the loss and the gradients
of one. Without a process group the rows are returned as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from askaudio.core.processes import all_gather, all_gather_object, all_reduce_sum, rank, world_size


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return torch.cat(all_gather(rows))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return all_reduce_sum(grads[0]).chunk(world_size())[rank()]


def gather_rows(rows: Tensor) -> Tensor:
    """Rows (B, D) of this process -> (world x B, D) of all, in order of rank; B must be the same everywhere."""
    return rows if world_size() == 1 else _Gather.apply(rows)


def gather_ids(ids: list[Any]) -> list[Any]:
    """Clip ids of this process -> those of all, in order of rank."""
    return [one for part in all_gather_object(ids) for one in part]


def gather_numbers(numbers: Tensor) -> Tensor:
    """Rows (B, ...) of this process -> (world x B, ...) of all, in order of rank, without gradient."""
    return numbers if world_size() == 1 else torch.cat(all_gather(numbers))
