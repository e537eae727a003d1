"""Drift: how far a stored snapshot has fallen behind the encoders (the Representation-Drift Mismatch, measured).

Two numbers: mean 1 - cosine of stored and fresh rows, and the share of the K nearest neighbors that stayed. Cost: the
first N x D; the second two (n, N) products for n sampled rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.core.processes import all_reduce_sum
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.neighbors import nearest
from askaudio.knowledge.base.shards import Shard, rows_at


@dataclass(frozen=True)
class Drift:
    """Attributes.

    audio, text: Mean 1 - cosine of stored and fresh rows, 0 (none) to 2.
    overlap: Share of common rows among the K nearest by joint cosine, before and after; 1 means none moved.
    """

    audio: float
    text: float
    overlap: float | None = None

    @property
    def mean(self) -> float:
        """Mean of both sides."""
        return (self.audio + self.text) / 2


def row_drift(stored: Tensor, fresh: Tensor) -> Tensor:
    """1 - cosine of rows: (n, D), (n, D) -> (n,)."""
    dtype = torch.float64 if stored.dtype == torch.float64 else torch.float32
    return 1.0 - F.cosine_similarity(stored.to(dtype), fresh.to(dtype), dim=1)


def neighbor_overlap(
    before: Tensor, after: Tensor, k: int = 10, sample: int = 256, shard: Shard | None = None
) -> float:  # fmt: skip
    """Share of the k nearest rows that two versions of one table have in common, over evenly spaced rows.

    Args:
        before: (N, D) rows of length 1; with a shard, this process's rows.
        after: The same rows later, of the same shape.
        k: Number of neighbors; lowered to N - 1.
        sample: Number of rows whose neighbors are compared, at least 1.
        shard: The rows that this process holds; None where it holds all.

    Returns:
        0 to 1; 1 means that no neighbor list changed, and is also the result for fewer than 2 rows.
    """
    n = before.shape[0] if shard is None else shard.total
    rows = torch.arange(0, n, max(1, n // sample))[:sample]
    codes = torch.arange(n)
    k = min(k, n - 1)
    if k < 1:
        return 1.0
    search = nearest if shard is None else shard.nearest
    lists = [search(rows_at(shard, x, rows), x, k, query_codes=rows, key_codes=codes)[1] for x in (before, after)]
    common = (lists[0][:, :, None] == lists[1][:, None, :]).any(dim=2)  # (n, K)
    return float(common.float().mean())


def measure_drift(stored: KnowledgeBase, fresh: KnowledgeBase, k: int = 10, sample: int = 256) -> Drift:
    """Drift between two versions of one base.

    Args:
        stored: The older version.
        fresh: The same entries, encoded again.
        k: Number of neighbors in the overlap.
        sample: Number of rows whose text neighbors are compared; 0 leaves the overlap out (None).
    """
    if len(stored) == 0:
        return Drift(0.0, 0.0, 1.0 if sample else None)
    paired = stored.has_audio
    audio = _mean(row_drift(stored.audio[paired], fresh.audio[paired]), stored.shard)
    text = _mean(row_drift(stored.text, fresh.text), stored.shard)
    overlap = neighbor_overlap(stored.text, fresh.text, k, sample, stored.shard) if sample else None
    return Drift(audio, text, overlap)


def _mean(drift: Tensor, shard: Shard | None) -> float:
    """Mean over all rows, here or elsewhere; 0 of none."""
    if shard is None:
        return float(drift.mean()) if len(drift) else 0.0
    total, count = all_reduce_sum(torch.tensor([float(drift.double().sum()), len(drift)], dtype=torch.float64)).tolist()
    return total / max(count, 1.0)
