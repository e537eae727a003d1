"""Whose entry each row of a knowledge base is, and from which source: the part of a base that no refresh changes.

Cost: 40 bytes an entry besides the ids; ids given as a tensor of whole numbers cost 16 bytes, where a million texts
cost some 100 MB. Every process of a training holds the whole index, also where the embeddings are divided.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


class EntryIndex:
    """Ids, sources and audio mask of N rows.

    Args:
        ids: N clip ids; equal ids are entries of one clip. A tensor (N,) of whole numbers serves millions.
        sources: N names of sources, or one name for all.
        has_audio: (N,) bool; False for text-only and class-level entries.
    """

    def __init__(self, ids: Sequence[Hashable] | Tensor, sources: Sequence[str] | str, has_audio: Tensor) -> None:
        self.ids: tuple[Hashable, ...] | Tensor = ids if isinstance(ids, Tensor) else tuple(ids)
        self.sources = (sources,) * len(ids) if isinstance(sources, str) else tuple(sources)
        self.has_audio = has_audio
        self._has_audio_on = has_audio  # the copy on the device that was used last
        self._code_of: dict[Hashable, int] = {}
        self._known = torch.zeros(0, dtype=torch.long)  # sorted ids, where they came as a tensor
        if isinstance(self.ids, Tensor):
            self._known, self.codes = torch.unique(self.ids, return_inverse=True)
        else:
            code_of = self._code_of
            numbers = [code_of.setdefault(one, len(code_of)) for one in self.ids]
            self.codes = torch.tensor(numbers, dtype=torch.long)
        self.n_clips = len(self._known) or len(self._code_of)
        self._order = torch.argsort(self.codes, stable=True)  # rows, grouped by clip
        counts = torch.bincount(self.codes, minlength=self.n_clips)
        self._counts = counts
        self._starts = torch.cumsum(counts, 0) - counts
        self.most_rows_a_clip = int(counts.max()) if self.n_clips else 0
        self.all_have_audio = bool(has_audio.all())

    def __len__(self) -> int:
        return len(self.ids)

    def has_audio_on(self, device: torch.device) -> Tensor:
        """The audio mask (N,) on a device; it is copied once, since a copy in each step would cost N bytes."""
        if self._has_audio_on.device != device:
            self._has_audio_on = self.has_audio.to(device, non_blocking=True)
        return self._has_audio_on

    def listed_ids(self) -> tuple[Hashable, ...]:
        """The ids as Python values."""
        return tuple(self.ids.tolist()) if isinstance(self.ids, Tensor) else self.ids

    def codes_of(self, ids: Sequence[Hashable] | Tensor) -> Tensor:
        """B clip ids -> (B,) integer codes; -1 for a clip that is not in the base."""
        if isinstance(self.ids, Tensor) and len(self._known):
            queries = torch.as_tensor(ids).cpu()
            code = torch.searchsorted(self._known, queries).clamp_max(len(self._known) - 1)
            return torch.where(self._known[code] == queries, code, -1)
        if isinstance(ids, Tensor):
            ids = ids.tolist()
        return torch.tensor([self._code_of.get(one, -1) for one in ids], dtype=torch.long)

    def part(self, number: int, of: int) -> Tensor:
        """Rows of every ``of``-th clip, from clip ``number`` on: parts 0 .. of - 1 together are all rows."""
        rows, valid = self.rows_of(torch.arange(number, self.n_clips, of))
        return rows[valid].sort().values

    def rows_of(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B,) -> rows (B, M) of each clip's entries and a bool mask (B, M) of the valid ones.

        M is the largest number of entries of one clip in the base, so that shapes do not change from step to step.
        """
        width = max(self.most_rows_a_clip, 1)
        if len(self) == 0:
            return torch.zeros(len(codes), width, dtype=torch.long), torch.zeros(len(codes), width, dtype=torch.bool)
        known = codes.clamp_min(0)
        offsets = torch.arange(width)
        valid = (offsets[None, :] < self._counts[known][:, None]) & (codes >= 0)[:, None]  # (B, M)
        places = (self._starts[known][:, None] + offsets[None, :]).clamp_max(len(self) - 1)
        return torch.where(valid, self._order[places], 0), valid
