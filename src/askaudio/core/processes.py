"""The other processes of a training: how many there are, and the few things that all of them say to each other.

Without a process group (the usual case) there is one process, and every function gives back what it was given. Torch is
never imported here: a process group exists only where somebody has imported it.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def _group() -> Any:
    """``torch.distributed`` where a process group of more than one is at work; else None."""
    dist = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return None
    return dist if dist.get_world_size() > 1 else None


def world() -> int:
    """Number of processes."""
    dist = _group()
    return 1 if dist is None else int(dist.get_world_size())


def rank() -> int:
    """Number of this process, from 0."""
    dist = _group()
    return 0 if dist is None else int(dist.get_rank())


def is_first() -> bool:
    """Is this the process that speaks and writes? Known from the environment before a group is joined."""
    return rank() == 0 if _group() is not None else os.environ.get("RANK", "0") == "0"


def sum_over(x: Any) -> Any:
    """Tensor -> the sum of all processes' tensors of this shape, without gradient; the same bits everywhere."""
    dist = _group()
    if dist is None:
        return x
    total = x.detach().clone().contiguous()
    dist.all_reduce(total)
    return total


def stack_over(x: Any) -> list[Any]:
    """Tensor -> the tensors of all processes in order of rank, without gradient; one shape everywhere."""
    dist = _group()
    if dist is None:
        return [x]
    parts = [x.new_empty(x.shape) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.detach().contiguous())
    return parts


def from_first(x: Any, source: int = 0) -> Any:
    """Tensor of the shape that rank ``source`` holds -> that rank's values, in place."""
    dist = _group()
    if dist is not None:
        dist.broadcast(x, source)
    return x


def objects_over(value: Any) -> list[Any]:
    """A small Python value -> those of all processes in order of rank."""
    dist = _group()
    if dist is None:
        return [value]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, value)
    return parts


def wait_for_all() -> None:
    """Go on when every process has come here."""
    dist = _group()
    if dist is not None:
        dist.barrier()
