"""Is this pair right? The posterior of every pair, calibrated on mismatched pairs that can be made at will.

In a space that was not trained on the pairs (raw features of frozen towers, standardised), each half of a pair is
predicted from other clips in two ways: from its K neighbors on the other side, and by a ridge regression over all
(`crossfit.py`). That gives four scores: cosine of predicted and real text, and of predicted and real audio, by each
way. Mismatched pairs (texts shifted by half the corpus) show how wrong pairs score, so that

- the share of unreliable pairs is twice the share of real pairs below the mismatched pairs' median;
- a quadratic logistic regression of real against mismatched gives the density ratio f_real / f_null = e^d;
- the posterior of a pair is r = 1 - share f_null / f_real = 1 - share e^(-d), cut to [0, 1];
- r becomes the weight of each pair, as a neighbor and in the regression, and all is repeated.

Set by hand are K, the sharpness of the neighbor weights and the ridge. Cost: two (N, N) products in pieces, and
``rounds`` times N x K rows gathered and ten ridge regressions (N = 7,000 pairs, 384 numbers a side: 9 s of one core).

Source: ours; `docs/method.md`, section 4. The density-ratio posterior is the textbook two-component mixture with a
known null (Efron 2004, local false discovery rate).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import Progress, silent
from askaudio.knowledge.base.neighbors import nearest, neighbor_weights
from askaudio.knowledge.reliability.crossfit import ridge_scores, standardise

LEAST_PAIRS = 64  # fewer pairs than this cannot show how a wrong one looks
PIECE = 1024  # pairs predicted at once
NEWTON_STEPS = 50  # at most; it converges in far fewer


@dataclass(frozen=True)
class ReliabilityEstimate:
    """What is known about N pairs.

    Attributes:
        posterior: (N,) probability that each pair is right, float32.
        share: Estimated share of unreliable pairs, 0 to 1.
        log_odds: (N,) log density ratio of real against mismatched; the finest order of suspicion.
        scores: (N, 4) cosine of predicted and real text, and of predicted and real audio: by neighbors, by ridge.
        null_scores: (N, 4) the same of mismatched pairs.
    """

    posterior: Tensor
    share: float
    log_odds: Tensor
    scores: Tensor
    null_scores: Tensor

    def suspects(self, n: int) -> list[int]:
        """Rows of the n most suspicious pairs, worst first."""
        return torch.argsort(self.log_odds, stable=True)[:n].tolist()

    def gate(self, cut: float | None = None) -> Tensor:
        """The posterior (N,), or with a cut 1 where it reaches the cut and 0 elsewhere."""
        return self.posterior if cut is None else (self.posterior >= cut).float()


def estimate_reliability(
    audio: Tensor,
    text: Tensor,
    codes: Tensor,
    *,
    k: int = 32,
    temperature: float = 0.1,
    rounds: int = 3,
    progress: Progress = silent,
) -> ReliabilityEstimate:
    """Estimate which of N pairs are right.

    Args:
        audio: (N, Da) raw audio features, best from a tower that never saw these pairs.
        text: (N, Dt) raw text features.
        codes: (N,) integer clip codes; pairs of one clip are never each other's neighbors.
        k: Neighbors per prediction.
        temperature: Sharpness of the neighbor weights.
        rounds: How often all is done; after the first round the posterior weighs every pair.
        progress: Called once per stage.

    Returns:
        The estimate.

    Raises:
        DataError: Shapes differ or there are fewer than 64 pairs.
    """
    n = codes.shape[0]
    if audio.shape[0] != n or text.shape[0] != n:
        raise DataError(f"{n} clip codes do not fit audio {tuple(audio.shape)} and text {tuple(text.shape)}")
    if rounds < 1 or k < 1:
        raise ConfigError(f"reliability needs rounds >= 1 and k >= 1, got rounds={rounds}, k={k}")
    if n < LEAST_PAIRS:
        raise DataError(f"reliability needs at least {LEAST_PAIRS} pairs to learn from, got {n}; leave it out")
    audio, text = standardise(audio), standardise(text)
    steps = rounds + 2
    by_audio = nearest(audio, audio, k, query_codes=codes, key_codes=codes)  # scores, rows: (N, K)
    progress(1, steps, "audio neighbors")
    by_text = nearest(text, text, k, query_codes=codes, key_codes=codes)
    progress(2, steps, "text neighbors")
    partner = mismatched(codes)
    posterior = torch.ones(n)
    for number in range(rounds):
        to_text = predict(text, *by_audio, posterior, temperature)  # (N, Dt)
        to_audio = predict(audio, *by_text, posterior, temperature)  # (N, Da)
        near = torch.stack([(to_text * text).sum(1), (to_audio * audio).sum(1)], dim=1)  # (N, 2)
        near_null = torch.stack([(to_text * text[partner]).sum(1), (to_audio[partner] * audio).sum(1)], dim=1)
        linear, linear_null = ridge_scores(audio, text, codes, partner, posterior)
        real, null = torch.cat([near, linear], dim=1), torch.cat([near_null, linear_null], dim=1)  # (N, 4)
        log_odds, null_odds = density_ratio(real, null)
        share = min(1.0, 2.0 * float((log_odds < null_odds.median()).double().mean()))
        posterior = (1.0 - share * torch.exp(-log_odds)).clamp(0.0, 1.0).float()
        progress(3 + number, steps, f"share of unreliable pairs {share:.3f}")
    return ReliabilityEstimate(posterior, share, log_odds.float(), real, null)


def mismatched(codes: Tensor) -> Tensor:
    """For each row another row whose text serves as its wrong partner (N,): half the corpus on, in a shuffled order.

    The clips are shuffled, since in an ordered corpus half way on may be the same class again; captions of one clip
    stay together, so that the shift does not stay within a clip (unless one clip has half of all captions).
    """
    clips, number = torch.unique(codes, return_inverse=True)
    place = torch.randperm(len(clips), generator=torch.Generator().manual_seed(0)).to(codes.device)
    order = torch.argsort(place[number], stable=True)
    partner = torch.empty_like(order)
    partner[order] = order.roll(-(len(order) // 2))
    return partner


def predict(values: Tensor, score: Tensor, rows: Tensor, reliability: Tensor, temperature: float) -> Tensor:
    """Weighted mean of the neighbors' values, scaled to length 1; the weights are those of ``neighbor_weights``.

    Args:
        values: (N, D), for example the texts where the neighbors were found by audio.
        score: (n, K) cosines of n items and their neighbors; minus infinity where there is none.
        rows: (n, K) rows of the neighbors in ``values``.
        reliability: (N,) in [0, 1]: how much each entry counts as a neighbor.
        temperature: Divides the scores.

    Returns:
        (n, D) rows of length 1; zeros without neighbors.
    """
    weights = neighbor_weights(score, rows, reliability, temperature)  # (N, K)
    out = torch.empty(rows.shape[0], values.shape[1], dtype=values.dtype)
    for start in range(0, rows.shape[0], PIECE):
        piece = slice(start, start + PIECE)
        out[piece] = torch.bmm(weights[piece].to(values.dtype).unsqueeze(1), values[rows[piece]]).squeeze(1)
    return F.normalize(out, dim=1)


def _quadratic(scores: Tensor, center: Tensor, spread: Tensor) -> Tensor:
    """Scores (n, S) -> 1, the standardised scores, and all their products of two: (n, 1 + S + S (S + 1) / 2)."""
    z = (scores.double() - center) / spread
    i, j = torch.triu_indices(z.shape[1], z.shape[1])
    return torch.cat([torch.ones_like(z[:, :1]), z, z[:, i] * z[:, j]], dim=1)


def density_ratio(real: Tensor, null: Tensor, ridge: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Log density ratio log(f_real / f_null) by quadratic logistic regression (Newton steps, float64).

    Args:
        real: (n, S) scores of real pairs.
        null: (n, S) scores of mismatched pairs, equally many.
        ridge: Small penalty that keeps separable data finite.

    Returns:
        Log ratios at the real (n,) and at the null (n,) points.
    """
    both = torch.cat([real, null]).double()
    center, spread = both.mean(dim=0), both.std(dim=0).clamp_min(1e-9)
    x = torch.cat([_quadratic(real, center, spread), _quadratic(null, center, spread)])  # (2n, C)
    y = torch.cat([torch.ones(len(real)), torch.zeros(len(null))]).double()
    eye = torch.eye(x.shape[1], dtype=torch.float64)
    beta = torch.zeros_like(eye[0])
    penalty = ridge * len(y) * eye
    penalty[0, 0] = 0.0  # the constant is free
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(x @ beta)
        gradient = x.T @ (p - y) + penalty @ beta
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty + 1e-9 * eye
        step = torch.linalg.solve(hessian, gradient)
        beta = beta - step
        if float(step.abs().max()) < 1e-8:
            break
    odds = x @ beta
    return odds[: len(real)], odds[len(real) :]
