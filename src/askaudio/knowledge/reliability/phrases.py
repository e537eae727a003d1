"""Is the sound of this phrase in this recording? The posterior of every phrase of every caption.

As `estimate.py` does for whole pairs, but in two ways that look at parts: a caption is several phrases, a clip several
segments of time, and a phrase is supported if any segment supports it.

- By an aligned ridge regression: from the segment that fits a phrase best to the phrase, out of fold. Texts are soft
  assignments to ``ANCHORS`` phrases, because a linear map to raw text features cannot name two sounds at once. Every
  round aligns again with the map of the round before. A second ridge regression takes whole clips.
- By neighbors: how many of the clips that have a similar segment have a similar phrase, beside how many clips do.

Each score is set off against the same phrase in all other clips, so that common phrases gain nothing. Mismatched
(phrase, clip) couples are made at will, as many as there are real ones; they calibrate the posterior as in
`estimate.py`. A distrusted phrase counts less in the next round.

Cost: N couples, M clips of S segments, U phrases: (M S)^2 D for neighbors, U^2 D for phrases, and per round 10 solves
of D^3 and 2 M S D ``ANCHORS``. 7,000 clips and 14,000 couples of 5,000 phrases: 27 s of one core.

Source: ours. Aligning by the best instance is multiple-instance learning (Andrews et al., 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.core.errors import DataError
from askaudio.core.types import Progress, silent
from askaudio.knowledge.base.neighbors import nearest
from askaudio.knowledge.reliability.crossfit import folds_of, standardise
from askaudio.knowledge.reliability.estimate import (
    LEAST_PAIRS,
    ReliabilityEstimate,
    density_ratio,
    mismatched,
)

ANCHORS = 512
RIDGE = 1.0  # of the mean eigenvalue, as in `crossfit.py`; segments are noisier than clips
SHARPNESS = 2.0  # of the soft maximum over segments, in standard deviations of the score
NEIGHBORS = 8  # of each segment
ROUNDS = 3
_TEMPERATURE = 0.1
_SMOOTH = 0.02  # keeps the logarithm of a share of neighbors finite
_PIECE = 512


@dataclass(frozen=True)
class PhraseEstimate(ReliabilityEstimate):
    """What is known about N couples of a phrase and a clip.

    Attributes:
        segment: (N,) the segment of the clip that fits the phrase best.
        local: (M, S, P) predicted soft assignment of each segment to the anchors.
        assigned: (U, P) soft assignment of each phrase to the anchors.
    """

    segment: Tensor
    local: Tensor
    assigned: Tensor

    def suggest(self, clip: Tensor, phrase: Tensor, rows: Tensor) -> Tensor:
        """Another phrase for some couples: the one that fits the clip best, among reliable ones of other couples.

        Args:
            clip: (N,) as given to ``estimate_phrases``.
            phrase: (N,) the same.
            rows: (n,) couples in question.

        Returns:
            (n,) rows of phrases; -1 where there is none.
        """
        count = torch.zeros(len(self.assigned)).index_add_(0, phrase, (self.posterior >= 0.5).float())
        eligible = count >= 2 if bool((count >= 2).any()) else count >= 1  # seen twice: no slip of one writer
        out = torch.full((len(rows),), -1, dtype=torch.long)
        every = torch.arange(len(self.assigned))
        for place, row in enumerate(rows.tolist()):
            own = phrase[clip == clip[row]]
            fit = _soft_max(_deviations(self.local, self.assigned, clip[row].expand(len(every)), every))
            fit = fit.masked_fill(~eligible, float("-inf"))
            fit[own] = float("-inf")
            if bool(torch.isfinite(fit).any()):
                out[place] = int(fit.argmax())
        return out


@dataclass(frozen=True)
class _Corpus:
    """M clips of S segments, U phrases, N couples."""

    segments: Tensor  # (M, S, D) standardised
    whole: Tensor  # (M, D) standardised
    text: Tensor  # (U, Dt) standardised
    assigned: Tensor  # (U, P) soft assignment of phrases to anchors
    clip: Tensor  # (N,)
    phrase: Tensor  # (N,)
    fold: Tensor  # (M,)
    codes: Tensor  # (M,)


def estimate_phrases(
    segments: Tensor,
    text: Tensor,
    clip: Tensor,
    phrase: Tensor,
    *,
    codes: Tensor | None = None,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> PhraseEstimate:
    """Estimate which phrases are supported by the sound of their clip.

    Args:
        segments: (M, S, D) raw audio features of S segments of each clip, from a tower that never saw these captions.
        text: (U, Dt) raw features of the distinct phrases.
        clip: (N,) row of each couple's clip.
        phrase: (N,) row of each couple's phrase.
        codes: (M,) equal for clips of one recording, which never support each other; default: each its own.
        rounds: Rounds of alignment and weighting.
        progress: Called once per stage.

    Returns:
        The estimate, one row a couple.

    Raises:
        DataError: Shapes do not fit, or there are fewer than 64 couples.
    """
    if segments.ndim != 3 or len(clip) != len(phrase):
        raise DataError(f"segments must be (M, S, D), got {tuple(segments.shape)}; couples {len(clip)}, {len(phrase)}")
    if len(clip) < LEAST_PAIRS:
        raise DataError(f"reliability of phrases needs at least {LEAST_PAIRS} phrases to learn from, got {len(clip)}")
    corpus = _prepare(segments, text, clip, phrase, codes)
    steps = rounds + 1
    near = _similar_segments(corpus)
    progress(1, steps, "similar segments")
    null = mismatched(corpus.codes)[clip]  # (N,) another clip for each phrase
    posterior, attention = torch.ones(len(clip)), torch.full((len(clip), segments.shape[1]), 1 / segments.shape[1])
    for number in range(rounds):
        local = _aligned(corpus, attention, posterior)  # (M, S, P)
        whole = _of_clips(corpus, posterior)  # (M, 1, P)
        both = torch.cat([clip, null]), phrase.repeat(2)  # real couples, then mismatched ones
        deviations = _deviations(local, corpus.assigned, *both)  # (2N, S)
        of_clip = _deviations(whole, corpus.assigned, *both)[:, 0]
        by_neighbors = _by_neighbors(corpus, near, posterior, *both)
        real, other = torch.stack([_soft_max(deviations), of_clip, by_neighbors], dim=1).split(len(clip))  # (N, 3)
        attention = torch.softmax(SHARPNESS * deviations[: len(clip)], dim=1)
        log_odds, null_odds = density_ratio(real, other)
        share = min(1.0, 2.0 * float((log_odds < null_odds.median()).double().mean()))
        posterior = (1.0 - share * torch.exp(-log_odds)).clamp(0.0, 1.0).float()
        progress(2 + number, steps, f"share of unreliable phrases {share:.3f}")
    return PhraseEstimate(
        posterior, share, log_odds.float(), real, other, attention.argmax(dim=1), local, corpus.assigned
    )


def _prepare(segments: Tensor, text: Tensor, clip: Tensor, phrase: Tensor, codes: Tensor | None) -> _Corpus:
    m, s, d = segments.shape
    codes = torch.arange(m) if codes is None else codes
    flat = standardise(segments.reshape(m * s, d)).reshape(m, s, d)
    text = standardise(text)
    anchors = torch.randperm(len(text), generator=torch.Generator().manual_seed(0))[:ANCHORS]
    assigned = torch.softmax(text @ text[anchors].T / _TEMPERATURE, dim=1)  # (U, P)
    return _Corpus(flat, standardise(segments.mean(dim=1)), text, assigned, clip, phrase, folds_of(codes), codes)


def _fold_map(source: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Ridge regression (D, P) of centred targets (n, P) on sources (n, D)."""
    weighted = source * weight[:, None]
    gram = source.T @ weighted
    penalty = RIDGE * gram.diagonal().mean() + 1e-9
    return torch.linalg.solve(gram + penalty * torch.eye(len(gram)), weighted.T @ target)


def _aligned(corpus: _Corpus, attention: Tensor, weight: Tensor) -> Tensor:
    """Predicted assignments of each segment (M, S, P), from the segments that the attention (N, S) picks."""
    source = torch.einsum("ns,nsd->nd", attention, corpus.segments[corpus.clip])  # (N, D)
    target = corpus.assigned[corpus.phrase]
    return _out_of_fold(corpus, source, target, weight, corpus.fold[corpus.clip], corpus.segments)


def _of_clips(corpus: _Corpus, weight: Tensor) -> Tensor:
    """Predicted assignments of each clip (M, 1, P): the sum over its phrases."""
    target = torch.zeros(len(corpus.whole), corpus.assigned.shape[1])
    target.index_add_(0, corpus.clip, corpus.assigned[corpus.phrase] * weight[:, None])
    n = len(corpus.whole)
    return _out_of_fold(corpus, corpus.whole, target, torch.ones(n), corpus.fold, corpus.whole[:, None])


def _out_of_fold(
    corpus: _Corpus, source: Tensor, target: Tensor, weight: Tensor, fold: Tensor, rows: Tensor
) -> Tensor:  # fmt: skip
    """Each fold's rows (M, S, D) from the map that the other folds give (M, S, P)."""
    center = rows.flatten(0, 1).mean(dim=0)
    source, rows, target = source - center, rows - center, target - target.mean(dim=0)
    out = torch.empty(*rows.shape[:2], target.shape[1])
    for part in corpus.fold.unique().tolist():
        rest = fold != part
        out[corpus.fold == part] = rows[corpus.fold == part] @ _fold_map(source[rest], target[rest], weight[rest])
    return out


def _deviations(local: Tensor, assigned: Tensor, clip: Tensor, phrase: Tensor) -> Tensor:
    """(N, S) score of each segment for the phrase, in standard deviations of the phrase's score over all segments."""
    flat = local.flatten(0, 1)
    mean, covariance = flat.mean(dim=0), torch.cov(flat.T)
    spread = ((assigned @ covariance) * assigned).sum(dim=1).clamp_min(1e-12).sqrt()  # (U,)
    level = assigned @ mean
    out = torch.empty(len(clip), local.shape[1])
    for start in range(0, len(clip), _PIECE):
        c, p = clip[start : start + _PIECE], phrase[start : start + _PIECE]
        score = torch.einsum("nsp,np->ns", local[c], assigned[p])
        out[start : start + _PIECE] = (score - level[p, None]) / spread[p, None]
    return out


def _soft_max(deviations: Tensor) -> Tensor:
    return torch.logsumexp(SHARPNESS * deviations, dim=1) / SHARPNESS


def _similar_segments(corpus: _Corpus) -> tuple[Tensor, Tensor]:
    """For each clip's segments the most similar segments of other clips: weights and clips, both (M, S, K)."""
    m, s, _ = corpus.segments.shape
    flat, codes = corpus.segments.flatten(0, 1), corpus.codes.repeat_interleave(s)
    score, rows = nearest(flat, flat, NEIGHBORS, query_codes=codes, key_codes=codes)
    return torch.softmax(score / _TEMPERATURE, dim=1).reshape(m, s, -1), (rows // s).reshape(m, s, -1)


def _by_neighbors(
    corpus: _Corpus, near: tuple[Tensor, Tensor], weight: Tensor, clip: Tensor, phrase: Tensor
) -> Tensor:  # fmt: skip
    """(n,) log of how often clips with a similar segment have a similar phrase, over how often clips have one."""
    m = len(corpus.whole)
    table, mass = _phrases_of_clips(corpus, weight)  # (M, L) phrases, weights
    sample = torch.randperm(m, generator=torch.Generator().manual_seed(1))[:_PIECE]
    out = torch.empty(len(clip))
    order = torch.argsort(phrase, stable=True)
    kernel = F.normalize(corpus.assigned, dim=1)
    for start in range(0, len(order), _PIECE):
        rows = order[start : start + _PIECE]
        wanted, at = torch.unique(phrase[rows], return_inverse=True)
        alike = kernel[wanted] @ kernel.T  # (u, U) in [0, 1]
        base = (alike[:, table[sample]] * mass[sample]).amax(dim=2).mean(dim=1)  # (u,)
        others = near[1][clip[rows]]  # (n, S, K)
        found = (alike[at[:, None, None, None], table[others]] * mass[others]).amax(dim=3)  # (n, S, K)
        share = (found * near[0][clip[rows]]).sum(dim=2).amax(dim=1)
        out[rows] = torch.log((share + _SMOOTH) / (base[at] + _SMOOTH))
    return out


def _phrases_of_clips(corpus: _Corpus, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Phrases of each clip side by side (M, L), and their reliability (M, L); 0 after the last."""
    m = len(corpus.whole)
    order = torch.argsort(corpus.clip, stable=True)
    owner = corpus.clip[order]
    count = torch.bincount(owner, minlength=m)
    place = torch.arange(len(order)) - (count.cumsum(0) - count)[owner]
    table, mass = torch.zeros(m, max(1, int(count.max())), dtype=torch.long), torch.zeros(m, max(1, int(count.max())))
    table[owner, place], mass[owner, place] = corpus.phrase[order], weight[order]
    return table, mass
