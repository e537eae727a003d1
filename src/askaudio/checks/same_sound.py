"""Search for pairs of fingerprints that contain the same sound, at any offset.

Equal words propose candidates: every word is looked up unchanged and with each combination of its ``WEAK`` least
certain bits flipped, and two hits at one offset make a candidate. All bits of the overlap decide: a candidate is a
match if fewer of them differ than in unrelated sounds.
Cost: 7,738 clips (7.9 hours) against each other in 17 s on one core; memory about 12 bytes a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from askaudio.checks.fingerprints import HOP_S, NO_WORD, WEAK, Fingerprint, Words
from askaudio.core.types import IntArray, Progress, silent

MIN_VOTES = 2  # hits at one offset; one is enough for a clip of less than SHORT words
SHORT = 64
MAX_OWNERS = 256  # a word that occurs more often (hum, near silence) proposes no candidate
TRIES = 3  # offsets that are compared for one pair
_SPAN = 1 << 19  # frames; offsets lie within +- half of it (70 minutes)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two clips that contain the same sound.

    Args:
        first: Position of one clip.
        second: Position of the other, larger.
        offset_s: Start of the second clip within the first, in seconds.
        overlap_s: Length of the overlap in seconds.
        bit_error: Share of differing bits; 0 is identical, 0.5 is chance.
    """

    first: int
    second: int
    offset_s: float
    overlap_s: float
    bit_error: float


def largest_bit_error(n_words: int) -> float:
    """Largest share of differing bits that still means the same sound, for an overlap of ``n_words`` words.

    Bits of unrelated sounds differ with mean 0.5 and a standard deviation of 0.17 / sqrt(n_words) (measured; words
    overlap, so it is larger than for independent bits). The limit is seven deviations below 0.5, at most 0.35.
    """
    return min(0.35, 0.5 - 7 * 0.17 / math.sqrt(n_words))


class _Table:
    """All words in sorted order, with their clips and frames; a lookup is a binary search."""

    def __init__(self, prints: Sequence[Fingerprint]) -> None:
        lengths = np.array([len(p.words) for p in prints], dtype=np.int64)
        words = np.concatenate([p.words for p in prints]) if len(prints) else np.zeros(0, np.uint32)
        owner = np.repeat(np.arange(len(prints), dtype=np.int32), lengths)
        frame = (np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)).astype(np.int32)
        order = np.argsort(words, kind="stable")
        order = order[words[order] != NO_WORD]
        self.words, self.owner, self.frame = words[order], owner[order], frame[order]

    def hits(self, words: Words, frames: IntArray) -> tuple[IntArray, IntArray]:
        """(clip, own frame minus query frame) of every place where a query word occurs."""
        left, right = np.searchsorted(self.words, words, "left"), np.searchsorted(self.words, words, "right")
        count = right - left
        count[count > MAX_OWNERS] = 0
        # expand the ranges left[i] ... left[i] + count[i] of all words to one array of table positions
        query = np.repeat(np.arange(len(words)), count)
        start = np.repeat(left - (np.cumsum(count) - count), count)
        place = start + np.arange(len(query))
        return self.owner[place].astype(np.int64), self.frame[place].astype(np.int64) - frames[query]


def _variants(fingerprint: Fingerprint) -> tuple[Words, IntArray]:
    """Every word with all combinations of its weak bits flipped, and the frame of each."""
    used = np.flatnonzero(fingerprint.words != NO_WORD)
    words = fingerprint.words[used][:, None]  # (T, 1)
    for k in range(WEAK):
        bit = np.uint32(1) << (np.uint32(31) - fingerprint.weak[used, k].astype(np.uint32))
        words = np.concatenate([words, words ^ bit[:, None]], axis=1)  # (T, 2 ** (k + 1))
    return words.ravel(), np.repeat(used, words.shape[1])


def _candidates(table: _Table, fingerprint: Fingerprint, me: int) -> Iterator[tuple[int, int]]:
    """(other clip, offset in frames) with enough hits, most hits first, at most ``TRIES`` offsets a clip."""
    owner, offset = table.hits(*_variants(fingerprint))
    other = owner != me
    # clip and offset in one number, so that one call of unique counts the votes; two neighbouring offsets share a vote
    pair = owner[other] * _SPAN + (offset[other] + _SPAN // 2) // 2
    keys, votes = np.unique(pair, return_counts=True)
    enough = votes >= (MIN_VOTES if len(fingerprint.words) >= SHORT else 1)
    keys, votes = keys[enough], votes[enough]
    tried: dict[int, int] = {}
    for k in np.argsort(-votes, kind="stable"):
        clip = int(keys[k] // _SPAN)
        tried[clip] = tried.get(clip, 0) + 1
        if tried[clip] <= TRIES:
            yield clip, int(keys[k] % _SPAN) * 2 - _SPAN // 2


_ONES = np.array([bin(k).count("1") for k in range(1 << 16)], dtype=np.uint8)


def _compare(a: Words, b: Words, offset: int) -> tuple[float, int]:
    """Share of differing bits where ``b`` begins at frame ``offset`` of ``a``, and the number of words compared."""
    a, b = a[max(0, offset) :], b[max(0, -offset) :]
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    both = (a != NO_WORD) & (b != NO_WORD)
    n = int(both.sum())
    if n == 0:
        return 1.0, 0
    different = (a ^ b)[both]
    ones = _ONES[different & 0xFFFF].sum(dtype=np.int64) + _ONES[different >> 16].sum(dtype=np.int64)
    return float(ones) / (32 * n), n


def find_overlaps(prints: Sequence[Fingerprint | None], progress: Progress = silent) -> list[Overlap]:
    """All pairs of clips that contain the same sound.

    Args:
        prints: Fingerprints; None (a clip that cannot be decoded) matches nothing.
        progress: Called after every clip.

    Returns:
        One overlap a pair (its best offset), ordered by position in ``prints``.
    """
    positions = [k for k, one in enumerate(prints) if one is not None]
    found = _overlaps([one for one in prints if one is not None], progress)
    return [replace(one, first=positions[one.first], second=positions[one.second]) for one in found]


def _overlaps(prints: list[Fingerprint], progress: Progress) -> list[Overlap]:
    table = _Table(prints)
    best: dict[tuple[int, int], Overlap] = {}
    for me, fingerprint in enumerate(prints):
        for other, offset in _candidates(table, fingerprint, me):
            for shift in range(offset - 1, offset + 3):  # the vote covers two offsets; one more on each side
                error, n = _compare(prints[other].words, fingerprint.words, shift)
                if n and error <= largest_bit_error(n):
                    pair = (min(me, other), max(me, other))
                    start = shift if other < me else -shift
                    found = Overlap(*pair, start * HOP_S, n * HOP_S, error)
                    if pair not in best or error < best[pair].bit_error:
                        best[pair] = found
        progress(me + 1, len(prints), "comparing")
    return [best[pair] for pair in sorted(best)]
