"""Reliability of phrases: exchanged ones are found, clean ones cost little, suggestions name what is there."""

import pytest
import torch
import torch.nn.functional as F

from askaudio.core.errors import DataError
from askaudio.knowledge.reliability.phrases import _by_neighbors, _prepare, _similar_segments, estimate_phrases

N_SOUNDS, PER_CLIP = 20, 2


def corpus(n=500, exchanged=0.0, seed=0, d=24):
    """Clips of four segments with two of twenty sounds each, and the phrases that name them, three for each sound."""
    g = torch.Generator().manual_seed(seed)
    sounds = torch.stack([torch.randperm(N_SOUNDS, generator=g)[:PER_CLIP] for _ in range(n)])  # (n, 2)
    looks = torch.randn(N_SOUNDS, d, generator=g)
    segments = 0.7 * torch.randn(n, 4, d, generator=g)
    for k in range(PER_CLIP):
        at = torch.randint(4, (n,), generator=g)
        segments[torch.arange(n), at] += looks[sounds[:, k]]
    names = torch.randn(N_SOUNDS, d, generator=g).repeat_interleave(3, 0)
    text = names + 0.2 * torch.randn(3 * N_SOUNDS, d, generator=g)
    clip = torch.arange(n).repeat_interleave(PER_CLIP)
    named = sounds.flatten().clone()
    wrong = torch.rand(len(named), generator=g) < exchanged
    for row in wrong.nonzero()[:, 0].tolist():
        others = [s for s in range(N_SOUNDS) if s not in sounds[clip[row]]]
        named[row] = others[int(torch.randint(len(others), (1,), generator=g))]
    phrase = 3 * named + torch.randint(3, (len(named),), generator=g)
    return segments, text, clip, phrase, wrong, sounds


def test_exchanged_phrases_are_found_and_clean_ones_cost_little():
    segments, text, clip, phrase, wrong, sounds = corpus(exchanged=0.2)
    found = estimate_phrases(segments, text, clip, phrase)
    assert abs(found.share - 0.2) < 0.08
    assert wrong[found.suspects(50)].float().mean() > 0.9
    assert found.posterior[~wrong].mean() > 0.85 and found.posterior[wrong].mean() < 0.3
    rows = torch.tensor(found.suspects(30))
    right = [
        int(found_ // 3) in sounds[clip[row]]
        for row, found_ in zip(rows, found.suggest(clip, phrase, rows), strict=True)
    ]
    assert sum(right) >= 24
    clean = estimate_phrases(*corpus()[:4])
    assert clean.share < 0.08 and clean.posterior.mean() > 0.95


def test_the_segment_is_the_one_with_the_sound():
    segments, text, clip, phrase, _, _ = corpus(seed=1)
    marked = segments.clone()
    found = estimate_phrases(marked, text, clip, phrase)
    moved = estimate_phrases(marked.roll(1, dims=1), text, clip, phrase)
    assert ((found.segment + 1) % 4 == moved.segment).float().mean() > 0.97
    assert torch.equal(found.log_odds, estimate_phrases(marked, text, clip, phrase).log_odds)


def test_neighbors_equal_a_loop():
    segments, text, clip, phrase, _, _ = corpus(n=40)
    data = _prepare(segments, text, clip, phrase, torch.arange(40) // 2)
    weights, others = _similar_segments(data)
    assert (others // 2 != torch.arange(40)[:, None, None] // 2).all()  # clips of one recording support nothing
    r = torch.rand(len(clip), generator=torch.Generator().manual_seed(0))
    fast = _by_neighbors(data, (weights, others), r, clip[:30], phrase[:30])
    kernel = F.normalize(data.assigned, dim=1)

    def alike(p, m):
        return max(float(r[j] * (kernel[p] @ kernel[phrase[j]])) for j in (clip == m).nonzero()[:, 0].tolist())

    for row in range(30):
        i, p = int(clip[row]), int(phrase[row])
        share = max(
            sum(float(weights[i, s, k]) * alike(p, int(others[i, s, k])) for k in range(weights.shape[2]))
            for s in range(4)
        )
        base = sum(alike(p, m) for m in range(40)) / 40
        assert float(fast[row]) == pytest.approx(
            float(torch.log(torch.tensor((share + 0.02) / (base + 0.02)))), abs=1e-4
        )


def test_wrong_input_is_refused():
    segments, text, clip, phrase, _, _ = corpus(n=20)
    with pytest.raises(DataError, match="at least 64 phrases"):
        estimate_phrases(segments, text, clip, phrase)
    with pytest.raises(DataError, match=r"segments must be \(M, S, D\)"):
        estimate_phrases(segments[:, 0], text, clip, phrase)
