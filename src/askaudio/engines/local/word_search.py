"""Word search in the inverted indexes of base and delta.

Cost: only the posting lists of the query's words are read, and only the ids of the returned recordings. The exact
engine (``index/scans.py``) parses every recording for the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from askaudio.core.types import BoolArray, IntArray
from askaudio.engines.local.columns import NAME, WORD, Columns
from askaudio.index.words import WordMatch, rank_words, word_weight

Docs = BoolArray | None  # (M,) docs that count; None for all


class Sides(NamedTuple):
    """Both parts of a view.

    Attributes:
        base: The large part.
        delta: Later changes.
        shared: (n, 2) for the n clips with entries in both parts: their numbers in base and delta.
    """

    base: Columns
    delta: Columns
    shared: IntArray

    def carriers(self, term: str, docs: tuple[Docs, Docs]) -> tuple[IntArray, IntArray]:
        """Numbers of the clips that carry a term, ascending, in base and delta.

        A clip of both parts may carry the term in either. It is reported once, for the base, so that counts are right.
        """
        base, delta = self.base.clips_with(term, docs[0]), self.delta.clips_with(term, docs[1])
        if not len(self.shared):
            return base, delta
        in_base, in_delta = self.shared.T
        return np.union1d(base, in_base[_contains(delta, in_delta)]), delta[~_contains(in_delta, delta)]


def find_words(
    sides: Sides,
    *,
    alive: tuple[Docs, Docs],
    kept: tuple[Docs, Docs],
    n_clips: int,
    words: Sequence[str],
    names: Sequence[str],
    top_k: int,
) -> list[WordMatch]:
    """Rank recordings by the words they carry.

    Args:
        sides: Base and delta.
        alive: Docs that exist. They decide how rare a word is, whatever the filter.
        kept: Docs that may be returned: those that pass the filter.
        n_clips: Number of clips in the collection.
        words: Words of the query, each once.
        names: File names that the query may mean.
        top_k: Largest number of matches.
    """
    all_carriers = [sides.carriers(WORD + word, alive) for word in words]
    having = {word: len(base) + len(delta) for word, (base, delta) in zip(words, all_carriers, strict=True)}
    weights = [word_weight(n_clips, having[word]) for word in words]
    carriers = all_carriers if kept is alive else [sides.carriers(WORD + word, kept) for word in words]
    of_name = [sides.carriers(NAME + name, kept) for name in names]
    found: dict[str, set[str]] = {}
    named: set[str] = set()
    # the best top_k of each part contain the best top_k of both; ``rank_words`` orders them exactly
    for side, part in enumerate((sides.base, sides.delta)):
        carrying, naming = [pair[side] for pair in carriers], [pair[side] for pair in of_name]
        best = _best(part.n_clips, carrying, weights, naming, top_k)
        ids = part.clip_ids(best)
        has = [_contains(clips, best) for clips in carrying]
        found |= {key: {w for w, row in zip(words, has, strict=True) if row[at]} for at, key in enumerate(ids)}
        named |= {key for key, is_named in zip(ids, np.isin(best, np.concatenate(naming)), strict=True) if is_named}
    return rank_words(found, having, total=n_clips, top_k=top_k, named=named)


def _contains(sorted_clips: IntArray, clips: IntArray) -> BoolArray:
    """For each of some clips (n,), whether it is in a sorted list."""
    if not len(sorted_clips):
        return np.zeros(len(clips), np.bool_)
    place = np.minimum(np.searchsorted(sorted_clips, clips), len(sorted_clips) - 1)
    return np.asarray(sorted_clips[place] == clips, np.bool_)


def _best(
    n_clips: int, carriers: Sequence[IntArray], weights: Sequence[float], named: Sequence[IntArray], top_k: int
) -> IntArray:
    """The first top_k clips by (named, weight of the words carried, smaller id).

    Args:
        n_clips: Number of clips in this part.
        carriers: For each word, the clips that carry it.
        weights: Weight of each word.
        named: For each possible file name, the clips whose file has it.
        top_k: Number of clips to return.
    """
    score: npt.NDArray[np.float64] = np.zeros(n_clips)
    # summed in the order of the query for every clip: clips with equal words must have bitwise equal scores to tie
    for weight, clips in zip(weights, carriers, strict=True):
        score[clips] += weight
    for clips in named:  # no words can outweigh a name
        score[clips] += sum(weights)
    rows = np.flatnonzero(score)
    if len(rows) <= top_k:
        return rows
    reached = score[rows]
    kth = np.partition(reached, len(rows) - top_k)[len(rows) - top_k]
    above = rows[reached > kth]
    return np.concatenate([above, rows[reached == kth][: top_k - len(above)]])
