"""Default answers of a store: exact, by reading every entry.

An engine that can only list its entries gets search, word search and paging from here, at a cost that grows with the
number of entries. Engines with an index of their own override the methods of ``VectorStore`` that call these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.index.entries import Entry, Match, StoredClip, doc_text, match_of
from askaudio.index.ranking import best_first, exact_scores, first_of_each_clip
from askaudio.index.words import WordMatch, carried_words, gather_words, name_of, rank_words, words_of

_BLOCK = 4096  # entries scored together: 8 MB of vectors at D = 512


def scan_search(entries: Iterator[Entry], queries: FloatArray, top_k: int) -> list[list[Match]]:
    """Rank entries for each query, holding one block of entries in memory.

    Args:
        entries: Entries with vectors of length 1.
        queries: (Q, D) rows of length 1.
        top_k: Largest number of matches for each query.

    Returns:
        For each query, at most top_k matches, best first, ties by smaller entry_id.
    """
    best: list[list[Match]] = [[] for _ in queries]
    while block := list(islice(entries, _BLOCK)):
        vectors = np.stack([entry.vector for entry in block])
        for n, query in enumerate(queries):
            scores = exact_scores(query, vectors).tolist()
            found = [match_of(entry, score) for entry, score in zip(block, scores, strict=True)]
            best[n] = best_first([*best[n], *found])[:top_k]
    return best


def scan_best_windows(entries: Iterable[Entry], query: FloatArray, each: int) -> list[Match]:
    """The best windows of every recording among some entries, at most ``each`` per recording, best first.

    Args:
        entries: All windows of the recordings in question.
        query: (D,) of length 1.
        each: Largest number of windows per recording.
    """
    windows = list(entries)
    if not windows:
        return []
    scores = exact_scores(query, np.stack([entry.vector for entry in windows])).tolist()
    found = [match_of(entry, score) for entry, score in zip(windows, scores, strict=True)]
    return first_of_each_clip(best_first(found), each)


def scan_clips(entries: Iterable[Entry]) -> list[StoredClip]:
    """Recordings of some entries, sorted by clip_id; one item for each difference in path or metadata."""
    found: dict[str, StoredClip] = {}
    for e in entries:
        key = doc_text(e.clip_id, e.path, e.metadata)
        windows = found[key].windows + 1 if key in found else 1
        found[key] = StoredClip(e.clip_id, e.path, e.metadata, windows)
    return [found[key] for key in sorted(found, key=lambda key: (found[key].clip_id, key))]


def scan_words(
    every: Sequence[StoredClip], kept: Sequence[StoredClip], words: list[str], names: list[str], top_k: int
) -> list[WordMatch]:
    """Rank recordings by the words they carry.

    Args:
        every: All recordings of the store. They decide how rare, and so how heavy, a word is.
        kept: Recordings that may be returned: those that pass the filter.
        words: Words of the query, each once.
        names: File names that the query may mean, see ``words.possible_names``.
        top_k: Largest number of matches.
    """

    def carried_by(clips: Sequence[StoredClip]) -> dict[str, set[str]]:
        return gather_words((c.clip_id, carried_words(words, words_of(c.path, c.metadata))) for c in clips)

    carried = carried_by(every)
    having = {word: sum(word in theirs for theirs in carried.values()) for word in words}
    found = carried if kept is every else carried_by(kept)
    named = {clip.clip_id for clip in kept if name_of(clip.path) in names}
    return rank_words(found, having, total=len(carried), top_k=top_k, named=named)
