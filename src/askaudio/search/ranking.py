"""The ranking policy: from found windows to an ordered list of clips. It reads vectors and scores, never the store.

1. Windows of one recording become one candidate (``by_clip``).
2. Each cosine is compared with the query's background, the cosines between the query and a fixed sample of the
   collection: ``z`` is the distance from their median, in units of their spread. A raw cosine depends on the model and
   on the kind of query (words against sounds lie near 0.1, sounds against sounds near 0.7); z does not. ``match`` maps
   both to 0-100 for people: the probability that the hit is right, for a model that was measured
   (``encoders/tuning.py``); a function of z alone for other models.
3. A part to avoid lowers z by how clearly the candidate stands out for that part (``_lower``).
4. Candidates whose name, tags or caption carry the query's words move up (``fuse``).
5. Candidates that contradict a part to avoid come after all others (``_contradicting``).
6. Near-identical takes are folded into the best of them (``_fold``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.encoders.tuning import MatchCurve
from askaudio.index.entries import Match
from askaudio.index.filters import number_of
from askaudio.index.ranking import exact_scores
from askaudio.index.words import WordMatch, carried_words, words_of
from askaudio.search.hits import Segment, Twin
from askaudio.search.query import AVOID_WEIGHT

Lead = Literal["match", "name", "quality"]
SAMPLE = 1024  # vectors of the collection that make the background
LEAST_WORDS = 0.5  # clips that carry a smaller share of the query's words (by weight) do not count as named
NEAR_DUPLICATE = 0.995  # cosine from which two takes count as the same, in a collection whose sounds differ
BY_Z = MatchCurve(bias=-3.75, z=1.25)  # of models that were not measured: 50 at z = 3
NOTHING_KNOWN = MatchCurve(bias=-30.0, z=0.0)  # 0 for every hit
_CLEAR_Z = 1.0  # z from which a sound can contradict a part to avoid; most sounds of a collection are below
_LEAST_SPREAD = 0.02  # for collections whose sounds are all alike
_NEAR_SHARE = 0.02  # near-duplicates are closer than this share of the usual distance in the collection
_PAIRS = 256  # vectors of the sample whose pairwise distances show the usual distance
_SAME = 0.999  # the same sound, whatever the background
_FADE = 0.15  # windows that lose more than this share of the clip's lead over the background end a segment
_FOLDED = 2_000  # recordings among which near-identical takes are looked for: 16 MB of cosines
_LOSSY = frozenset(("mp3", "ogg", "mov", "m4a", "asf", "aac", "matroska", "webm", "opus"))
_RRF = 60.0  # rank constant of reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009)


@dataclass(slots=True)
class Candidate:
    """A recording that may become a hit; ``best`` is its best window."""

    clip_id: str
    best: Match
    windows: list[Match] = field(default_factory=list)
    words: tuple[str, ...] = ()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """As stored, bookkeeping included."""
        return self.best.metadata


@dataclass(frozen=True, slots=True)
class Avoided:
    """A part that hits should not be like.

    Attributes:
        weight: Below zero.
        vector: (D,), length 1.
        words: Of a text, without those that the query looks for.
    """

    weight: float
    vector: FloatArray
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its final place.

    Attributes:
        candidate: The recording.
        match: 0-100, see ``Hit``.
        twins: Near-identical takes that were folded into it.
        median: Cosine that the query has with an average sound of the collection.
    """

    candidate: Candidate
    match: float
    twins: tuple[Twin, ...]
    median: float


class Sample:
    """Some vectors of a collection, which show what cosines are usual in it.

    Args:
        vectors: (M, D), rows of length 1.
    """

    def __init__(self, vectors: FloatArray) -> None:
        self.vectors = vectors
        self.near_duplicate = near_duplicate_cosine(vectors)


@dataclass(frozen=True, slots=True)
class Background:
    """Median and spread of a query's cosines with the sample."""

    median: float
    spread: float
    curve: MatchCurve = BY_Z

    def z(self, score: float) -> float:
        """Distance of a cosine from the median, in spreads."""
        return (score - self.median) / self.spread

    def match(self, z: float, cosine: float) -> float:
        """0-100, see ``Hit``.

        Args:
            z: Of the score, lowered by parts to avoid.
            cosine: With the query itself, without the correction of hubs.
        """
        return self.curve(z, cosine, self.spread) if cosine < _SAME else 100.0


def background_of(query: FloatArray, sample: FloatArray, curve: MatchCurve = BY_Z) -> Background:
    """Background of a query.

    Args:
        query: (D,), length 1.
        sample: (M, D), rows of length 1.
        curve: Maps scores to ``match``.
    """
    if len(sample) < 2:
        return Background(0.0, 0.1, curve)
    scores = np.sort(sample @ query)
    # the result of np.quantile, in a tenth of its time
    low, median, high = np.interp(np.array([0.159, 0.5, 0.841]) * (len(scores) - 1), np.arange(len(scores)), scores)
    # the spread is measured below the median: the upper half may contain the sounds that the query describes
    return Background(float(median), max(float(median - low), float(high - low) / 4, _LEAST_SPREAD), curve)


def near_duplicate_cosine(sample: FloatArray) -> float:
    """Cosine from which two takes count as the same, given a sample (M, D) of the collection.

    An encoder after a short training puts all sounds close together; a fixed 0.995 would fold everything into one.
    """
    some = sample[:: max(1, len(sample) // _PAIRS)]
    if len(some) < 2:
        return NEAR_DUPLICATE
    pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
    return max(NEAR_DUPLICATE, 1.0 - _NEAR_SHARE * (1.0 - float(np.median(pairs))))


def candidates_needed(top_k: int, avoids: bool) -> int:
    """Recordings to fetch for top_k hits; more when parts to avoid may move many of them down."""
    return 10 * top_k + 50 if avoids else 2 * top_k + 20


def by_clip(matches: Iterable[Match]) -> list[Candidate]:
    """Group windows that come best first; clips in the order of their best window."""
    found: dict[str, Candidate] = {}
    for match in matches:
        candidate = found.get(match.clip_id)
        if candidate is None:
            candidate = found[match.clip_id] = Candidate(match.clip_id, match)
        candidate.windows.append(match)
    return list(found.values())


def rank_candidates(
    candidates: list[Candidate],
    query: FloatArray,
    sample: Sample,
    top_k: int,
    *,
    avoided: Sequence[Avoided] = (),
    named: Sequence[WordMatch] = (),
    fold_twins: bool = True,
    lead: Lead = "match",
    curve: MatchCurve = BY_Z,
    uncorrected: FloatArray | None = None,
) -> list[Ranked]:
    """Order candidates; steps 2 to 6 of the head of this file.

    Args:
        candidates: Best cosine first.
        query: (D,), length 1.
        sample: Of the collection.
        top_k: Most results.
        avoided: Parts to avoid.
        named: Recordings that carry the query's words, best first.
        fold_twins: Fold near-identical takes into one result.
        lead: Which of these takes is the result: the best match, the best named, or the one of best quality.
        curve: Maps scores to ``match``.
        uncorrected: (D,) the query without the correction of hubs; None if ``query`` has none.
    """
    background = background_of(query, sample.vectors, curve)
    cosine = _cosines(candidates, uncorrected)
    contradicting: set[str] = set()
    if avoided:
        z = {c.clip_id: background.z(c.best.score) for c in candidates}
        contradicting = _lower(z, candidates, avoided, sample.vectors)
        candidates = sorted(candidates, key=lambda c: (-z[c.clip_id], c.clip_id))
        match = {clip_id: curve(value, cosine[clip_id], background.spread) for clip_id, value in z.items()}
    else:
        match = {c.clip_id: background.match(background.z(c.best.score), cosine[c.clip_id]) for c in candidates}
    if named:
        carried = {m.clip_id: m.words for m in named}
        for candidate in candidates:
            candidate.words = carried.get(candidate.clip_id, ())
        candidates = fuse(candidates, named)
    candidates = sorted(candidates, key=lambda c: c.clip_id in contradicting)
    kept = _fold(candidates, top_k, sample.near_duplicate) if fold_twins else [(c, []) for c in candidates[:top_k]]
    led = [_led(c, takes, lead) for c, takes in kept]
    return [Ranked(c, match[c.clip_id], _twins(c, takes), background.median) for c, takes in led]


def _cosines(candidates: Sequence[Candidate], query: FloatArray | None) -> dict[str, float]:
    """Cosine of each recording's best window with a query (D,); None takes the scores as they are."""
    if query is None or not candidates:
        return {c.clip_id: c.best.score for c in candidates}
    scores = exact_scores(query, np.stack([c.best.vector for c in candidates]))
    return {c.clip_id: float(score) for c, score in zip(candidates, scores, strict=True)}


def _lower(
    z: dict[str, float],
    candidates: Sequence[Candidate],
    avoided: Sequence[Avoided],
    sample: FloatArray,
) -> set[str]:
    """Lower each recording's z, in place, by how clearly its best window stands out for the parts to avoid.

    Returns:
        Recordings that contradict a part: by sound, because they stand out for it at least as much as for what is
        sought (at the usual weight of such a part); or by name, because they carry most of its words.
    """
    if not candidates:
        return set()
    vectors = np.stack([c.best.vector for c in candidates])  # (M, D)
    sought = dict(z)
    contradicting = {c.clip_id for c in candidates if _names_avoided(c, avoided)}
    for part in avoided:
        background = background_of(part.vector, sample)
        for candidate, score in zip(candidates, exact_scores(part.vector, vectors), strict=True):
            z_part = max(0.0, background.z(float(score)))
            z[candidate.clip_id] += part.weight * z_part
            if z_part > _CLEAR_Z and -part.weight * z_part >= AVOID_WEIGHT * sought[candidate.clip_id]:
                contradicting.add(candidate.clip_id)
    return contradicting


def _names_avoided(candidate: Candidate, avoided: Sequence[Avoided]) -> bool:
    if not any(part.words for part in avoided):
        return False
    words = words_of(candidate.best.path, candidate.metadata)
    return any(len(carried_words(part.words, words)) >= LEAST_WORDS * len(part.words) for part in avoided if part.words)


def fuse(candidates: Sequence[Candidate], named: Sequence[WordMatch]) -> list[Candidate]:
    """Reciprocal rank fusion of the ranking by vectors with the ranking by words.

    A recording that carries all words of the query ranks as if it were first in a second list. One that carries some of
    them gains by the square of their share. Recordings with equal shares keep the order of their vectors. A file whose
    name equals the query comes before all others, since the user typed the name of that file.

    Args:
        candidates: In the order of their vectors.
        named: Recordings that carry words of the query.
    """
    share = {match.clip_id: match.score for match in named}
    first = {match.clip_id for match in named if match.named}
    gain = {
        c.clip_id: 1.0 / (_RRF + rank) + share.get(c.clip_id, 0.0) ** 2 / (_RRF + 1) + (c.clip_id in first)
        for rank, c in enumerate(candidates, start=1)
    }
    order = {c.clip_id: rank for rank, c in enumerate(candidates)}
    return sorted(candidates, key=lambda c: (-gain[c.clip_id], order[c.clip_id]))


def _fold(candidates: Sequence[Candidate], top_k: int, least: float) -> list[tuple[Candidate, list[Candidate]]]:
    """The first top_k recordings that differ, each with the takes that were folded into it (cosine >= ``least``).

    Every pair is compared, so only the first ``_FOLDED`` recordings are folded: nobody looks for takes among the rest.
    """
    count = min(3 * top_k + 20, _FOLDED)
    rest = candidates[_FOLDED:] if count == _FOLDED else []
    candidates = candidates[:count]
    if not candidates:
        return []
    vectors = np.stack([c.best.vector for c in candidates])  # (M, D)
    alike = vectors @ vectors.T  # (M, M)
    like_one_before: list[bool] = np.any(np.tril(alike >= least, -1), axis=1).tolist()
    kept: list[int] = []
    takes: dict[int, list[Candidate]] = {}
    for row, candidate in enumerate(candidates):
        nearest = kept[int(alike[row, kept].argmax())] if like_one_before[row] else row
        if nearest != row and alike[row, nearest] >= least:
            takes[nearest].append(candidate)
        elif len(kept) < top_k:
            kept.append(row)
            takes[row] = []
    folded = [(candidates[row], takes[row]) for row in kept]
    return [*folded, *((candidate, []) for candidate in rest)][:top_k]


def _led(first: Candidate, takes: list[Candidate], lead: Lead) -> tuple[Candidate, list[Candidate]]:
    """A group of takes with the one that shall lead it; the earlier one wins a tie."""
    if lead == "match" or not takes:
        return first, takes
    group = [first, *takes]
    leader = max(group, key=_name_value if lead == "name" else _quality)
    return leader, [take for take in group if take is not leader]


def _name_value(candidate: Candidate) -> tuple[int, int]:
    """Words of the query that a take carries, then words of any kind in its name and tags."""
    return len(candidate.words), len(words_of(candidate.best.path, candidate.metadata))


def _quality(candidate: Candidate) -> tuple[bool, float, float, float]:
    """Losslessly stored, then sample rate, bits, channels."""
    numbers = [number_of(candidate.metadata, name) or 0.0 for name in ("sample_rate_hz", "bits", "channels")]
    return str(candidate.metadata.get("format", "")) not in _LOSSY, numbers[0], numbers[1], numbers[2]


def _twins(leader: Candidate, takes: Sequence[Candidate]) -> tuple[Twin, ...]:
    return tuple(_twin(leader, take) for take in takes)


def _twin(leader: Candidate, take: Candidate) -> Twin:
    facts = take.metadata
    return Twin(
        take.clip_id,
        take.best.path,
        round(float(leader.best.vector @ take.best.vector), 4),
        number_of(facts, "duration_s"),
        facts.get("sample_rate_hz"),
        facts.get("channels"),
        str(facts.get("format", "")),
    )


def segments(windows: Sequence[Match], floor: float) -> tuple[Segment, ...]:
    """Merge touching windows whose score is close to the best one; best segment first.

    Args:
        windows: Found windows of one recording.
        floor: The query's usual cosine in the collection. A window must keep most of the best one's lead over it.
    """
    best = max(w.score for w in windows)
    enough = best - _FADE * max(best - floor, 0.0)
    merged: list[Segment] = []
    for window in sorted(windows, key=lambda w: (w.start_s, w.end_s)):
        if window.score < enough:
            continue
        if merged and window.start_s <= merged[-1].end_s:
            last = merged[-1]
            merged[-1] = Segment(last.start_s, max(last.end_s, window.end_s), max(last.score, window.score))
        else:
            merged.append(Segment(window.start_s, window.end_s, window.score))
    return tuple(sorted(merged, key=lambda s: (-s.score, s.start_s)))
