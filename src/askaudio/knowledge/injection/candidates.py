"""Which entries of a very large base a step contrasts with: targets, hard ones, and a random rest, correctly weighted.

A million entries cannot be read at every step. The candidates of a step are (1) all target rows of the batch (own
entries and neighbors of both sides), (2) ``hard`` random members of the cells of the batch's own entries, (3)
``random`` rows drawn afresh from all others. A stratum of n rows from which m were drawn gets log(n / m) added to its
logits (importance correction), so that the softmax's denominator is estimated without bias. Cells are the lists of a
coarse quantiser over the texts, rebuilt at each refresh.

Cost of a step: one read of about targets + hard + random rows, whatever N is; memory of ``prepare``: N integers and a
(piece, cells) block. N = 1,000,000 works on a laptop. ``CandidateSource`` is the protocol that an objective calls.
``CandidateTurns`` is the simplest source, for bases of some ten thousand entries; ``inverted_lists.py`` finds the
nearest entries of each item; ``benchmarks/scale`` measures large bases.

Source: Bengio and Senecal 2003 (importance-sampled softmax); Xiong et al. 2020 (arXiv 2007.00808) for hard candidates.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.coarse import assign

TRAIN_ROWS = 50_000  # rows the quantiser learns from
ROUNDS = 4

Drawn = tuple[Tensor, Tensor]  # distinct rows (C,) of a table, and what is to be added to their logits (C,)


class CandidateSource(Protocol):
    """Says which rows of the two tables a step reads. All rows are counted in the tables that are here (a shard)."""

    def prepare(self, base: KnowledgeBase) -> None:
        """Called with every new snapshot."""
        ...

    def moved(self, base: KnowledgeBase, rows: Tensor) -> None:
        """Called when rows (n,) of the snapshot were encoded again in place."""
        ...

    def restored(self, base: KnowledgeBase) -> None:
        """Called when a state was loaded."""
        ...

    def candidates(self, targets: Tensor, audio: Tensor, text: Tensor) -> tuple[Drawn, Drawn]:
        """Candidates of a batch.

        Args:
            targets: (T,) distinct rows that must be among them, on the CPU.
            audio: (B, D) anchors that meet the text table.
            text: (B, D) anchors that meet the audio table.

        Returns:
            Of the audio table and of the text table, on the CPU; the targets first, with log weight 0.
        """
        ...


class OnCpu(nn.Module):
    """A module whose buffers stay on the CPU when a parent moves: each step reads them, which would wait for a GPU."""

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        return self


class CandidateSampling(OnCpu):
    """Draws the candidates of each step.

    Args:
        hard: Entries drawn from the cells of the batch's own entries.
        random: Entries drawn from all others.
        cells: Cells of the quantiser.
        seed: Of the draws. Cells and the generator's state are in ``state_dict``.
    """

    cell: Tensor
    draws: Tensor

    def __init__(self, hard: int = 2048, random: int = 4096, cells: int = 256, seed: int = 0) -> None:
        super().__init__()
        if hard < 0 or random < 1 or cells < 1:
            raise ConfigError(f"candidates need hard >= 0, random >= 1, cells >= 1; got {hard}, {random}, {cells}")
        self.hard = hard
        self.random = random
        self.cells = cells
        self._generator = torch.Generator()
        self.seed = seed
        self.register_buffer("draws", torch.zeros((), dtype=torch.long))
        self.register_buffer("cell", torch.zeros(0, dtype=torch.long))
        self._whole = True  # the cells are those of a whole base

    def prepare(self, base: KnowledgeBase) -> None:
        """Sort the entries into cells: k-means on a sample, then one assignment of all, in pieces."""
        centers = learn_cells(base.text, self.cells, TRAIN_ROWS)
        self.register_buffer("cell", assign(base.text, centers)[1].cpu())  # (N,)
        self._whole = base.shard is None
        self._sort()

    def moved(self, base: KnowledgeBase, rows: Tensor) -> None:
        """Cells are strata: an entry that has moved a little is counted where it was, and nothing gets biased."""

    def restored(self, base: KnowledgeBase) -> None:
        """Cells that came with the state are sorted; those of a shard are computed again."""
        if self._whole and len(self.cell) == len(base.text):
            self._sort()
        else:
            self.prepare(base)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not self._whole:  # one process's cells say nothing to another number of processes
            destination[prefix + "cell"] = self.cell[:0]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        if (cell := state_dict.get(prefix + "cell")) is not None and self._whole:
            self.register_buffer("cell", torch.zeros_like(cell))
        elif cell is not None:
            state_dict[prefix + "cell"] = self.cell
        super()._load_from_state_dict(state_dict, prefix, *args)

    def candidates(self, targets: Tensor, audio: Tensor, text: Tensor) -> tuple[Drawn, Drawn]:
        """Implement ``CandidateSource.candidates``; both tables get the same rows, drawn by ``draw``."""
        drawn = self.draw(targets[:, None])
        return drawn, drawn

    def _sort(self) -> None:
        self._members = torch.argsort(self.cell, stable=True)  # rows by cell
        self._counts = torch.bincount(self.cell, minlength=self.cells)
        self._starts = torch.cumsum(self._counts, 0) - self._counts

    def draw(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Candidates of a batch.

        Args:
            targets: Target rows (B, M) of the batch, an item's own entry first; the hard ones come from its cell.

        Returns:
            Distinct rows (C,), the distinct targets first, and log importance weights (C,), 0 for the targets.
        """
        self.draws += 1
        self._generator.manual_seed(self.seed + int(self.draws))  # a draw is known by its number: resume is exact
        n = len(self.cell)
        fixed = torch.unique(targets)
        near = torch.zeros(len(self._counts), dtype=torch.bool)
        near[self.cell[targets[:, 0]]] = True
        taken = torch.zeros(len(self._counts), dtype=torch.long).index_add_(0, self.cell[fixed], torch.ones_like(fixed))
        # sizes of the two strata that the importance weights need: targets belong to neither
        n_near = int((self._counts - taken)[near].sum())  # rows in the near cells that are not targets
        hard = self._fresh(self._draw_near(near, self.hard), fixed)
        rest = self._fresh(torch.randint(n, (self.random,), generator=self._generator), fixed)
        rest = rest[~near[self.cell[rest]]] if self.hard else rest
        n_rest = n - len(fixed) - (n_near if self.hard else 0)
        rows = torch.cat([fixed, hard, rest])
        weight = torch.cat([torch.zeros(len(fixed)), log_ratio(n_near, hard), log_ratio(n_rest, rest)])
        return rows, weight

    def _draw_near(self, near: Tensor, count: int) -> Tensor:
        """``count`` draws from the members of the near cells, each member equally likely."""
        counts = self._counts * near
        total = int(counts.sum())
        if count == 0 or total == 0:
            return torch.zeros(0, dtype=torch.long)
        # number the members of the near cells 0 .. total - 1, cell after cell, and draw numbers: large cells are drawn
        # from in proportion, without a list of all members
        ends = torch.cumsum(counts, 0)
        place = torch.randint(total, (count,), generator=self._generator)
        cell = torch.searchsorted(ends, place, right=True)
        return self._members[self._starts[cell] + place - (ends[cell] - counts[cell])]

    @staticmethod
    def _fresh(rows: Tensor, fixed: Tensor) -> Tensor:
        """Distinct rows without the fixed ones."""
        rows = torch.unique(rows)
        return rows[~torch.isin(rows, fixed)]


class CandidateTurns(OnCpu):
    """Each step reads every n-th row of the base, the next step the rows beside them: nothing is drawn or prepared.

    Where the rest of a step is cheap (heads over frozen features) the read of the base is most of its cost; an eighth
    of it taught the heads of `benchmarks/knowledge` as much as all of it. Rows sorted in a cycle whose length
    shares a factor with n are no fair sample of the base: take ``CandidateSampling`` there.

    Args:
        every: Number of steps in which the base is read once. The turn is in ``state_dict``.
    """

    turn: Tensor

    def __init__(self, every: int = 8) -> None:
        super().__init__()
        if every < 1:
            raise ConfigError(f"every must be at least 1, got {every}")
        self.every = every
        self._rows = 0
        self.register_buffer("turn", torch.zeros((), dtype=torch.long))

    def prepare(self, base: KnowledgeBase) -> None:
        """Remember how many rows are here."""
        self._rows = len(base.text)

    def moved(self, base: KnowledgeBase, rows: Tensor) -> None:
        """Nothing hangs on where entries are."""

    def restored(self, base: KnowledgeBase) -> None:
        """All but the number of rows is in the state."""
        self.prepare(base)

    def candidates(self, targets: Tensor, audio: Tensor, text: Tensor) -> tuple[Drawn, Drawn]:
        """Implement ``CandidateSource.candidates``: the targets and the rows whose turn it is, for both tables."""
        start = int(self.turn) % self.every
        self.turn += 1
        due = torch.arange(start, self._rows, self.every)
        keep = torch.ones(len(due), dtype=torch.bool)
        keep[targets[targets % self.every == start] // self.every] = False
        due = due[keep]
        weight = log_ratio(self._rows - len(targets), due)
        drawn = torch.cat([targets, due]), torch.cat([torch.zeros(len(targets)), weight])
        return drawn, drawn


def learn_cells(table: Tensor, cells: int, most_rows: int) -> Tensor:
    """Learn the centers of cells by spherical k-means on evenly spaced rows of a table.

    Args:
        table: (N, D) rows of length 1, or of zeros.
        cells: Number of cells.
        most_rows: k-means uses at most this many rows.

    Returns:
        Centers (P, D) float32; P is ``cells``, or the number of rows used where that is smaller.
    """
    sample = table[:: max(1, len(table) // most_rows)][:most_rows].float()
    centers = sample[torch.linspace(0, len(sample) - 1, min(cells, len(sample))).long()].clone()
    for _ in range(ROUNDS):
        number = assign(sample, centers)[1]
        sums = torch.zeros_like(centers).index_add_(0, number, sample)
        filled = sums.norm(dim=1) > 0
        centers[filled] = torch.nn.functional.normalize(sums[filled], dim=1)
    return centers


def log_ratio(size: int, drawn: Tensor) -> Tensor:
    """log(size / number drawn) for each drawn row; distinct draws, so never below 0."""
    ratio = torch.tensor(max(size, 1) / max(len(drawn), 1)).clamp_min(1.0).log()
    return ratio.expand(len(drawn))
