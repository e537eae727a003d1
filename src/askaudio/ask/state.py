"""The state of an objective: the base's rows, what is derived from them, and how far training has come.

All tensors are buffers, so ``state_dict`` carries rows, neighbors, prototypes and reliabilities. The counters are plain
integers, so that a step reads them without waiting for a GPU; ``state_dict`` carries them as one tensor.

With several processes each holds its part of the rows and of their neighbors. ``state_dict`` always holds the whole, so
that a run can be resumed with any number of processes; all processes must call it together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.refinement.rolling import Round

ROWS = ("audio", "text")
DIVIDED = (*ROWS, "neighbor_rows", "neighbor_weights")  # of these each process holds only its own rows
OLD_NAMES = {  # keys of states that were written before the state was a module of its own
    "base_audio": "state.audio",
    "base_text": "state.text",
    "pair_reliability": "state.reliability",
    "neighbor_rows": "state.neighbor_rows",
    "neighbor_weights": "state.neighbor_weights",
    "prototypes_audio": "state.prototypes_audio",
    "prototypes_text": "state.prototypes_text",
    "clock": "state._extra_state",
    "round.": "state.round.",
}


class KnowledgeState(nn.Module):
    """What ``ASK`` reads in a step and ``Refresher`` renews; empty until ``install`` is called.

    Attributes:
        audio: (N, D) audio rows of the base, or those of this process.
        text: (N, D) text rows.
        reliability: (N,) in [0, 1], of all entries; (0,) where every pair is fully reliable.
        neighbor_rows: (N, K) rows of each entry's neighbors.
        neighbor_weights: (N, K) their weights.
        prototypes_audio: (P, D) audio prototypes.
        prototypes_text: (P, D) text prototypes.
        step: Steps ended so far.
        epoch: Epochs ended so far.
        refreshed_step: ``step`` at the last refresh.
        refreshed_epoch: ``epoch`` at the last refresh.
        version: Number of refreshes that the rows have had.
        round: Running sums of a refresh in parts; None without one.
    """

    audio: Tensor
    text: Tensor
    reliability: Tensor
    neighbor_rows: Tensor
    neighbor_weights: Tensor
    prototypes_audio: Tensor
    prototypes_text: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.step = self.epoch = self.refreshed_step = self.refreshed_epoch = self.version = 0
        self.round: Round | None = None
        self._without_rows: KnowledgeBase | None = None  # ids, shard and encoder of the base; its rows are the buffers
        self._base: KnowledgeBase | None = None
        self._pending: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def base(self) -> KnowledgeBase | None:
        """The buffers as a ``KnowledgeBase`` that shares their memory; None without knowledge."""
        if self._base is None and self._without_rows is not None:
            self._base = replace(self._without_rows, audio=self.audio, text=self.text, version=self.version)
        return self._base

    def install(
        self,
        base: KnowledgeBase,
        *,
        reliability: Tensor | None,
        neighbors: tuple[Tensor, Tensor],
        prototypes: tuple[Tensor, Tensor],
    ) -> None:
        """Replace everything that comes from the base.

        Args:
            base: The new rows; all buffers move to their device.
            reliability: (N,) of all entries; None where every pair is fully reliable.
            neighbors: Rows and weights, (N, K) each.
            prototypes: Audio and text prototypes, (P, D) each.
        """
        values = {
            "audio": base.audio,
            "text": base.text,
            "reliability": torch.ones(0) if reliability is None else reliability.float(),
            "neighbor_rows": neighbors[0],
            "neighbor_weights": neighbors[1],
            "prototypes_audio": prototypes[0],
            "prototypes_text": prototypes[1],
        }
        for name, value in values.items():
            in_files = base.mapped and name in ROWS  # files keep themselves
            self.register_buffer(name, value.to(base.text.device), persistent=not in_files)
        empty = base.text.new_zeros(0, base.dim)  # a slice of the rows would keep all of them in memory
        self._without_rows = replace(base, audio=empty, text=empty)
        self.refreshed(base.version)

    def refreshed(self, version: int) -> None:
        """Note that the rows are of this version as of the current step."""
        self.version = version
        self.refreshed_step, self.refreshed_epoch = self.step, self.epoch
        self._base = None

    def reliability_of(self, codes: Tensor, rows: Tensor | None) -> Tensor | None:
        """Reliabilities of a batch's pairs.

        Args:
            codes: (B,) clip codes, -1 for a clip that is not in the base.
            rows: (B,) rows of the pairs themselves, where they are known; else the mean over a clip's entries is used.

        Returns:
            (B,) in [0, 1], 1 for a clip that is not in the base; None where every pair is fully reliable.
        """
        if self._without_rows is None or self.reliability.numel() == 0:
            return None
        if rows is not None:
            return self.reliability[rows]
        found = self._without_rows.index.rows_of(codes)
        own, valid = (x.to(self.reliability.device, non_blocking=True) for x in found)
        total = (self.reliability[own] * valid).sum(dim=1)
        return torch.where(valid.any(dim=1), total / valid.sum(dim=1).clamp_min(1), 1.0)

    def write_later(self, audio: Tensor, text: Tensor, codes: Tensor, rows: Tensor | None) -> None:
        """Keep a step's embeddings until it has ended; of clips with several entries only where ``rows`` are known.

        Args:
            audio: (B, D) embeddings of the batch.
            text: (B, D).
            codes: (B,) clip codes.
            rows: (B,) rows of the pairs, or None.
        """
        if rows is None and self._without_rows is not None:
            own, valid = self._without_rows.index.rows_of(codes)
            single = (valid.sum(dim=1) == 1).nonzero()[:, 0]
            rows, single = (x.to(audio.device, non_blocking=True) for x in (own[single, 0], single))
            audio, text = audio[single], text[single]
        if rows is not None:
            self._pending = rows, audio.detach().to(self.text.dtype), text.detach().to(self.text.dtype)

    def write_pending(self) -> None:
        """Write the embeddings of ``write_later`` over their own entries."""
        if self._pending is None:
            return
        rows, audio, text = self._pending
        self._pending = None
        shard = None if self._without_rows is None else self._without_rows.shard
        if shard is not None:
            here = shard.holds(rows)
            rows, audio, text = rows[here] - shard.start, audio[here], text[here]
        self.audio[rows], self.text[rows] = audio, text

    # ---- saving and loading -----------------------------------------------------------------------------------------

    def get_extra_state(self) -> Tensor:
        """The counters, (5,) int64."""
        return torch.tensor([self.step, self.epoch, self.refreshed_step, self.refreshed_epoch, self.version])

    def set_extra_state(self, state: Tensor) -> None:
        """Take the counters of ``get_extra_state``."""
        self.step, self.epoch, self.refreshed_step, self.refreshed_epoch, self.version = state.tolist()
        self._base = None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._base = None  # the buffers become other tensors
        return super()._apply(fn, recurse)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        shard = None if self._without_rows is None else self._without_rows.shard
        for name in DIVIDED if shard is not None else ():
            if shard is not None and prefix + name in destination:
                destination[prefix + name] = shard.whole(getattr(self, name))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        shard = None if self._without_rows is None else self._without_rows.shard
        for name in DIVIDED if shard is not None else ():
            whole = state_dict.get(prefix + name)
            if shard is not None and whole is not None and len(whole) == shard.total:
                state_dict[prefix + name] = whole[shard.start : shard.stop]
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._base = None


def rename_old_keys(state_dict: dict[str, Tensor], prefix: str) -> None:
    """Give keys of the former layout their new names, in place.

    Args:
        state_dict: State of an objective, or of a module that contains one.
        prefix: Of the objective's own keys.
    """
    for old, new in OLD_NAMES.items():
        for key in [k for k in state_dict if k.startswith(prefix + old)]:
            rest = key[len(prefix) + len(old) :]
            if not rest or old.endswith("."):
                state_dict[prefix + new + rest] = state_dict.pop(key)
