"""One batch over several processes: every process gets all rows, and gradients find their way back.

Each process then computes the loss of the whole batch. A gathered row's gradient is summed over the processes, and data
parallel training averages parameter gradients over them, so the two cancel: N processes give the loss and the gradients
of one. Without a process group the rows are returned as they are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather_rows(rows: Tensor) -> Tensor:
    """Rows (B, D) of this process -> (world x B, D) of all, in order of rank; B must be the same everywhere."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    return _Gather.apply(rows)


def gather_ids(ids: list[Any]) -> list[Any]:
    """Clip ids of this process -> those of all, in order of rank."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return ids
    parts: list[list[Any]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, ids)
    return [one for part in parts for one in part]
