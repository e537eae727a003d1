"""Metrics for hard negatives: hard-negative success rate, delta rank, near-miss galleries.

HNSR@k is 1 for a query if a relevant item is among the first k AND every hard negative is outside them. A system that
ranks "a dog barks, then a bell" and "a bell, then a dog barks" side by side has a high R@10 and a low HNSR@10.

Source: HNSR and delta rank are measures of UIQ (Omni-Embed-Audio, 2604.18360). Differs: ties count against the system
on both sides, and near-miss texts are added to the text gallery of audio-to-text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray, IntArray, Json
from askaudio.evaluation.metrics import Values, hit_rate
from askaudio.evaluation.ranks import ranks_from_embeddings, ranks_of
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run
from askaudio.evaluation.scores import EmbeddingScores
from askaudio.evaluation.tables import render

NearMiss: TypeAlias = tuple[str, str]  # (kind, text)


def hard_negative_success(run: Run, relevance: Relevance, negatives: Relevance, k: int) -> Values:
    """(Q',) 1 where a relevant item and no hard negative is among the first k, for the queries with negatives.

    Args:
        run: Scores.
        relevance: Relevant items.
        negatives: Hard negatives of some of the queries, against the same gallery.
        k: Depth.

    Raises:
        DataError: Negatives of unknown queries, or of another gallery.
    """
    judged = _judged_queries(relevance, negatives)
    hit = hit_rate(ranks_of(run, relevance), k)[judged]
    intruder = ranks_of(run.of_queries(negatives.query_ids), negatives).optimistic_first()
    return hit * (intruder > k)


def delta_rank(run: Run, relevance: Relevance, negatives: Relevance) -> Values:
    """(Q',) ranks between the first relevant item and the first hard negative; negative if the latter is ahead.

    Args:
        run: Scores.
        relevance: Relevant items.
        negatives: Hard negatives of some of the queries, against the same gallery.

    Raises:
        DataError: Negatives of unknown queries, or of another gallery.
    """
    judged = _judged_queries(relevance, negatives)
    right = ranks_of(run, relevance).first()[judged]
    return ranks_of(run.of_queries(negatives.query_ids), negatives).optimistic_first() - right


def _judged_queries(relevance: Relevance, negatives: Relevance) -> IntArray:
    place = {q: i for i, q in enumerate(relevance.query_ids)}
    unknown = [q for q in negatives.query_ids if q not in place]
    if unknown or relevance.gallery_ids != negatives.gallery_ids:
        raise DataError(
            f"hard negatives must belong to the same queries and gallery; first unknown query: {unknown[:1]}"
        )
    return np.array([place[q] for q in negatives.query_ids], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class NearMissScore:
    """Scores of the near misses of one kind.

    Attributes:
        n: Number of near-miss texts.
        preferred: Share for which the clip scores its own caption above the near miss (chance: one half).
        hit_rate: a2t R@k in the gallery of all captions and all near misses of this kind.
        success: HNSR@k there: own caption among the first k, own near misses outside.
        delta_rank: Mean number of ranks there between own caption and near miss; negative if the near miss is ahead.
        rank_loss: Mean number of ranks that the clip loses if the query is the near miss instead of the caption (t2a).
    """

    n: int
    preferred: float
    hit_rate: float
    success: float
    delta_rank: float
    rank_loss: float


@dataclass(frozen=True)
class NearMissReport:
    """Near-miss scores by kind."""

    kinds: Mapping[str, NearMissScore]
    k: int

    def table(self, style: str = "table") -> str:
        """One row a kind, as ``table``, ``markdown`` or ``latex``."""
        a2t = (f"a2t R@{self.k}", f"HNSR@{self.k}", "delta rank")
        header = ["near miss", "texts", "caption preferred", *a2t, "t2a places lost"]
        rows = []
        for kind, s in self.kinds.items():
            shares = (f"{100 * x:.1f}" for x in (s.preferred, s.hit_rate, s.success))
            rows.append([kind, f"{s.n:,}", *shares, f"{s.delta_rank:+.1f}", f"{s.rank_loss:+.1f}"])
        return render(header, rows, style)

    def to_json(self) -> Json:
        """All numbers, shares not percent."""
        return {"k": self.k, "kinds": {kind: vars(s) for kind, s in self.kinds.items()}}


@dataclass(frozen=True)
class NearMissTexts:
    """Near-miss texts of a set of captions.

    Attributes:
        texts: M texts.
        kinds: M kinds.
        query: (M,) row of the caption that each was made from.
    """

    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    query: IntArray

    @classmethod
    def of(cls, lists: Sequence[Sequence[NearMiss]]) -> NearMissTexts:
        """From one list of (kind, text) a caption: by rule (``data.near_misses``), or exact (generated scenes)."""
        flat = [(q, kind, text) for q, found in enumerate(lists) for kind, text in found]
        return cls(
            tuple(t for _, _, t in flat),
            tuple(k for _, k, _ in flat),
            np.array([q for q, _, _ in flat], dtype=np.int64),
        )


def score_near_misses(
    audio: npt.ArrayLike,
    text: npt.ArrayLike,
    near: npt.ArrayLike,
    made: NearMissTexts,
    relevance: Relevance,
    *,
    k: int = 10,
) -> NearMissReport:
    """Score near misses of each kind.

    Args:
        audio: (N, D) clips, in the order of the relevance's gallery.
        text: (Q, D) captions, in the order of its queries.
        near: (M, D) near-miss texts, in the order of ``made``.
        made: Kind and caption of each near miss.
        relevance: Text-to-audio relevance; a caption's clip is its first relevant one.
        k: Depth.

    Raises:
        DataError: Lengths that differ, or no near misses.
    """
    both = EmbeddingScores.of(text, audio)
    captions, clips = both.queries, both.gallery
    nears = EmbeddingScores.of(near, audio).queries
    if len(nears) != len(made.texts) or not len(nears):
        raise DataError(f"{len(nears)} near-miss embeddings for {len(made.texts)} near-miss texts")
    scores = {}
    for kind in dict.fromkeys(made.kinds):
        rows = np.flatnonzero(np.array(made.kinds) == kind)
        scores[kind] = _score_kind(clips, captions, nears[rows], made.query[rows], relevance=relevance, k=k)
    return NearMissReport(scores, k)


def _score_kind(
    clips: FloatArray, captions: FloatArray, nears: FloatArray, query: IntArray, *, relevance: Relevance, k: int
) -> NearMissScore:
    clip = relevance.items[relevance.indptr[query]]  # (M,) clip of the caption that each near miss was made from
    own = np.einsum("md,md->m", captions[query].astype(np.float64), clips[clip])
    wrong = np.einsum("md,md->m", nears.astype(np.float64), clips[clip])

    # audio-to-text: all captions and all near misses of this kind are the gallery
    a2t = relevance.transposed()
    texts = (*a2t.gallery_ids, *(f"near miss {i}" for i in range(len(nears))))
    clip_ids = {relevance.gallery_ids[c] for c in clip}
    right = Relevance.from_dict({q: a2t.relevant(q) for q in a2t.query_ids if q in clip_ids}, texts)
    listed: dict[str, list[str]] = {}
    for i, c in enumerate(clip):
        listed.setdefault(relevance.gallery_ids[c], []).append(f"near miss {i}")
    wrongs = Relevance.from_dict({q: listed[q] for q in right.query_ids}, texts)
    place = {c: i for i, c in enumerate(relevance.gallery_ids)}
    rows = clips[[place[q] for q in right.query_ids]]
    run = Run(right.query_ids, texts, EmbeddingScores(rows, np.concatenate([captions, nears])))

    # text-to-audio: with the near miss as query the clip should lose ranks
    target = Relevance.from_owner(clip, len(clips))
    lost = ranks_from_embeddings(nears, clips, target).first()
    kept = ranks_from_embeddings(captions[query], clips, target).first()
    return NearMissScore(
        n=len(nears),
        preferred=float(np.mean(own.astype(np.float32) > wrong.astype(np.float32))),
        hit_rate=float(hit_rate(ranks_of(run, right), k).mean()),
        success=float(hard_negative_success(run, right, wrongs, k).mean()),
        delta_rank=float(delta_rank(run, right, wrongs).mean()),
        rank_loss=float(np.mean(lost - kept)),
    )
