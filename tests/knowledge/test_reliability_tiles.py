"""Pair reliability: finds exchanged captions and costs nothing on clean ones; slow loops of every tile."""

import math

import pytest
import torch

from askaudio.core.errors import AskAudioError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.reliability import agreement
from askaudio.knowledge.reliability.crossfit import FOLDS, crossfit, folds_of, ridge_scores
from askaudio.knowledge.reliability.estimate import (
    density_ratio,
    estimate_reliability,
    mismatched,
    predict,
)
from askaudio.knowledge.reliability.suggestions import suggest


def corpus(n=900, exchanged=0.0, seed=0, d=32):
    """Audio and text features of pairs that share a hidden cause; a share of the texts is exchanged."""
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randn(40, 10, generator=g)[torch.randint(40, (n,), generator=g)]
    hidden = hidden + 0.3 * torch.randn(n, 10, generator=g)
    audio = torch.tanh(hidden @ torch.randn(10, d, generator=g)) + 0.3 * torch.randn(n, d, generator=g)
    text = torch.tanh(hidden @ torch.randn(10, d, generator=g)) + 0.3 * torch.randn(n, d, generator=g)
    wrong = torch.rand(n, generator=g) < exchanged
    rows = wrong.nonzero()[:, 0]
    text[rows] = text[rows.roll(1)]
    return audio, text, wrong


@pytest.mark.parametrize("exchanged", [0.0, 0.2, 0.4])
def test_share_is_estimated_and_wrong_pairs_are_found(exchanged):
    audio, text, wrong = corpus(exchanged=exchanged)
    estimate = estimate_reliability(audio, text, torch.arange(len(audio)))
    assert abs(estimate.share - float(wrong.float().mean())) < 0.06
    assert estimate.posterior[~wrong].mean() > 0.85
    if exchanged:
        assert estimate.posterior[wrong].mean() < 0.3
        worst = estimate.suspects(50)
        assert wrong[worst].float().mean() > 0.9
    else:
        assert estimate.posterior.mean() > 0.97  # the clean case costs next to nothing


def slow_predict(values, queries, codes, k, tau, r):
    out = []
    for i in range(len(values)):
        able = [j for j in range(len(values)) if codes[j] != codes[i]]
        able.sort(key=lambda j: (-float(queries[i] @ queries[j]), j))
        w = [float(r[j]) * math.exp(float(queries[i] @ queries[j]) / tau) for j in able[:k]]
        mean = sum(x / sum(w) * values[j] for x, j in zip(w, able[:k], strict=True))
        out.append(mean / mean.norm())
    return torch.stack(out)


def slow_standard(x):
    x = x / x.norm(dim=1, keepdim=True)
    out = torch.empty_like(x)
    for j in range(x.shape[1]):
        mean = sum(x[:, j].tolist()) / len(x)
        out[:, j] = (x[:, j] - mean) / (math.sqrt(sum((v - mean) ** 2 for v in x[:, j].tolist()) / (len(x) - 1)) + 1e-3)
    return out / out.norm(dim=1, keepdim=True)


def slow_ridge(source, target, codes, r, strength=0.03):
    """Normal equations summed pair by pair in float64, solved for one row at a time, the row's whole part left out."""
    source, target = (x.double() - x.double().mean(0) for x in (source, target))
    part = {c: i % FOLDS for i, c in enumerate(sorted(set(codes.tolist())))}
    n, d = source.shape
    out = []
    for i in range(n):
        rest = [j for j in range(n) if part[int(codes[j])] != part[int(codes[i])]]
        assert int(codes[i]) not in {int(codes[j]) for j in rest}
        penalty = strength * n / d * sum(float(source[j] @ source[j]) for j in rest) / len(rest)
        gram = penalty * torch.eye(d, dtype=torch.float64)
        cross = torch.zeros(d, target.shape[1], dtype=torch.float64)
        for j in rest:
            gram += float(r[j]) * torch.outer(source[j], source[j])
            cross += float(r[j]) * torch.outer(source[j], target[j])
        out.append(torch.linalg.solve(gram, cross).T @ source[i])
    return torch.stack(out)


def test_ridge_scores_equal_the_slow_loop():
    audio, text, _ = corpus(n=40, exchanged=0.2, d=6)
    audio, text, codes = slow_standard(audio), slow_standard(text[:, :5]), torch.arange(40) // 2
    weight, partner = torch.linspace(0, 1, 40), mismatched(codes)
    real, null = ridge_scores(audio, text, codes, partner, weight)
    to_text, to_audio = slow_ridge(audio, text, codes, weight), slow_ridge(text, audio, codes, weight)
    a, t = ((x - x.mean(0)).double() for x in (audio, text))
    cosine = torch.nn.functional.cosine_similarity
    want = torch.stack([cosine(to_text, t), cosine(to_audio, a)], 1)
    want_null = torch.stack([cosine(to_text, t[partner]), cosine(to_audio[partner], a)], 1)
    torch.testing.assert_close(real.double(), want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(null.double(), want_null, rtol=1e-4, atol=1e-5)


def test_suggestions_equal_the_slow_loop_and_fit_the_sound():
    audio, text, wrong = corpus(n=60, exchanged=0.3, d=6)
    codes, trust = torch.arange(60) // 2, (~wrong).float()
    rows = wrong.nonzero()[:, 0]
    a, t = slow_standard(audio), slow_standard(text)
    near = slow_predict(t, a, codes, 8, 0.1, trust)
    line = slow_ridge(a, t, codes, trust) + t.mean(0)
    want = []
    for i in rows.tolist():
        able = [j for j in range(60) if trust[j] >= 0.5 and codes[j] != codes[i]]
        aim = near[i].double() + line[i] / line[i].norm()
        want.append(max(able, key=lambda j: float(aim @ t[j].double())))
    assert suggest(audio, text, codes, trust, rows, k=8).tolist() == want
    assert suggest(audio, text, codes, torch.zeros(60), rows).tolist() == [-1] * len(rows)


def test_no_caption_of_a_clip_helps_to_predict_the_clip():
    audio, text, _ = corpus(n=100)
    codes = torch.arange(100) // 5 * 7 - 3  # any integers, five captions a clip
    fold = folds_of(codes)
    assert all(len(fold[codes == c].unique()) == 1 for c in codes.unique()) and len(fold.unique()) == FOLDS
    before = crossfit(audio, text, fold, torch.ones(100))
    own = fold == fold[0]
    text[own] = torch.randn(int(own.sum()), text.shape[1])
    after = crossfit(audio, text, fold, torch.ones(100))
    assert torch.equal(before[own], after[own]) and not torch.allclose(before[~own], after[~own])


def test_one_round_equals_the_slow_loop():
    audio, text, _ = corpus(n=80, exchanged=0.3)
    codes, ones = torch.arange(80) // 2, torch.ones(80)
    estimate = estimate_reliability(audio, text, codes, k=5, rounds=1)
    a, t, other = slow_standard(audio), slow_standard(text), mismatched(codes)
    to_text, to_audio = slow_predict(t, a, codes, 5, 0.1, ones), slow_predict(a, t, codes, 5, 0.1, ones)
    near = torch.stack([(to_text * t).sum(1), (to_audio * a).sum(1)], 1)
    near_null = torch.stack([(to_text * t[other]).sum(1), (to_audio[other] * a).sum(1)], 1)
    linear, linear_null = ridge_scores(a, t, codes, other, ones)
    torch.testing.assert_close(estimate.scores, torch.cat([near, linear], 1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(estimate.null_scores, torch.cat([near_null, linear_null], 1), rtol=1e-4, atol=1e-5)
    odds, null_odds = density_ratio(estimate.scores, estimate.null_scores)
    share = min(1.0, 2 * float((odds < null_odds.median()).double().mean()))
    assert estimate.share == share
    torch.testing.assert_close(estimate.posterior, (1 - share * torch.exp(-odds)).clamp(0, 1).float())


def test_mismatched_partners_are_a_permutation_across_clips():
    for codes in (torch.arange(100) // 5, torch.arange(100) % 20, torch.arange(101)):
        other = mismatched(codes)
        assert sorted(other.tolist()) == list(range(len(codes)))
        assert not (codes[other] == codes).any()


def test_density_ratio_of_two_gaussians_is_known():
    g = torch.Generator().manual_seed(0)
    real = torch.randn(20_000, 2, generator=g) + torch.tensor([1.0, 0.5])
    null = torch.randn(20_000, 2, generator=g)
    odds, _ = density_ratio(real, null, ridge=0.0)
    want = real[:, 0] + 0.5 * real[:, 1] - 0.625  # log N(x; m, 1) / N(x; 0, 1)
    assert (odds.float() - want).abs().mean() < 0.06


def test_too_few_pairs_are_refused():
    audio, text, _ = corpus(exchanged=0.0, n=400)
    with pytest.raises(AskAudioError, match="at least 64"):
        estimate_reliability(audio[:10], text[:10], torch.arange(10))


TILES = {
    "gate": agreement.AgreementGate(k=16),
    "overlap": agreement.RankBiasedOverlap(k=16),
    "plan": agreement.TransportPlan(block=200),
    "dual": agreement.DualSoftmax(0.1),
}


@pytest.mark.parametrize("name", TILES)
def test_tiles_trust_right_pairs_more(name):
    g = torch.Generator().manual_seed(0)
    _, shared_text, wrong = corpus(exchanged=0.3, n=300)
    clean = corpus(exchanged=0.0, n=300)[1]
    audio = clean + 0.2 * torch.randn(clean.shape, generator=g)  # one space, as a trained model has
    base = KnowledgeBase.from_pairs(range(300), audio, shared_text)
    base = KnowledgeBase.combine([base, KnowledgeBase.from_pairs(["w"], None, shared_text[:1], source="text")])
    trust = TILES[name](base)
    assert trust.shape == (301,) and trust.min() >= 0 and trust.max() <= 1 + 1e-6 and trust[-1] == 1
    assert trust[:-1][~wrong].mean() > 1.5 * trust[:-1][wrong].mean()


def test_rank_biased_overlap_equals_slow_loop():
    g = torch.Generator().manual_seed(1)
    x, y = (torch.stack([torch.randperm(9, generator=g)[:6] for _ in range(5)]) for _ in range(2))
    got = agreement.rank_biased_overlap(x, y, 0.8)
    for i in range(5):
        top = sum(0.8**d * len(set(x[i][: d + 1].tolist()) & set(y[i][: d + 1].tolist())) / (d + 1) for d in range(6))
        assert math.isclose(float(got[i]), top / sum(0.8**d for d in range(6)), rel_tol=1e-5)
    torch.testing.assert_close(agreement.rank_biased_overlap(x, x, 0.8), torch.ones(5))


def test_dual_softmax_and_plan_equal_their_formulas():
    g = torch.Generator().manual_seed(2)
    base = KnowledgeBase.from_pairs(
        range(12), torch.randn(12, 6, generator=g), torch.randn(12, 6, generator=g), dtype=torch.float64
    )
    s = base.audio @ base.text.T / 0.1
    want = (torch.softmax(s, 1).diagonal() * torch.softmax(s, 0).diagonal()).sqrt()
    torch.testing.assert_close(agreement.DualSoftmax(0.1)(base).double(), want, rtol=1e-5, atol=1e-7)
    plan = torch.exp(base.audio @ base.text.T / 0.2)
    for _ in range(200):
        plan = plan / plan.sum(1, keepdim=True)
        plan = plan / plan.sum(0, keepdim=True)
    tile = agreement.TransportPlan(block=100, epsilon=0.2, iterations=200)
    torch.testing.assert_close(tile(base).double(), plan.diagonal(), rtol=1e-5, atol=1e-7)


def test_two_means_and_prediction():
    x = torch.tensor([0.0, 0.2, 0.1, 5.0, 5.2])
    low, high = agreement.two_means(x)
    assert math.isclose(low, 0.1, rel_tol=1e-5) and math.isclose(high, 5.1, rel_tol=1e-5)
    values = torch.eye(3)
    rows, score = torch.tensor([[1, 2]]), torch.tensor([[0.5, float("-inf")]])
    assert torch.equal(predict(values, score, rows, torch.ones(3), 0.1), values[1:2])
