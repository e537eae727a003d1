"""Reliabilities from the embeddings of the base, to compare with the posterior; each is called ``f(base) -> (N,)``.

All are computed from the learned embeddings, again at every refresh. They are the baselines of ``estimate.py``: an
agreement gate split by two means, rank-biased overlap of the two neighbor lists, the diagonal of an optimal-transport
plan, and a dual softmax. Cost: one or two (N, N) products in pieces.

Source: Webber et al. 2010 (rank-biased overlap, equation 7); Cuturi 2013 (arXiv 1306.0895) for the plan.
"""

from __future__ import annotations

import torch
from torch import Tensor

from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.neighbors import nearest
from askaudio.knowledge.reliability.estimate import predict

PIECE = 1024


def _rows(base: KnowledgeBase) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if base.text.dtype == torch.float64 else torch.float32
    return base.audio.to(dtype), base.text.to(dtype)


class AgreementGate:
    """Sum of three standardised agreements, split by two means; the gate is a sigmoid between the means.

    The agreements of pair i: cosine of its text and the text predicted from its audio neighbors, of its audio and the
    audio predicted from its text neighbors, and of its own two sides. Always finds two groups, also where there is
    only one: on clean captions it removes rare but correct pairs.

    Args:
        k: Neighbors per prediction.
        temperature: Sharpness of the neighbor weights.
        steepness: Logit of the gate at either mean.
    """

    def __init__(self, k: int = 32, temperature: float = 0.1, steepness: float = 3.0) -> None:
        self.k = k
        self.temperature = temperature
        self.steepness = steepness

    def __call__(self, base: KnowledgeBase) -> Tensor:
        """(N,) gates in (0, 1); entries without audio get 1."""
        audio, text = _rows(base)
        codes, paired, ones = base.index.codes, base.index.has_audio, torch.ones(len(base))
        by_audio = nearest(audio, audio, self.k, query_codes=codes, key_codes=codes, eligible=paired)
        by_text = nearest(text, text, self.k, query_codes=codes, key_codes=codes, eligible=paired)
        scores = torch.stack(
            [
                (predict(text, *by_audio, ones, self.temperature) * text).sum(1),
                (predict(audio, *by_text, ones, self.temperature) * audio).sum(1),
                (audio * text).sum(1),
            ]
        )[:, paired]  # (3, n)
        total = ((scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True).clamp_min(1e-9)).sum(0)
        low, high = two_means(total)
        gate = torch.ones(len(base))
        if high > low:
            middle, half = (low + high) / 2, (high - low) / 2
            gate[paired] = torch.sigmoid(self.steepness * (total - middle) / half).float()
        return gate


def two_means(x: Tensor) -> tuple[float, float]:
    """The two centers (low, high) of one-dimensional k-means on (n,), started at the extremes."""
    low, high = float(x.min()), float(x.max())
    for _ in range(100):  # it converges in far fewer rounds
        upper = x > (low + high) / 2
        if not bool(upper.any()) or bool(upper.all()):
            break
        new = float(x[~upper].mean()), float(x[upper].mean())
        if new == (low, high):
            break
        low, high = new
    return low, high


class RankBiasedOverlap:
    """How alike an entry's audio neighbors and text neighbors are, the first ranks counting most.

    Args:
        k: Depth of the lists.
        persistence: p in (0, 1); rank d counts p^(d-1).
    """

    def __init__(self, k: int = 32, persistence: float = 0.9) -> None:
        if not 0.0 < persistence < 1.0:
            raise ConfigError(f"persistence must be in (0, 1), got {persistence}")
        self.k = k
        self.persistence = persistence

    def __call__(self, base: KnowledgeBase) -> Tensor:
        """(N,) overlaps in [0, 1], 1 for equal lists; entries without audio get 1."""
        audio, text = _rows(base)
        codes, paired = base.index.codes, base.index.has_audio
        lists = [nearest(x, x, self.k, query_codes=codes, key_codes=codes, eligible=paired)[1] for x in (audio, text)]
        overlap = rank_biased_overlap(lists[0], lists[1], self.persistence)
        return torch.where(paired, overlap, 1.0)


def rank_biased_overlap(first: Tensor, second: Tensor, persistence: float) -> Tensor:
    """Truncated rank-biased overlap of pairs of ranked lists.

    Args:
        first: (n, K) distinct rows in each list, best first.
        second: (n, K) the lists to compare with.
        persistence: p in (0, 1); rank d counts p^(d-1), so a small p looks at the first ranks only.

    Returns:
        (n,) 0 (no row in common) to 1 (the same rows in the same order).
    """
    k = first.shape[1]
    common = first[:, :, None] == second[:, None, :]  # (n, K, K): rank u of one holds what rank v of the other holds
    # both have seen it from rank max(u, v) on
    meets = torch.maximum(torch.arange(k)[:, None], torch.arange(k)[None, :])  # (K, K)
    new = torch.zeros(first.shape[0], k)
    new.index_add_(1, meets.reshape(-1), common.reshape(first.shape[0], -1).float())
    agreement = new.cumsum(dim=1) / torch.arange(1, k + 1)  # (n, K): share in common at each depth
    weight = persistence ** torch.arange(k)
    return (agreement * weight).sum(dim=1) / weight.sum()


class TransportPlan:
    """Mass that an entropic optimal-transport plan leaves on a pair itself, in shuffled blocks.

    Args:
        block: Pairs per plan.
        epsilon: Entropy of the plan, in units of cosine.
        iterations: Sinkhorn rounds.
        seed: Of the shuffle.
    """

    def __init__(self, block: int = 512, epsilon: float = 0.05, iterations: int = 50, seed: int = 0) -> None:
        self.block = block
        self.epsilon = epsilon
        self.iterations = iterations
        self.seed = seed

    def __call__(self, base: KnowledgeBase) -> Tensor:
        """(N,) shares in [0, 1] of each pair's mass; entries without audio get 1."""
        audio, text = _rows(base)
        paired = base.index.has_audio.nonzero()[:, 0]
        order = paired[torch.randperm(len(paired), generator=torch.Generator().manual_seed(self.seed))]
        out = torch.ones(len(base))
        for rows in order.split(self.block):
            logits = (audio[rows] @ text[rows].T) / self.epsilon  # (b, b)
            for _ in range(
                self.iterations
            ):  # rows and columns in turn; the loss has its own copy, which needs gradients
                logits = logits - logits.logsumexp(dim=1, keepdim=True)
                logits = logits - logits.logsumexp(dim=0, keepdim=True)
            out[rows] = logits.diagonal().exp().clamp(0.0, 1.0).float()
        return out


class DualSoftmax:
    """sqrt( p(text i | audio i) p(audio i | text i) ) over the whole base.

    Args:
        temperature: Of both softmaxes.
    """

    def __init__(self, temperature: float = 0.05) -> None:
        self.temperature = temperature

    def __call__(self, base: KnowledgeBase) -> Tensor:
        """(N,) values in [0, 1]; entries without audio get 1."""
        audio, text = _rows(base)
        paired = base.index.has_audio
        own = (audio * text).sum(dim=1) / self.temperature
        out_of = []
        for queries, keys, mask in ((audio, text, None), (text, audio, ~paired)):
            parts = []
            for start in range(0, len(base), PIECE):
                logits = queries[start : start + PIECE] @ keys.T / self.temperature
                parts.append((logits if mask is None else logits.masked_fill(mask, -1e4)).logsumexp(dim=1))
            out_of.append(torch.cat(parts))
        value = ((2 * own - out_of[0] - out_of[1]) / 2).exp().float()
        return torch.where(paired, value, 1.0)
