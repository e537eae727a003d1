"""Pairs of sounds that may be copies: by equal fingerprint words, and by near vectors where there are few words.

Words of long sounds are sampled by their value (``word * odd >> 32 - k == 0``), so two copies keep the same ones and
the table grows slowly with the length of the sounds. Each sound looks up at most ``MOST_FRAMES`` of its words, each
with all combinations of its least certain bits flipped; two hits at one offset make a candidate. A bit map of the
table answers most lookups at once.

Cost: 100,000 sounds of 10 s take about two minutes on one core and 300 MB; the fingerprints are read from their file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from askaudio.checks.fingerprints import NO_WORD, WEAK, Fingerprint, Words
from askaudio.core.types import FloatArray, IntArray, Progress, silent
from askaudio.duplicates.prints import PrintCache

SHORT = 128  # words: sounds up to here keep all their words in the table, sounds up to 4 * SHORT every fourth
MOST_FRAMES = 256  # words of one sound that are looked up
MAX_OWNERS = 64  # a word that occurs more often (hum, near silence) proposes nothing
MOST_PARTNERS = 48  # of one sound
TRIES = 2  # offsets of one pair
NEAR = 0.95  # cosine of vectors from which sounds with few words are compared at every offset
FEW_WORDS = 100
_ODD = np.uint32(2654435761)
_MAP_BITS = 27
_SPAN = 1 << 20  # frames; offsets lie within +- half of it
_ROWS = 128  # sounds looked up at a time


def candidates(
    cache: PrintCache, keys: Sequence[str], vectors: FloatArray | None = None, progress: Progress = silent
) -> Iterator[tuple[int, int, int | None]]:
    """Pairs to compare.

    Args:
        cache: Holds the fingerprints.
        keys: Content hash of each of N sounds.
        vectors: (N, D), rows of length 1; None to use words alone.
        progress: Called with sounds done and to do.

    Yields:
        (first, second, offset): positions in ``keys``, first < second, and the frame of the first at which the second
        begins; None where only the vectors propose the pair. A pair may occur several times.
    """
    lengths = np.zeros(len(keys), dtype=np.int64)
    table = _Table(cache, keys, lengths, progress)
    for start in range(0, len(keys), _ROWS):
        mine = list(range(start, min(start + _ROWS, len(keys))))
        prints = list(cache.each([keys[k] for k in mine]))
        yield from table.votes(mine, prints)
        progress(mine[-1] + 1, len(keys), "comparing")
    if vectors is not None:
        few = np.flatnonzero((lengths > 0) & (lengths < FEW_WORDS))
        yield from ((int(few[a]), int(few[b]), None) for a, b in near_pairs(vectors[few], NEAR))


def near_pairs(vectors: FloatArray, least: float, most: int = 8, rows: int = 1024) -> Iterator[tuple[int, int]]:
    """Pairs of rows with a cosine of at least ``least``, at most ``most`` for each row; (a, b) with a < b.

    Args:
        vectors: (N, D), rows of length 1.
        least: Smallest cosine.
        most: Largest number of partners that one row proposes.
        rows: Rows multiplied at a time: memory is rows * N floats.
    """
    for start in range(0, len(vectors), rows):
        scores = vectors[start : start + rows] @ vectors.T  # (rows, N)
        own = np.arange(len(scores))
        scores[own, start + own] = -1
        k = min(most, scores.shape[1] - 1)
        if k < 1:
            return
        nearest = np.argpartition(scores, -k, axis=1)[:, -k:]
        for row, others in enumerate(nearest):
            for other in others[scores[row, others] >= least]:
                yield min(start + row, int(other)), max(start + row, int(other))


class _Table:
    """Sampled words of all sounds in sorted order, with their owners and frames."""

    def __init__(self, cache: PrintCache, keys: Sequence[str], lengths: IntArray, progress: Progress) -> None:
        words, owners, frames = [np.zeros(0, np.uint32)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        for k, one in enumerate(cache.each(keys)):
            if one is not None:
                lengths[k] = len(one.words)
                kept = _sampled(one.words)
                words.append(one.words[kept])
                owners.append(np.full(len(kept), k, np.int32))
                frames.append(kept.astype(np.int32))
            progress(k + 1, len(keys), "reading fingerprints")
        joined = np.concatenate(words)
        order = np.argsort(joined, kind="stable")
        self.words = joined[order]
        self.owners = np.concatenate(owners)[order]
        self.frames = np.concatenate(frames)[order]
        self.map = np.zeros(1 << (_MAP_BITS - 3), np.uint8)
        place = _place(self.words)
        np.bitwise_or.at(self.map, place >> 3, np.uint8(1) << (place & 7).astype(np.uint8))

    def votes(self, mine: list[int], prints: list[Fingerprint | None]) -> Iterator[tuple[int, int, int]]:
        """Pairs of some sounds with any other sound of a larger position."""
        looked = [
            _variants(one) if one is not None else (np.zeros(0, np.uint32), np.zeros(0, np.int64)) for one in prints
        ]
        words = np.concatenate([w for w, _ in looked])
        frames = np.concatenate([f for _, f in looked])
        row = np.repeat(np.arange(len(mine)), [len(w) for w, _ in looked])
        place = _place(words)
        seen = (self.map[place >> 3] >> (place & 7).astype(np.uint8)) & 1 > 0
        words, frames, row = words[seen], frames[seen], row[seen]
        left, right = np.searchsorted(self.words, words, "left"), np.searchsorted(self.words, words, "right")
        count = right - left
        count[count > MAX_OWNERS] = 0
        # expand the ranges left[i] ... left[i] + count[i] of all words to one array of table positions
        query = np.repeat(np.arange(len(words)), count)
        at = np.repeat(left - (np.cumsum(count) - count), count) + np.arange(len(query))
        owner = self.owners[at].astype(np.int64)
        offset = self.frames[at].astype(np.int64) - frames[query]
        other = owner != np.array(mine)[row[query]]
        yield from self._counted(mine, row[query][other], owner[other], offset[other], prints)

    def _counted(
        self, mine: list[int], row: IntArray, owner: IntArray, offset: IntArray, prints: list[Fingerprint | None]
    ) -> Iterator[tuple[int, int, int]]:
        # row, owner and offset in one number, so that one call counts the votes; two neighbouring offsets share one
        total = int(owner.max(initial=0)) + 1
        keys, votes = np.unique((row * total + owner) * _SPAN + (offset + _SPAN // 2) // 2, return_counts=True)
        rows, owners = keys // _SPAN // total, keys // _SPAN % total
        least = np.array([1 if one is None or len(one.words) <= SHORT else 2 for one in prints])
        enough = votes >= least[rows] if len(rows) else np.zeros(0, bool)
        keys, votes, rows, owners = keys[enough], votes[enough], rows[enough], owners[enough]
        tried: dict[tuple[int, int], int] = {}
        partners = np.zeros(len(mine), np.int64)
        for k in np.argsort(-votes, kind="stable"):
            me, clip = int(rows[k]), int(owners[k])
            before = tried.get((me, clip), 0)
            if before >= TRIES or (not before and partners[me] >= MOST_PARTNERS):
                continue
            tried[me, clip] = before + 1
            partners[me] += not before
            shift = int(keys[k] % _SPAN) * 2 - _SPAN // 2  # frame of the other at which this sound begins
            yield (clip, mine[me], shift) if clip < mine[me] else (mine[me], clip, -shift)


def _place(words: Words) -> npt.NDArray[np.int64]:
    """Bit of the map for each word."""
    return ((words * _ODD) >> np.uint32(32 - _MAP_BITS)).astype(np.int64)


def _sampled(words: Words) -> IntArray:
    """Frames of the words that the table keeps."""
    shift = 0 if len(words) <= SHORT else 2 if len(words) <= 4 * SHORT else 4
    kept = words != NO_WORD
    if shift:
        # the multiplier differs from that of the map, whose places would be empty otherwise
        kept &= (words * np.uint32(0x9E3779B1 ^ 0x5BD1E994)) >> np.uint32(32 - shift) == 0
    return np.flatnonzero(kept)


def _variants(fingerprint: Fingerprint) -> tuple[Words, IntArray]:
    """Some words of a sound with all combinations of their weak bits flipped, and the frame of each."""
    used = np.flatnonzero(fingerprint.words != NO_WORD)
    if len(used) > MOST_FRAMES:
        used = used[np.linspace(0, len(used) - 1, MOST_FRAMES).astype(np.int64)]
    words = fingerprint.words[used][:, None]  # (T, 1)
    for k in range(WEAK):
        bit = np.uint32(1) << (np.uint32(31) - fingerprint.weak[used, k].astype(np.uint32))
        words = np.concatenate([words, words ^ bit[:, None]], axis=1)  # (T, 2 ** (k + 1))
    return words.ravel(), np.repeat(used, words.shape[1])
