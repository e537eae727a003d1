"""Which recordings carry the words of a query: read from the inverted indexes of a base and of the delta over it.

Only the lists of the query's words are read, and only the recordings that are returned are looked at more closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from askaudio.core.types import BoolArray, IntArray
from askaudio.engines.local.table import NAME, WORD, Table
from askaudio.index.words import WordMatch, rank_words, word_weight

Docs = BoolArray | None  # (M,) docs of a table that count; None for all


class Sides(NamedTuple):
    """The two tables.

    Attributes:
        base: The large one.
        delta: Later changes.
        shared: Clips that stand in both -> (number of them, 2): their numbers in base and delta, in order.
    """

    base: Table
    delta: Table
    shared: IntArray

    def carriers(self, term: str, docs: tuple[Docs, Docs]) -> tuple[IntArray, IntArray]:
        """Numbers of the clips that carry a term, in order; a clip that stands in both tables counts in the base."""
        base, delta = self.base.clips_with(term, docs[0]), self.delta.clips_with(term, docs[1])
        if not len(self.shared):
            return base, delta
        in_base, in_delta = self.shared.T
        return np.union1d(base, in_base[_contains(delta, in_delta)]), delta[~_contains(in_delta, delta)]


def find_words(
    sides: Sides, alive: tuple[Docs, Docs], kept: tuple[Docs, Docs], n_clips: int, wanted: Sequence[str],
    names: Sequence[str], top_k: int,
) -> list[WordMatch]:  # fmt: skip
    """Rank recordings by the words they carry.

    Args:
        sides: Where to look.
        alive: Docs that are there: they say how rare a word is.
        kept: Docs that may be returned.
        n_clips: Number of clips in all.
        wanted: Words, each once.
        names: File names that the query may mean.
        top_k: How many to return.
    """
    all_carriers = [sides.carriers(WORD + word, alive) for word in wanted]
    having = {word: len(base) + len(delta) for word, (base, delta) in zip(wanted, all_carriers, strict=True)}
    weights = [word_weight(n_clips, having[word]) for word in wanted]
    carriers = all_carriers if kept is alive else [sides.carriers(WORD + word, kept) for word in wanted]
    of_name = [sides.carriers(NAME + name, kept) for name in names]
    found: dict[str, set[str]] = {}
    named: set[str] = set()
    for number, table in enumerate((sides.base, sides.delta)):
        carrying, naming = [pair[number] for pair in carriers], [pair[number] for pair in of_name]
        best = _best(table.n_clips, carrying, weights, naming, top_k)
        ids = table.clip_ids(best)
        has = [_contains(clips, best) for clips in carrying]
        found |= {key: {w for w, row in zip(wanted, has, strict=True) if row[at]} for at, key in enumerate(ids)}
        named |= {key for key, is_named in zip(ids, np.isin(best, np.concatenate(naming)), strict=True) if is_named}
    return rank_words(found, having, n_clips, top_k, named)


def _contains(sorted_clips: IntArray, asked: IntArray) -> BoolArray:
    """Which of some clips stand in a sorted list of clips."""
    if not len(sorted_clips):
        return np.zeros(len(asked), np.bool_)
    place = np.minimum(np.searchsorted(sorted_clips, asked), len(sorted_clips) - 1)
    return np.asarray(sorted_clips[place] == asked, np.bool_)


def _best(
    n_clips: int, carriers: Sequence[IntArray], weights: Sequence[float], named: Sequence[IntArray], top_k: int
) -> IntArray:
    """The first top_k clips by (named, weight of the words carried, smaller id), those without any left out."""
    score: npt.NDArray[np.float64] = np.zeros(n_clips)
    for weight, clips in zip(weights, carriers, strict=True):  # in this order for all: equal words, equal score
        score[clips] += weight
    for clips in named:
        score[clips] += sum(weights)
    rows = np.flatnonzero(score)
    if len(rows) <= top_k:
        return rows
    reached = score[rows]
    kth = np.partition(reached, len(rows) - top_k)[len(rows) - top_k]
    above = rows[reached > kth]
    return np.concatenate([above, rows[reached == kth][: top_k - len(above)]])
