"""Pages of a ranking: what a list shows while somebody scrolls through it.

A ranking is computed to a depth and kept for the next pages of the same query; deeper pages compute it again, twice as
deep. So the first page is quick, and the list has no end but that of the collection.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from askaudio.index.filters import number_of
from askaudio.search.catalogue import name_key, split_path
from askaudio.search.hits import POSSIBLE, Hit, Hits

FIRST_DEPTH = 200
SORTED_DEPTH = 1000  # hits that are put into another order than that of the ranking
_RANKINGS_KEPT = 8
_HITS_KEPT = 50_000
Order = Literal["match", "name", "duration", "date", "loudness", "brightness"]
_FACTS = {
    "duration": "duration_s", "date": "modified_s", "loudness": "loudness_lufs", "brightness": "brightness_hz",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """Some hits of a ranking.

    Attributes:
        hits: The hits from the offset on.
        total: Number of hits of the whole list, where it is known; the ranking is complete then.
        notes: What the user should know about the query.
        fits: Whether any hit of the ranking is a possible match.
    """

    hits: Sequence[Hit]
    total: int | None
    notes: tuple[str, ...] = ()
    fits: bool = True


class ResultPages:
    """The rankings of the last queries; safe to use by several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[int, Hits]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, key: Hashable, rank: Callable[[int], Hits], offset: int, limit: int) -> Page:
        """Hits ``offset`` to ``offset + limit`` of a ranking.

        Args:
            key: Names the query and the version of the store.
            rank: Computes the first n hits.
            offset: Hits to skip.
            limit: Most hits.
        """
        depth, hits = self._ranked(key, rank, offset + limit)
        total = len(hits) if len(hits) < depth else None
        return Page(hits[offset : offset + limit], total, hits.notes, hits.fits)

    def sorted_page(
        self, key: Hashable, rank: Callable[[int], Hits], order: Order, descending: bool, offset: int, limit: int
    ) -> Page:
        """As ``page``, in another order: of the first ``SORTED_DEPTH`` hits, those that match.

        Args:
            key: As for ``page``.
            rank: As for ``page``.
            order: What to sort by.
            descending: Largest first.
            offset: Hits to skip.
            limit: Most hits.
        """
        _, hits = self._ranked(key, rank, SORTED_DEPTH)
        matching = [hit for hit in hits[:SORTED_DEPTH] if hit.match >= POSSIBLE or hit.words]
        found = sort_hits(matching, order, descending)
        return Page(found[offset : offset + limit], len(found), hits.notes, hits.fits)

    def _ranked(self, key: Hashable, rank: Callable[[int], Hits], least: int) -> tuple[int, Hits]:
        with self._lock:
            depth, hits = self._kept.get(key, (0, Hits()))
        if depth >= least or len(hits) < depth:
            return depth, hits
        depth = FIRST_DEPTH
        while depth < least:
            depth *= 2
        hits = rank(depth)
        with self._lock:
            self._kept[key] = depth, hits
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and (
                len(self._kept) > _RANKINGS_KEPT or sum(len(kept) for _, kept in self._kept.values()) > _HITS_KEPT
            ):
                self._kept.popitem(last=False)
        return depth, hits


def sort_hits(hits: Sequence[Hit], order: Order, descending: bool = False) -> list[Hit]:
    """Hits by a fact; those without it come last, ties keep their order.

    Args:
        hits: In the order of the ranking.
        order: What to sort by.
        descending: Largest first.
    """
    if order == "match":
        return list(hits)[::-1] if descending else list(hits)
    if order == "name":
        return sorted(hits, key=lambda hit: name_key(split_path(hit.path)[1]), reverse=descending)
    with_fact = [hit for hit in hits if number_of(hit.metadata, _FACTS[order]) is not None]
    ordered = sorted(with_fact, key=lambda hit: number_of(hit.metadata, _FACTS[order]) or 0.0, reverse=descending)
    return ordered + [hit for hit in hits if number_of(hit.metadata, _FACTS[order]) is None]
