"""log sum_j exp(u_i . K_j + b_j) against a large constant table K, with its exact gradient, in one read of the table.

This is the whole cost of a contrast with a knowledge base. The gradient at u_i is the softmax-weighted mean of the
rows, E_i = sum_j p_ij K_j: exactly what attention with keys = values = K returns, and attention kernels hand out the
log-sum-exp as a by-product. So one fused attention call gives loss and gradient, and no (B, N) array ever exists.
Measured on 2 busy cores with AMX, bfloat16, one side: B = 24, N = 7,000, D = 256: 1.2 ms against 5.9 ms for two matrix
products and a softmax in place; B = 32, N = 50,000, D = 512: 61 ms against 149 ms (float32: 115 against 244).

A table may be divided among processes, each holding some rows: every process reads its own for all anchors, and the
parts (one row and one number an anchor) are put together. No gradient flows into the table. Elsewhere than on a CPU
(or in float16 there, which has no fast kernel) the table is read in pieces with two matrix products each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from askaudio.core.processes import all_gather

PIECE = 8192  # rows of the table read at once where no fused kernel serves
DEVICE_CELLS = 1 << 25  # scores made at once elsewhere than on a CPU: 128 MiB, a few launches for a million rows
ROWS_A_SHARD = 1024  # the fused kernel runs shards of the table in parallel; their number depends on N alone
MOST_SHARDS = 16  # so that the same input gives the same bits whatever the number of threads
LEFT_OUT = -1e4  # a bias that takes a row out; finite, so that a piece with no row left in gives no NaN
FUSED = (torch.bfloat16, torch.float32)


def _attend(queries: Tensor, keys: Tensor, bias: Tensor | None, shards: int) -> tuple[Tensor, Tensor]:
    """One fused call over ``shards`` equal shards -> means (shards, B, D), log-sums (shards, B)."""
    size, dim = queries.shape
    rows = keys.shape[0] // shards
    table = keys.view(shards, 1, rows, dim)
    q = queries.view(1, 1, size, dim).expand(shards, 1, size, dim)
    mask = None if bias is None else bias.view(shards, 1, 1, rows).expand(shards, 1, size, rows)
    mean, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, table, table, 0.0, False, attn_mask=mask, scale=1.0
    )
    return mean.view(shards, size, dim), log_sum.view(shards, size)


def _merge(means: Tensor, log_sums: Tensor) -> tuple[Tensor, Tensor]:
    """Parts (S, B, D) and (S, B) of disjoint pieces -> mean (B, D) and log-sum (B,) over all of them."""
    # each part's mean is weighted by its share of the whole denominator, e^(part's log-sum - whole log-sum)
    log_sum = log_sums.logsumexp(dim=0)
    share = (log_sums - log_sum).exp().unsqueeze(-1)  # (S, B, 1)
    return (share * means.to(log_sum.dtype)).sum(dim=0), log_sum


def _read_fused(queries: Tensor, keys: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    n = keys.shape[0]
    shards = min(MOST_SHARDS, 1 << max(0, (n // ROWS_A_SHARD).bit_length() - 1))  # a power of 2: even over threads
    whole = n - n % shards
    q = queries.to(keys.dtype)
    mask = None if bias is None else bias.to(keys.dtype)
    mean, log_sum = _attend(q, keys[:whole], None if mask is None else mask[:whole], shards)
    if whole < n:  # the shards of one call must be equal: fewer rows than shards are left, read by a second call
        rest = _attend(q, keys[whole:], None if mask is None else mask[whole:], 1)
        mean, log_sum = torch.cat([mean, rest[0]]), torch.cat([log_sum, rest[1]])
    return _merge(mean, log_sum)


def _read_pieces(queries: Tensor, keys: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    means, log_sums = [], []
    q = queries.to(keys.dtype)
    step = PIECE if keys.device.type == "cpu" else max(PIECE, DEVICE_CELLS // max(1, queries.shape[0]))
    for start in range(0, keys.shape[0], step):
        piece = keys[start : start + step]  # (n, D)
        logits = (q @ piece.T).to(queries.dtype)  # (B, n)
        if bias is not None:
            logits += bias[start : start + step].to(logits.dtype)
        log_sum = logits.logsumexp(dim=1)  # (B,)
        # in place: the (B, n) scores are the largest array here
        probability = logits.sub_(log_sum[:, None]).exp_()
        means.append((probability.to(keys.dtype) @ piece).to(queries.dtype))
        log_sums.append(log_sum)
    return _merge(torch.stack(means), torch.stack(log_sums))


def read_table(queries: Tensor, keys: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Softmax-weighted mean of the table's rows and the log-sum-exp, for each query, without gradient.

    Args:
        queries: (B, D), already divided by the temperature.
        keys: (N, D), contiguous, N > 0, any floating type; the products are made in this type.
        bias: (N,) added to the logits; ``LEFT_OUT`` or minus infinity leaves a row out. None means 0.

    Returns:
        Means (B, D) and log-sums (B,), in float32 (float64 where the queries are).
    """
    if bias is not None:
        bias = bias.clamp_min(LEFT_OUT)
    fused = keys.device.type == "cpu" and keys.dtype in FUSED and keys.is_contiguous()
    if fused and queries.dtype != torch.float64:
        return _read_fused(queries, keys, bias)
    return _read_pieces(queries, keys, bias)


def _read_shards(queries: Tensor, keys: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """``read_table`` of a table whose rows are divided among processes; ``keys`` (n, D) are this one's, n may be 0."""
    if len(keys):
        mean, log_sum = read_table(queries, keys, bias)
    else:
        mean, log_sum = torch.zeros_like(queries), queries.new_full(queries.shape[:1], float("-inf"))
    return _merge(torch.stack(all_gather(mean)), torch.stack(all_gather(log_sum)))


def read_partition(queries: Tensor, keys: Tensor, bias: Tensor | None, sharded: bool) -> tuple[Tensor, Tensor]:
    """``read_table``, of a table that may be divided among processes.

    Args:
        queries: (B, D), already divided by the temperature; with ``sharded`` the same on every process.
        keys: (N, D); with ``sharded`` this process's rows (n, D), n may be 0.
        bias: (N,) or (n,) added to the logits; None means 0.
        sharded: Whether the table is divided. All processes then call this together.

    Returns:
        Means (B, D) and log-sums (B,) over the whole table, the same on every process.
    """
    return (_read_shards if sharded else read_table)(queries, keys, bias)


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, bias: Tensor | None, sharded: bool) -> Tensor:
        """Implement ``torch.autograd.Function.forward``; the arguments are those of ``log_partition``."""
        mean, log_sum = read_partition(queries, keys, bias, sharded)
        ctx.save_for_backward(mean)  # the derivative of log sum_j e^(u.K_j + b_j) by u is the softmax mean of the rows
        return log_sum

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (mean,) = ctx.saved_tensors
        return grads[0][:, None] * mean, None, None, None


def log_partition(queries: Tensor, keys: Tensor, bias: Tensor | None = None, sharded: bool = False) -> Tensor:
    """Log sum_j exp(queries_i . keys_j + bias_j); gradients reach the queries only.

    Args:
        queries: (B, D), already divided by the temperature; with ``sharded`` the same on every process.
        keys: (N, D), N > 0, any floating type; with ``sharded`` this process's rows (n, D), n may be 0.
        bias: (N,) or (n,) added to the logits; ``LEFT_OUT`` or minus infinity leaves a row out. None means 0.
        sharded: Whether the table is divided among the processes. All then call this together.

    Returns:
        (B,), over the whole table.
    """
    return _LogPartition.apply(queries, keys, bias, sharded)
