"""Decide whether two sounds are copies: by fingerprint bits, then by waveforms, which are decoded only if needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from askaudio.checks.fingerprints import HOP_S, NO_WORD, RATE_HZ, Fingerprint, Words
from askaudio.core.types import FloatArray
from askaudio.duplicates.waveforms import WaveMatch, match_waveforms

LEAST_SHARE = 0.6  # of the longer sound that a copy has; less is an excerpt
LEAST_INSIDE = 0.9  # of the shorter sound that the longer one has: each of two takes has something of its own
MOST_BIT_ERROR = 0.36  # opus at 24 kbit/s reaches 0.3; sounds 3 % faster 0.33
# (seconds of overlap, ``agreement`` from which two sounds are copies): short sounds are alike by chance more easily
LEAST_AGREEMENT = ((0.5, 0.72), (0.25, 0.82), (0.0, 0.9))
_WAVEFORMS = 24  # decoded sounds held in memory: at most 5.8 MB each
_ONES = np.array([bin(k).count("1") for k in range(1 << 16)], dtype=np.uint8)


def bit_errors(a: Words, b: Words, offsets: range) -> FloatArray:
    """Share of differing bits where ``b`` begins at each of some frames of ``a``; 1 where nothing can be compared.

    Args:
        a: (T,) words of one sound.
        b: (T',) words of the other.
        offsets: O frames in steps of 1.

    Returns:
        (O,) float64.
    """
    before, after = max(0, -offsets.start), max(0, offsets.stop - 1 + len(b) - len(a))
    padded = np.pad(a, (before, after), constant_values=NO_WORD)
    beside = np.lib.stride_tricks.sliding_window_view(padded, len(b))[before + offsets.start :][: len(offsets)]
    telling = (beside != NO_WORD) & (b != NO_WORD)
    different = beside ^ b
    ones = _ONES[different & 0xFFFF].astype(np.int64) + _ONES[different >> 16]
    count = telling.sum(axis=1)
    return np.where(count, (ones * telling).sum(axis=1) / np.maximum(32 * count, 1), 1.0)


def best_offset(a: Words, b: Words, vote: int | None) -> tuple[int, float]:
    """The offset with the fewest differing bits, and their share.

    Args:
        a: Words of one sound.
        b: Words of the other.
        vote: Offset that equal words propose; None tries every offset at which enough overlaps.
    """
    if not len(a) or not len(b):
        return 0, 1.0
    if vote is not None:
        tried = range(vote - 1, vote + 3)  # a vote covers two offsets; one more on each side
    else:
        spare = int((1 - LEAST_SHARE) * max(len(a), len(b))) + 1
        tried = range(max(-spare, -len(b) + 1), min(spare, len(a) - 1) + 1)
    errors = bit_errors(a, b, tried)
    best = min(range(len(tried)), key=lambda k: (errors[k], abs(tried[k])))
    return tried[best], float(errors[best])


def overlap_share(n_a: int, n_b: int, offset: int) -> float:
    """Share of the longer of two sounds that both have where the second begins at ``offset``; all in one unit."""
    return max(0, min(n_a, offset + n_b) - max(0, offset)) / max(n_a, n_b, 1)


def agreement(error: float, match: WaveMatch) -> float:
    """How sure two sounds are copies: 1 for equal samples; chance is about -0.4.

    Codecs with few bits change the waveform, which many equal bits outweigh; a sound with another one on top has a
    similar waveform and other bits.

    Args:
        error: Share of differing fingerprint bits.
        match: Of the waveforms.
    """
    return match.low - error


class Waveforms:
    """The last decoded sounds.

    Args:
        read: Path -> samples (S,) at ``RATE_HZ``, or None if the file cannot be decoded.
    """

    def __init__(self, read: Callable[[str], FloatArray | None]) -> None:
        self._read = read
        self._held: OrderedDict[str, FloatArray | None] = OrderedDict()

    def get(self, path: str) -> FloatArray | None:
        """The samples of a file."""
        if path not in self._held:
            self._held[path] = self._read(path)
            if len(self._held) > _WAVEFORMS:
                self._held.popitem(last=False)
        self._held.move_to_end(path)
        return self._held[path]


def judge(
    prints: tuple[Fingerprint, Fingerprint],
    paths: tuple[str, str],
    vote: int | None,
    waveforms: Waveforms,
    share: float = LEAST_SHARE,
) -> tuple[float, WaveMatch] | None:
    """Whether two sounds are copies.

    Args:
        prints: Their fingerprints.
        paths: Their files.
        vote: Frame of the first at which the second begins, as far as known.
        waveforms: Decoded sounds.
        share: Least share of the longer sound that both must have.

    Returns:
        Their agreement and how their waveforms match; None if they are not copies, or cannot be decoded.
    """
    a, b = prints[0].words, prints[1].words
    offset, error = best_offset(a, b, vote)
    # a word covers the third of a second around it, so the last words of a cut sound are lost on both sides
    both = overlap_share(len(a), len(b), offset)
    inside = both * max(len(a), len(b)) / max(min(len(a), len(b)), 1)
    if error > MOST_BIT_ERROR or both < share or inside < LEAST_INSIDE:
        return None
    first, second = waveforms.get(paths[0]), waveforms.get(paths[1])
    if first is None or second is None:
        return None
    match = match_waveforms(first, second, offset * HOP_S)
    sure = agreement(error, match)
    longer = max(len(first), len(second))
    overlap_s = overlap_share(len(first), len(second), round(match.offset_s * RATE_HZ)) * longer / RATE_HZ
    least = next(limit for seconds, limit in LEAST_AGREEMENT if overlap_s >= seconds)
    return (sure, match) if sure >= least else None
