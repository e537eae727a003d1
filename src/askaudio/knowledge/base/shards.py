"""A base divided among processes: each holds the embeddings of its rows, and gets the others by collective calls.

Rows are dealt out in order, evenly. All processes go through the same calls in the same order with the same arguments
(the gathered batch), so each call below is one exchange: ``take`` moves the requested rows, ``nearest`` one
list of K scores a query from each process. What depends on N (tables, reads, products) is divided by their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from askaudio.core.processes import all_gather, all_reduce_sum, broadcast, rank, world_size
from askaudio.knowledge.base.neighbors import merge_top, nearest

PIECE = 2048  # queries sent round at once


@dataclass(frozen=True)
class Shard:
    """Rows ``start`` to ``stop`` of a base of ``total`` rows are here."""

    start: int
    stop: int
    total: int

    @classmethod
    def of(cls, total: int, number: int | None = None, of: int | None = None) -> Shard:
        """The rows that one process holds.

        Args:
            total: N, rows of the whole base.
            number: Number of the process, from 0; None means this process.
            of: Number of processes; None means those of the running job.
        """
        number, of = rank() if number is None else number, of or world_size()
        return cls(total * number // of, total * (number + 1) // of, total)

    def __len__(self) -> int:
        return self.stop - self.start

    def holds(self, rows: Tensor) -> Tensor:
        """Rows of the base -> bool of the same shape: is it here?"""
        return (rows >= self.start) & (rows < self.stop)

    def take(self, table: Tensor, rows: Tensor) -> Tensor:
        """Rows (...) of the whole base, from this process's part ``table`` (n, ...) and the others' -> (..., ...)."""
        shape = rows.shape
        rows = rows.reshape(-1)
        found = table.new_zeros((len(rows), *table.shape[1:]))
        if len(self):  # any row in place of those that are elsewhere: selecting by a mask would wait for a GPU
            here = self.holds(rows).view(-1, *[1] * (table.ndim - 1))
            found = torch.where(here, table[(rows - self.start).clamp(0, len(self) - 1)], found)
        return all_reduce_sum(found).reshape(*shape, *table.shape[1:])

    def whole(self, table: Tensor) -> Tensor:
        """This process's part (n, ...) -> the whole (N, ...), on every process."""
        sizes = [len(Shard.of(self.total, number)) for number in range(world_size())]
        padded = table.new_zeros((max(sizes), *table.shape[1:]))  # all_gather needs tensors of one shape
        padded[: len(table)] = table
        return torch.cat([part[:size] for part, size in zip(all_gather(padded), sizes, strict=True)])

    def nearest(
        self,
        queries: Tensor,
        table: Tensor,
        k: int,
        *,
        query_codes: Tensor | None = None,
        key_codes: Tensor | None = None,
        eligible: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """``neighbors.nearest`` over the whole base for queries (Q, D) that every process has.

        Args:
            queries: (Q, D), the same everywhere.
            table: (n, D) this process's rows.
            k: Number of neighbors.
            query_codes: (Q,) clip codes.
            key_codes: (N,) clip codes of the whole base.
            eligible: (N,) bool of the whole base.

        Returns:
            Scores and rows of the base, (Q, k) each, the same everywhere.
        """
        mine = slice(self.start, self.stop)
        score, rows = nearest(
            queries, table, k,
            query_codes=query_codes,
            key_codes=None if key_codes is None else key_codes[mine],
            eligible=None if eligible is None else eligible[mine],
        )  # fmt: skip
        # the K nearest of the whole base are among the K nearest of each part: K scores are exchanged, not N
        return merge_top(all_gather(score), all_gather(rows + self.start), k)

    def neighbors(self, table: Tensor, k: int, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The k nearest entries of each of this process's rows in the whole base, its own clip left out.

        All processes have to call it together.

        Args:
            table: (n, D) this process's rows.
            k: Number of neighbors; fewer may exist.
            codes: (N,) clip codes of the whole base.

        Returns:
            Scores (n, k) and rows of the whole base (n, k), as ``neighbors.nearest`` returns them.
        """
        score = table.new_zeros(0, k)
        rows = torch.zeros(0, k, dtype=torch.long, device=table.device)
        for number in range(world_size()):
            owner = Shard.of(self.total, number)
            for start in range(owner.start, owner.stop, PIECE):
                stop = min(start + PIECE, owner.stop)
                # every process takes part in each search: the owner of the queries sends them to all
                queries = table.new_zeros(stop - start, table.shape[1])
                if number == rank():
                    queries = table[start - self.start : stop - self.start].contiguous()
                queries = broadcast(queries, number)
                found = self.nearest(queries, table, k, query_codes=codes[start:stop], key_codes=codes)
                if number == rank():
                    score, rows = torch.cat([score, found[0]]), torch.cat([rows, found[1]])
        return score, rows


def rows_at(shard: Shard | None, table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]`` of a base that may be divided among processes.

    Args:
        shard: The rows that ``table`` holds; None where it holds all. With a shard all processes call this together.
        table: (N, ...), or (n, ...) with a shard.
        rows: Rows of the whole base, of any shape; with a shard the same on every process.

    Returns:
        Tensor of shape (*rows.shape, ...).
    """
    return table[rows] if shard is None else shard.take(table, rows)
