"""Cross-entropy of a softmax against soft targets: a full (B, C) table of them, or a few rows per anchor.

    l_i = log sum_j r_j e^(u_i . K_j) - sum_j q_ij (u_i . K_j + log r_j),     u_i = anchor_i / temperature.

``soft_target_loss`` is the dense, two-way form for one batch (offline soft targets, text-similarity labels);
``table_contrast`` contrasts anchors with a large constant table and sparse targets: its cost is one read of the table
(see ``partition.py``) and B x M rows gathered; no (B, N) array is made.

Source: Hinton et al. 2015 (arXiv 1503.02531), section 2; Primus et al. 2024 (arXiv 2408.11641) for offline targets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from askaudio.core.errors import DataError
from askaudio.core.processes import all_reduce_sum
from askaudio.losses.partition import log_partition, read_partition
from askaudio.losses.positives import check_batch
from askaudio.losses.reduce import log_reliability, weighted_mean, working


def target_rows(similarity: Tensor, temperature: float) -> Tensor:
    """Any (B, C) similarities -> target rows (B, C) that sum to 1: softmax(similarity / temperature)."""
    return torch.softmax(working(similarity) / temperature, dim=1)


def _one_way(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1)


def soft_target_loss(
    audio: Tensor,
    text: Tensor,
    targets: Tensor,
    temperature: float | Tensor = 0.07,
    positives: Tensor | None = None,
    weights: Tensor | None = None,
    reliability: Tensor | None = None,
) -> Tensor:
    """Two-way cross-entropy of a batch against soft targets.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        targets: (B, B) non-negative: how well text j fits audio i. Rows (and, for the other direction, columns) are
            scaled to sum 1.
        temperature: Divides the cosines.
        positives: (B, B) bool; a pair of one clip gets at least the target of the pair itself.
        weights: (B,) weight of each pair's loss.
        reliability: (B,) weight of each pair in every denominator.

    Returns:
        Scalar.

    Raises:
        DataError: Shapes do not fit.
    """
    check_batch(audio, text, positives)
    if targets.shape != (audio.shape[0], audio.shape[0]):
        raise DataError(f"targets must be ({audio.shape[0]}, {audio.shape[0]}), got {tuple(targets.shape)}")
    logits = working(audio) @ working(text).T / temperature  # (B, B)
    targets = targets.detach().to(logits.dtype)
    if positives is not None:
        own = torch.maximum(targets.diagonal()[:, None], targets.diagonal()[None, :])
        targets = torch.where(positives, torch.maximum(targets, own), targets)
    a2t, t2a = logits, logits.T
    if reliability is not None:
        bias = log_reliability(reliability, logits.dtype)
        a2t, t2a = a2t + bias, t2a + bias
    rows = targets / targets.sum(dim=1, keepdim=True).clamp_min(1e-12)
    columns = (targets / targets.sum(dim=0, keepdim=True).clamp_min(1e-12)).T
    return weighted_mean((_one_way(a2t, rows) + _one_way(t2a, columns)) / 2, weights)


def table_contrast(
    anchors: Tensor,
    table: Tensor,
    rows: Tensor,
    mass: Tensor,
    temperature: float | Tensor,
    *,
    bias: Tensor | None = None,
    own: Tensor | None = None,
    start: int | None = None,
    drawn: tuple[Tensor, Tensor | None] | None = None,
) -> Tensor:
    """Contrast anchors with a constant table, with a few target rows each.

    Args:
        anchors: (B, D) rows of length 1; the only argument (with ``temperature`` and ``own``) that gets a gradient.
        table: (N, D) constant candidates, N > 0.
        rows: (B, M) target rows of the table; where ``mass`` is 0 it may be any valid row.
        mass: (B, M) target probabilities. A row that sums to less than 1 gives the rest to ``own``.
        temperature: Divides the cosines.
        bias: (N,) log-reliability (or log importance) of the candidates; minus infinity leaves one out.
        own: (B, D) live partner of each anchor: a further candidate for the anchors whose mass is below 1 (their
            pair is not in the table); None where every anchor has its whole target in the table.
        start: Where the table is divided among processes: number of the first row that this one holds in ``table``
            and ``bias``; ``rows`` counts over all of them. All other arguments are the same everywhere.
        drawn: Where the table is too large to be read: rows (C, D) of it and their biases (C,), importance weights
            included, used instead of it in the denominator.

    Returns:
        (B,) losses.
    """
    mass = mass.to(working(anchors).dtype)
    goal, at_rows = _goal(table, rows, mass, bias, start)  # (B, D), (B,)
    read = (*(drawn or (table, bias)), start is not None)
    if own is None and not _is_learned(temperature):
        return _Contrast.apply(anchors, temperature, goal, at_rows, *read)
    u = working(anchors) / temperature  # (B, D)
    log_sum = log_partition(u, *read)  # (B,)
    aim = (u * goal).sum(dim=1) + at_rows  # (B,)
    if own is not None:
        rest = 1.0 - mass.sum(dim=1)  # (B,)
        absent = rest > 1e-6
        logit = (u * working(own)).sum(dim=1)
        log_sum = torch.where(absent, torch.logaddexp(log_sum, logit), log_sum)
        aim = aim + torch.where(absent, rest * logit, 0.0)
    return log_sum - aim


def _goal(
    table: Tensor, rows: Tensor, mass: Tensor, bias: Tensor | None, start: int | None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The mean row (B, D) and the mean bias (B,) of the targets."""
    if start is not None:  # each process adds up what it holds
        held = (rows >= start) & (rows < start + len(table))
        mass, rows = mass * held, torch.where(held, rows - start, 0)
    if len(table):
        goal = (mass.unsqueeze(-1) * table[rows].to(mass.dtype)).sum(dim=1)  # (B, D)
    else:
        goal = mass.new_zeros(len(rows), table.shape[1])
    share = mass.new_zeros(len(rows))
    if bias is not None and len(table):
        share = torch.where(mass > 0, mass * bias[rows].to(mass.dtype), 0.0).sum(dim=1)  # (B,)
    return (goal, share) if start is None else (all_reduce_sum(goal), all_reduce_sum(share))


def small_table_contrast(
    anchors: Tensor, table: Tensor, targets: Tensor, temperature: float | Tensor
) -> Tensor:  # fmt: skip
    """Contrast anchors with a small constant table under dense targets.

    Args:
        anchors: (B, D) rows of length 1; they get a gradient.
        table: (P, D) constant rows, for example prototypes.
        targets: (B, P) target probabilities, constant.
        temperature: Divides the cosines; a tensor that requires a gradient gets one.

    Returns:
        (B,) cross-entropies.
    """
    if not _is_learned(temperature):
        return _SmallContrast.apply(anchors, temperature, table, targets)
    u = working(anchors) / temperature
    return _one_way(u @ table.to(u.dtype).T, targets.to(u.dtype))


def _is_learned(temperature: float | Tensor) -> bool:
    return isinstance(temperature, Tensor) and temperature.requires_grad


class _Contrast(torch.autograd.Function):
    """``table_contrast`` with a closed-form gradient, (E - goal) / temperature for an anchor.

    E is the softmax-weighted mean of the table, which the forward pass computes anyway; goal is the mean target row.
    This makes a fifth of the calls of autograd, whose overhead dominates for a small batch.
    """

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, temperature: float | Tensor, goal: Tensor, at_rows: Tensor, *read: Any
    ) -> Tensor:  # fmt: skip
        """Implement ``torch.autograd.Function.forward``.

        Args:
            ctx: Of autograd; keeps the gradient for ``backward``.
            anchors: (B, D) rows of length 1.
            temperature: Divides the cosines; constant.
            goal: (B, D) mean of each anchor's target rows, weighted by their masses.
            at_rows: (B,) mean bias of the target rows, weighted likewise.
            *read: Table, bias and ``sharded``, as ``read_partition`` takes them after the queries.
        """
        u = working(anchors) / temperature  # (B, D)
        mean, log_sum = read_partition(u, *read)
        ctx.save_for_backward((mean - goal) / temperature)
        ctx.dtype = anchors.dtype
        return log_sum - (u * goal).sum(dim=1) - at_rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return (grads[0][:, None] * ctx.saved_tensors[0]).to(ctx.dtype), *(None,) * 6


class _SmallContrast(torch.autograd.Function):
    """``small_table_contrast`` with a closed-form gradient: (total p - q) @ table / temperature, p the softmax."""

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, temperature: float | Tensor, table: Tensor, targets: Tensor) -> Tensor:
        """Implement ``torch.autograd.Function.forward``; the arguments are those of ``small_table_contrast``."""
        u = working(anchors) / temperature  # (B, D)
        table, targets = table.to(u.dtype), targets.to(u.dtype)
        log_p = torch.log_softmax(u @ table.T, dim=1)  # (B, P)
        total = targets.sum(dim=1, keepdim=True)
        ctx.save_for_backward((log_p.exp() * total - targets) @ table / temperature)
        ctx.dtype = anchors.dtype
        return -(targets * log_p).sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return (grads[0][:, None] * ctx.saved_tensors[0]).to(ctx.dtype), None, None, None


class SoftTargets(nn.Module):
    """``soft_target_loss`` as a module, for offline soft targets: a finished model's similarities of the batch's pairs.

    Args:
        temperature: Of the trained similarities.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
        *,
        targets: Tensor,
    ) -> Tensor:
        """Compute ``soft_target_loss`` at the temperature of the module.

        Args:
            audio: (B, D) rows of length 1.
            text: (B, D) rows of length 1.
            positives: (B, B) bool; a pair of one clip gets at least the target of the pair itself. None leaves the
                targets as they are.
            weights: (B,) weight of each pair's loss; None means 1.
            reliability: (B,) in [0, 1], weight of each pair in every denominator; None means 1.
            targets: (B, B), for example ``target_rows(similarity, temperature)``.
        """
        return soft_target_loss(audio, text, targets, self.temperature, positives, weights, reliability)
