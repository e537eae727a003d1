"""One round of a refresh in parts: rows are written in place, prototypes and drift are summed up until the round ends.

Prototypes then move as by one round of spherical k-means over all entries, from the prototypes of the round before.
Cost of a part of n rows: their encoding, and one (n, P) product. The running sums are buffers: a run that is stopped
in the middle of a round continues there, with any number of processes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.core.processes import all_reduce_sum, is_first
from askaudio.knowledge.base.knowledge_base import KnowledgeBase, stored
from askaudio.knowledge.injection.coarse import cluster_sums
from askaudio.knowledge.injection.fine import joint_rows
from askaudio.knowledge.refinement.drift import Drift, row_drift


class Round(nn.Module):
    """What has been summed up since a round began.

    Args:
        parts: Steps of a round.
        audio: (P, D) audio prototypes; P may be 0.
        text: (P, D) text prototypes.
        divided: Several processes add up, each its own rows.
    """

    centers: Tensor
    sums: Tensor
    mass: Tensor
    drift: Tensor

    def __init__(self, parts: int, audio: Tensor, text: Tensor, divided: bool = False) -> None:
        super().__init__()
        self.parts = parts
        self.divided = divided
        centers = joint_rows(audio, text, 1.0)  # (P, 2D)
        self.register_buffer("centers", centers)
        self.register_buffer("sums", torch.zeros_like(centers))
        self.register_buffer("mass", torch.zeros_like(centers[:, 0]))
        self.register_buffer("drift", torch.zeros(4, dtype=torch.float64))  # audio: sum, rows; text: sum, rows

    def take(
        self, base: KnowledgeBase, rows: Tensor, here: Tensor, audio: Tensor, text: Tensor, reliability: Tensor | None
    ) -> None:  # fmt: skip
        """Write freshly encoded rows into the base and add them to the sums.

        Args:
            base: Whose tables are written.
            rows: (n,) rows of the base.
            here: (n,) the same rows as places in the tables of this process.
            audio: (n, D) fresh embeddings.
            text: (n, D).
            reliability: (N,) weight of each entry in its prototype; None means 1.
        """
        device, dtype = base.text.device, base.text.dtype
        paired = base.index.has_audio[rows].to(device)
        fresh_audio = stored(audio.to(device) * paired[:, None], dtype)
        fresh_text = stored(text.to(device), dtype)
        old_audio, old_text = base.audio[here], base.text[here]
        of_audio, of_text = row_drift(old_audio, fresh_audio)[paired], row_drift(old_text, fresh_text)
        counts = [float(of_audio.sum()), len(of_audio), float(of_text.sum()), len(of_text)]
        self.drift += torch.tensor(counts, dtype=torch.float64, device=self.drift.device)
        base.audio[here], base.text[here] = fresh_audio, fresh_text
        if len(self.centers):
            joint = joint_rows(fresh_audio[paired], fresh_text[paired], 1.0)
            weight = torch.ones(len(rows), device=device) if reliability is None else reliability[rows]
            sums, mass, _ = cluster_sums(joint, self.centers, weight[paired].to(joint.dtype))
            self.sums += sums
            self.mass += mass

    def finish(self) -> Drift:
        """Move the prototypes and begin the next round; returns the drift of all rows of this one."""
        sums, mass, drift = self.sums, self.mass, self.drift
        if self.divided:
            sums, mass, drift = all_reduce_sum(sums), all_reduce_sum(mass), all_reduce_sum(drift)
        filled = mass > 0  # an empty one stays where it is
        self.centers[filled] = F.normalize(sums[filled], dim=1)
        self.sums.zero_()
        self.mass.zero_()
        audio, of_audio, text, of_text = drift.tolist()
        self.drift.zero_()
        return Drift(audio / max(of_audio, 1.0), text / max(of_text, 1.0))

    def prototypes(self) -> tuple[Tensor, Tensor]:
        """Audio and text prototypes (P, D) each, rows of length 1."""
        half = self.centers.shape[1] // 2
        return F.normalize(self.centers[:, :half], dim=1), F.normalize(self.centers[:, half:], dim=1)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("sums", "mass", "drift") if self.divided else ():
            destination[prefix + name] = all_reduce_sum(getattr(self, name))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.divided and not is_first():  # a state holds the sums over all processes: only the first keeps them
            for name in ("sums", "mass", "drift"):
                getattr(self, name).zero_()
