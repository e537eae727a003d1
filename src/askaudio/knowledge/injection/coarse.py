"""Coarse grain: P paired prototypes (c^a_p, c^t_p) from spherical k-means over [A ; T].

Clustering both sides together keeps the two halves of a prototype about the same sounds. An item's target is the
geometric mean of both sides' assignments, so that only prototypes on which audio and text agree get mass:

    q_ip proportional to sqrt( softmax_p(a_i . c^a_p / temperature) softmax_p(t_i . c^t_p / temperature) ).

Cost of ``fit``: ``iterations`` products (N, P) in pieces; warm-started after the first time. Deterministic in the seed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.core.errors import ConfigError
from askaudio.core.processes import all_gather, all_reduce_sum
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.shards import Shard, rows_at
from askaudio.knowledge.injection.fine import joint_rows

PIECE = 16384  # entries assigned at once


class CoarseGrainedInjection:
    """Prototypes and the targets over them.

    Args:
        prototypes: P; lowered to half the number of entries where a base is small.
        temperature: Sharpness of the assignments.
        iterations: Rounds of k-means from a cold start; a warm start takes ``warm_iterations``.
        warm_iterations: Rounds after the first fit.
        most_entries: k-means learns from at most this many entries, evenly spaced.
        seed: For the cold start.
    """

    def __init__(
        self,
        prototypes: int = 256,
        *,
        temperature: float = 0.1,
        iterations: int = 10,
        warm_iterations: int = 3,
        most_entries: int = 100_000,
        seed: int = 0,
    ) -> None:
        if prototypes < 1 or temperature <= 0 or iterations < 1:
            raise ConfigError(
                f"coarse grain needs prototypes >= 1, temperature > 0, iterations >= 1; got {prototypes}, "
                f"{temperature}, {iterations}"
            )
        self.prototypes = prototypes
        self.temperature = temperature
        self.iterations = iterations
        self.warm_iterations = warm_iterations
        self.most_entries = most_entries
        self.seed = seed

    def count(self, base: KnowledgeBase) -> int:
        """P for this base."""
        paired = int(base.index.has_audio.sum())
        return min(self.prototypes, max(1, paired // 2)) if paired else 0

    def fit(
        self, base: KnowledgeBase, reliability: Tensor | None = None, warm: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Cluster the entries that have audio.

        Args:
            base: N entries.
            reliability: (N,) weight of each entry in its prototype; None means 1.
            warm: Prototypes (P, D), (P, D) of the version before.

        Returns:
            Audio and text prototypes, (P, D) each, rows of length 1, float32 (float64 stays).
        """
        paired = base.index.has_audio.nonzero()[:, 0].to(base.text.device)
        if len(paired) > self.most_entries:
            paired = paired[:: -(-len(paired) // self.most_entries)]
        mine = paired if base.shard is None else paired[base.shard.holds(paired)]
        here = mine if base.shard is None else mine - base.shard.start
        joint = joint_rows(base.audio[here], base.text[here], 1.0)  # (n, 2D)
        weight = torch.ones(len(mine), device=mine.device) if reliability is None else reliability[mine]
        p = min(self.count(base), len(paired))
        if warm is not None and warm[0].shape[0] == p:
            centers = joint_rows(warm[0].to(joint), warm[1].to(joint), 1.0)
            rounds = self.warm_iterations
        else:
            generator = torch.Generator().manual_seed(self.seed)
            start = torch.randperm(len(paired), generator=generator)[:p]  # on the CPU: the same on every device
            first = paired[start.to(paired.device)]
            centers = joint_rows(rows_at(base.shard, base.audio, first), rows_at(base.shard, base.text, first), 1.0)
            rounds = self.iterations
        for _ in range(rounds):
            centers = _lloyd_round(joint, centers, weight.to(joint.dtype), base.shard)
        half = base.dim
        return F.normalize(centers[:, :half], dim=1), F.normalize(centers[:, half:], dim=1)

    def targets(self, audio: Tensor, text: Tensor, proto_audio: Tensor, proto_text: Tensor) -> Tensor:
        """Soft assignment of each pair to the prototypes: the target of both its sides.

        Args:
            audio: (B, D) rows of length 1.
            text: (B, D) rows of length 1.
            proto_audio: (P, D) audio halves of the prototypes, of length 1.
            proto_text: (P, D) text halves of the prototypes, of length 1.

        Returns:
            (B, P) without gradient; rows sum to 1.
        """
        with torch.no_grad():
            a = audio.detach().to(proto_audio.dtype) @ proto_audio.T  # (B, P)
            t = text.detach().to(proto_text.dtype) @ proto_text.T
            # the square root of a product of two softmaxes is a softmax of the mean of their logits
            return torch.softmax((a + t) / (2.0 * self.temperature), dim=1)


def assign(rows: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest center of each row (n, D) among (P, D) -> score (n,) and center number (n,); ties to the smaller."""
    best, number = [centers.new_zeros(0)], [torch.zeros(0, dtype=torch.long, device=centers.device)]
    for start in range(0, rows.shape[0], PIECE):
        score = rows[start : start + PIECE].to(centers.dtype) @ centers.T
        value, at = score.max(dim=1)
        best.append(value)
        number.append(at)
    return torch.cat(best), torch.cat(number)


def cluster_sums(rows: Tensor, centers: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Assign rows to their nearest centers and add up the rows of each: the sums of one round of k-means.

    Args:
        rows: (n, 2D) joint rows (``joint_rows``).
        centers: (P, 2D).
        weight: (n,) weight of each row, for example its reliability.

    Returns:
        Weighted sums (P, 2D), sums of the weights (P,), and the inner product of each row and its center (n,).
    """
    score, number = assign(rows, centers)
    sums = torch.zeros_like(centers).index_add_(0, number, rows * weight[:, None])
    return sums, torch.zeros_like(centers[:, 0]).index_add_(0, number, weight), score


def _lloyd_round(rows: Tensor, centers: Tensor, weight: Tensor, shard: Shard | None = None) -> Tensor:
    """One round of spherical k-means; an empty cluster restarts at the row that fits its own center worst."""
    sums, mass, score = cluster_sums(rows, centers, weight)
    if shard is not None:  # rows are divided among processes: P sums and masses are all that is exchanged
        sums, mass = all_reduce_sum(sums), all_reduce_sum(mass)
    empty = (mass <= 0).nonzero()[:, 0]
    if len(empty):
        sums[empty] = _worst(rows, score, len(empty), shard)
    return F.normalize(sums, dim=1)


def _worst(rows: Tensor, score: Tensor, count: int, shard: Shard | None) -> Tensor:
    """The rows with the lowest scores, ties to the smaller row -> (count, 2D)."""
    order = torch.argsort(score, stable=True)[:count]
    if shard is None:
        return rows[order]
    # each process offers its own worst rows, padded to one shape; all choose the same among all offers
    scores = score.new_full((count,), float("inf"))
    candidates = rows.new_zeros(count, rows.shape[1])
    scores[: len(order)], candidates[: len(order)] = score[order], rows[order]
    best = torch.argsort(torch.cat(all_gather(scores)), stable=True)[:count]
    return torch.cat(all_gather(candidates))[best]
