"""Fine grain: single entries. Which rows of the base are an item's targets, and with what mass.

The target of an item puts ``1 - mass`` on the entries of its own clip and ``mass`` on its K nearest reliable neighbors,

    w_ij proportional to r_j exp( (A_i . A_j + beta T_i . T_j) / ((1 + beta) temperature) ),

found in the snapshot at each refinement, so that a step only looks them up. Consistent neighbors act as positives;
all other entries are candidates and become hard negatives by themselves. Cost of ``build``: one (N, N) product in
pieces; of a step: B x (M + K) numbers. ``k=0`` (own entries only) costs nothing to build.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.neighbors import nearest, neighbor_weights
from askaudio.knowledge.base.shards import rows_at
from askaudio.knowledge.reliability.adaptive import NeighborSetting, fit_neighbor_setting


@dataclass(frozen=True)
class Targets:
    """Sparse soft targets of a batch; ``to_audio`` differs from ``to_text`` where entries have no audio.

    Attributes:
        rows: (B, M) rows of the base.
        to_text: (B, M) masses for an audio anchor against the base's texts; a row sums to 1, or to 0 for an item
            that is not in the base.
        to_audio: (B, M) masses for a text anchor against the base's audio.
        complete: Every item has its whole target in the base, on both sides.
        own: (B, M - near) the columns of ``rows`` before the neighbors, on the CPU: entries of an item's own clip.
        near: The last ``near`` columns are neighbors.
    """

    rows: Tensor
    to_text: Tensor
    to_audio: Tensor
    complete: bool
    own: Tensor
    near: int = 0


class FineGrainedInjection:
    """Neighbor lists of a snapshot and the targets made of them.

    Args:
        k: Neighbors per item; 0 for own entries only.
        mass: Target mass on all neighbors together, in [0, 1).
        beta: Weight of text similarity beside audio similarity; None estimates it at each refinement (``adaptive.py``).
        temperature: Sharpness of the neighbor weights; None estimates it too.

    Attributes:
        setting: The estimate in use; None where both were given.
    """

    def __init__(
        self,
        k: int = 8,
        mass: float = 0.1,
        beta: float | None = None,
        temperature: float | None = None,
    ) -> None:
        wrong = (beta is not None and beta < 0) or (temperature is not None and temperature <= 0)
        if k < 0 or not 0.0 <= mass < 1.0 or wrong:
            raise ConfigError(
                f"fine grain needs k >= 0, 0 <= mass < 1, beta >= 0, temperature > 0; got k={k}, mass={mass}, "
                f"beta={beta}, temperature={temperature}"
            )
        self.k = k if mass > 0 else 0
        self.mass = mass if k > 0 else 0.0
        self.beta = beta
        self.temperature = temperature
        self.setting: NeighborSetting | None = None

    def build(self, base: KnowledgeBase, reliability: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the neighbors of every entry, its own clip left out.

        Args:
            base: N entries.
            reliability: (N,) in [0, 1] of each entry; None means 1.

        Returns:
            Rows (N, K) int64 and weights (N, K) float32 that sum to 1 (to 0 where an entry has no neighbor); where
            the base is divided among processes, those of this one's rows.
        """
        if self.k == 0 or len(base) == 0:
            empty = torch.zeros(len(base.text), 0, device=base.text.device)
            return empty.long(), empty
        beta, temperature = self.beta, self.temperature
        if beta is None or temperature is None:
            self.setting = fit_neighbor_setting(base, reliability)
            beta = self.setting.beta if beta is None else beta
            temperature = self.setting.temperature if temperature is None else temperature
        joint = joint_rows(base.audio, base.text, beta)  # (N, 2D)
        codes = base.index.codes
        if base.shard is not None:
            score, rows = base.shard.neighbors(joint, self.k, codes)
        else:
            score, rows = nearest(joint, joint, self.k, query_codes=codes, key_codes=codes)  # (N, K)
        return rows, neighbor_weights(score, rows, reliability, temperature)

    def targets(
        self,
        base: KnowledgeBase,
        codes: Tensor,
        neighbor_rows: Tensor,
        weights: Tensor,
        pair_rows: Tensor | None = None,
    ) -> Targets:
        """Targets of a batch.

        Args:
            base: The snapshot.
            codes: (B,) clip codes from ``base.index.codes_of``; -1 for an item that is not in the base.
            neighbor_rows: (N, K) from ``build``.
            weights: (N, K) from ``build``.
            pair_rows: (B,) row of the very pair in the batch, where the caller knows it; its neighbors are used
                instead of those of the clip's first entry.

        Returns:
            The targets.
        """
        device, index = base.text.device, base.index
        listed, valid = index.rows_of(codes)  # (B, M) each, on the CPU
        sounding = valid & index.has_audio[listed]
        # a text has its whole target in the base if one own entry has audio: decided on the CPU, without a device wait
        complete = bool(sounding.any(dim=1).all())
        own, valid, sounding, known = (
            x.to(device, non_blocking=True) for x in (listed, valid, sounding, codes[:, None] >= 0)
        )
        if self.k == 0:
            to_text = _own_mass(valid)
            to_audio = to_text if index.all_have_audio else _own_mass(sounding)
            return Targets(own, to_text, to_audio, complete, listed)
        first = own[:, 0] if pair_rows is None else pair_rows
        near = rows_at(base.shard, neighbor_rows, first)  # (B, K)
        w = rows_at(base.shard, weights, first) * known
        to_text = to_audio = self._mix(valid, w)
        if not index.all_have_audio:
            to_audio = self._mix(sounding, w * index.has_audio_on(device)[near])
        return Targets(torch.cat([own, near], dim=1), to_text, to_audio, complete, listed, self.k)

    def _mix(self, own: Tensor, weights: Tensor) -> Tensor:
        """Own entries (B, M) bool and neighbor weights (B, K) -> masses (B, M + K)."""
        total = weights.sum(dim=1, keepdim=True)
        share = self.mass * (total > 0)  # (B, 1): an item without neighbors keeps all for itself
        return torch.cat([_own_mass(own) * (1.0 - share), share * weights / total.clamp_min(1e-12)], dim=1)


def _own_mass(valid: Tensor) -> Tensor:
    """Spread 1 evenly over the valid own entries; a row without one stays 0."""
    mass = valid.float()
    return mass / mass.sum(dim=1, keepdim=True).clamp_min(1.0)


def joint_rows(audio: Tensor, text: Tensor, beta: float) -> Tensor:
    """[A ; sqrt(beta) T] / sqrt(1 + beta): rows whose inner product is the joint cosine of two entries.

    Args:
        audio: (N, D) rows of length 1.
        text: (N, D) rows of length 1.
        beta: Weight of text similarity, audio similarity having weight 1; at least 0.

    Returns:
        (N, 2D) in float32 (float64 where ``text`` is).
    """
    dtype = torch.float64 if text.dtype == torch.float64 else torch.float32
    return torch.cat([audio.to(dtype), text.to(dtype) * beta**0.5], dim=1) / (1.0 + beta) ** 0.5
