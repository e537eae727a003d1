"""Collectives of ``torch.distributed`` that also work in one process.

Without a process group (the usual case) there is one process, and every function returns its input. The names are those
of ``torch.distributed``. Torch is not imported here: a process group exists only where the caller has imported it.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def _group() -> Any:
    """``torch.distributed`` where a process group of more than one process is initialised; else None."""
    dist = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return None
    return dist if dist.get_world_size() > 1 else None


def world_size() -> int:
    """Number of processes."""
    dist = _group()
    return 1 if dist is None else int(dist.get_world_size())


def rank() -> int:
    """Number of this process, from 0."""
    dist = _group()
    return 0 if dist is None else int(dist.get_rank())


def is_first() -> bool:
    """Whether this process has rank 0, which alone prints and writes; before a group is joined, from ``RANK``."""
    return rank() == 0 if _group() is not None else os.environ.get("RANK", "0") == "0"


def all_reduce_sum(x: Any) -> Any:
    """Sum a tensor of one shape over all processes, without gradient; every process gets the same bits."""
    dist = _group()
    if dist is None:
        return x
    total = x.detach().clone().contiguous()
    dist.all_reduce(total)
    return total


def all_gather(x: Any) -> list[Any]:
    """Tensors of all processes in order of rank, without gradient; all must have one shape."""
    dist = _group()
    if dist is None:
        return [x]
    parts = [x.new_empty(x.shape) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.detach().contiguous())
    return parts


def broadcast(x: Any, source: int = 0) -> Any:
    """Overwrite a tensor with that of rank ``source``, which has the same shape, and return it."""
    dist = _group()
    if dist is not None:
        dist.broadcast(x, source)
    return x


def all_gather_object(value: Any) -> list[Any]:
    """Small Python values of all processes in order of rank."""
    dist = _group()
    if dist is None:
        return [value]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, value)
    return parts


def barrier() -> None:
    """Return when every process has called this."""
    dist = _group()
    if dist is not None:
        dist.barrier()
