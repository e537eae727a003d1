"""First-in-first-out memories of past batches: the baselines that a knowledge base must beat.

- ``QueueMemory`` fed with the trained encoders' own embeddings is cross-batch memory (XBM).
- fed with the embeddings of a slowly moving copy (``MomentumEncoder``) it is a momentum queue (MoCo, ALBEF).

The batch enters the memory before it is contrasted with it, so each anchor finds its own partner there. Cost:
2 x capacity x D numbers; one write of B rows a step.

Source: Wang et al. 2020 (arXiv 1912.06798), algorithm 1; He et al. 2020 (arXiv 1911.05722), section 3.2.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from askaudio.core.errors import ConfigError, DataError


class QueueMemory(nn.Module):
    """The last ``capacity`` pairs, in a ring; state and all is in ``state_dict``.

    Args:
        capacity: Pairs kept.
        dim: D.
        dtype: Storage type.
    """

    audio: Tensor
    text: Tensor
    codes: Tensor
    reliability: Tensor
    written: Tensor

    def __init__(self, capacity: int, dim: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if capacity < 1:
            raise ConfigError(f"a queue needs a capacity of at least 1, got {capacity}")
        self.capacity = capacity
        self.register_buffer("audio", torch.zeros(capacity, dim, dtype=dtype))
        self.register_buffer("text", torch.zeros(capacity, dim, dtype=dtype))
        self.register_buffer("codes", torch.full((capacity,), -1, dtype=torch.long))
        self.register_buffer("reliability", torch.ones(capacity))
        self.register_buffer("written", torch.zeros((), dtype=torch.long))

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        written = self.written  # stays on the CPU: each step reads it, which would wait for a GPU
        super()._apply(fn, recurse)
        self.written = written
        return self

    def __len__(self) -> int:
        return min(int(self.written), self.capacity)

    def add(self, audio: Tensor, text: Tensor, codes: Tensor, reliability: Tensor | None = None) -> Tensor:
        """Write a batch over the oldest rows.

        Args:
            audio: (B, D), B at most the capacity.
            text: (B, D).
            codes: (B,) non-negative clip codes.
            reliability: (B,) in [0, 1]; None means 1.

        Returns:
            (B,) rows in which the batch is now.
        """
        size = audio.shape[0]
        if size > self.capacity:
            raise DataError(f"a batch of {size} does not fit a queue of {self.capacity}; make the queue larger")
        rows = (int(self.written) + torch.arange(size, device=audio.device)) % self.capacity
        self.audio[rows] = audio.detach().to(self.audio.dtype)
        self.text[rows] = text.detach().to(self.text.dtype)
        self.codes[rows] = codes
        self.reliability[rows] = 1.0 if reliability is None else reliability.to(self.reliability.dtype)
        self.written += size
        return rows

    def stale_copies(self, rows: Tensor, codes: Tensor) -> Tensor:
        """Rows of the filled part that hold a batch's clips from earlier passes, as a bool mask (filled,)."""
        held, ordered = self.codes[: len(self)], codes.sort().values
        place = torch.searchsorted(ordered, held).clamp_max(len(ordered) - 1)  # torch.isin would wait for a GPU
        same = ordered[place] == held
        same[rows] = False
        return same


def stable_codes(ids: Sequence[Hashable] | Tensor) -> Tensor:
    """B clip ids -> (B,) non-negative codes that are the same in every run (hashes of their text form)."""
    if isinstance(ids, Tensor):
        ids = ids.tolist()
    digests = (hashlib.blake2b(repr(one).encode(), digest_size=8).digest() for one in ids)
    return torch.tensor([int.from_bytes(d, "little") >> 1 for d in digests], dtype=torch.long)


class MomentumEncoder(nn.Module):
    """A copy of a module whose weights follow it slowly: w' <- m w' + (1 - m) w after each step.

    Args:
        module: The trained module.
        momentum: m in [0, 1).
    """

    def __init__(self, module: nn.Module, momentum: float = 0.995) -> None:
        super().__init__()
        if not 0.0 <= momentum < 1.0:
            raise ConfigError(f"momentum must be in [0, 1), got {momentum}")
        self.momentum = momentum
        self.copy = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def follow(self, module: nn.Module) -> None:
        """Move towards ``module``; buffers (batch statistics) are taken over as they are."""
        for mine, its in zip(self.copy.parameters(), module.parameters(), strict=True):
            mine.lerp_(its.detach(), 1.0 - self.momentum)
        for kept, its_buffer in zip(self.copy.buffers(), module.buffers(), strict=True):
            kept.copy_(its_buffer)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The copy's output, without gradient."""
        with torch.no_grad():
            return self.copy(*inputs)
