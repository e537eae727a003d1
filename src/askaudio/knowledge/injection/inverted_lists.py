"""Candidates of a very large base through faiss: the nearest entries of each item exactly, the rest by sample.

A softmax over a base has a head (the few entries nearest to the anchor, which hold most of its mass) and a long tail.
faiss finds the head in inverted lists of compressed rows; every found row is then scored exactly, by the table itself,
with weight 1. The tail is estimated from ``random`` rows that are drawn afresh, with log(rest / drawn) added to their
logits. Both estimates together are unbiased whatever the lists miss: a row that is not found counts as tail.

Cost of a step: 2 B searches of ``probe`` lists (N / lists rows each: lists grow with the root of N) and one read of
B x near + random rows a side. Memory: the codes, N x D bytes a side with ``SQ8``, N x D / 4 with ``PQ{D/4}``, and 16
bytes an entry for its number and its place.

Source: Bengio and Senecal 2003 (importance-sampled softmax); Johnson et al. 2017 (arXiv 1702.08734) for the lists.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from askaudio.core.errors import ConfigError
from askaudio.core.extras import require
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import Drawn, OnCpu, learn_cells, log_ratio
from askaudio.knowledge.injection.coarse import assign

PIECE = 65536  # rows added to the lists at once
TRAIN_A_LIST = 32  # rows that each list is learned from


class InvertedLists(OnCpu):
    """Finds the nearest entries of each item, and draws a random rest.

    Args:
        near: Entries found for each item of a batch.
        random: Entries drawn for the whole batch.
        lists: Inverted lists; 0 for about two times the root of N.
        probe: Lists searched for each item.
        codec: How faiss keeps rows in the lists: "SQ8", "SQfp16", "Flat", or "PQ16" and the like.
        seed: Of the draws.
    """

    draws: Tensor

    def __init__(
        self, near: int = 64, *, random: int = 4096, lists: int = 0, probe: int = 8, codec: str = "SQ8", seed: int = 0
    ) -> None:
        super().__init__()
        if near < 1 or random < 1 or lists < 0 or probe < 1:
            raise ConfigError(
                f"inverted lists need near >= 1, random >= 1, lists >= 0, probe >= 1; got {near}, {random}, {lists}, "
                f"{probe}"
            )
        self._faiss = require("faiss", "train")
        self.near, self.random, self.lists, self.probe, self.codec, self.seed = near, random, lists, probe, codec, seed
        self.register_buffer("draws", torch.zeros((), dtype=torch.long))
        self._generator = torch.Generator()
        self._indexes: tuple[Any, Any] | None = None  # of the audio and of the text table
        self._rows = 0

    def prepare(self, base: KnowledgeBase) -> None:
        """Sort both tables into lists."""
        self._rows = len(base.text)
        self._indexes = self._index(base.audio), self._index(base.text)

    def moved(self, base: KnowledgeBase, rows: Tensor) -> None:
        """Put entries that were encoded again where they belong now."""
        for index, table in zip(self._indexes or (), (base.audio, base.text), strict=False):
            index.update_vectors(rows.cpu().numpy(), table[rows].float().cpu().numpy())

    def restored(self, base: KnowledgeBase) -> None:
        """The lists are made from the loaded rows."""
        self.prepare(base)

    def _index(self, table: Tensor) -> Any:
        faiss, (n, dim) = self._faiss, table.shape
        lists = self.lists or max(1, min(int(2 * n**0.5), n // TRAIN_A_LIST))
        centers = learn_cells(table, lists, lists * TRAIN_A_LIST)
        index = faiss.index_factory(dim, f"IVF{len(centers)},{self.codec}", faiss.METRIC_INNER_PRODUCT)
        faiss.downcast_index(index.quantizer).add(centers.numpy())  # so that training leaves the lists as they are
        sample = table[:: max(1, n // 20_000)].float().cpu().numpy()
        index.train(sample)
        index.set_direct_map_type(faiss.DirectMap.Array)
        half = centers.to(table.dtype)
        for start in range(0, n, PIECE):
            rows = table[start : start + PIECE]
            cell = assign(rows, half)[1].cpu().numpy()
            wide = rows.float().cpu().numpy()
            index.add_core(len(wide), faiss.swig_ptr(wide), None, faiss.swig_ptr(cell))
        index.nprobe = min(self.probe, len(centers))
        return index

    def candidates(self, targets: Tensor, audio: Tensor, text: Tensor) -> tuple[Drawn, Drawn]:
        """Implement ``CandidateSource.candidates``: targets, nearest entries, random rest; each table has its own."""
        assert self._indexes is not None  # prepare comes first
        self.draws += 1
        self._generator.manual_seed(self.seed + int(self.draws))  # a draw is known by its number: resume is exact
        drawn = torch.randint(self._rows, (self.random,), generator=self._generator).unique()
        of_audio, of_text = self._indexes
        return self._side(of_audio, text, targets, drawn), self._side(of_text, audio, targets, drawn)

    def _side(self, index: Any, anchors: Tensor, targets: Tensor, drawn: Tensor) -> Drawn:
        found = torch.from_numpy(index.search(anchors.float().cpu().numpy(), self.near)[1]).reshape(-1)
        head = found[found >= 0].unique()
        head = torch.cat([targets, head[~torch.isin(head, targets)]])
        rest = drawn[~torch.isin(drawn, head)]
        return torch.cat([head, rest]), torch.cat([torch.zeros(len(head)), log_ratio(self._rows - len(head), rest)])
