"""Every loss against slow loops in float64, gradients included; masks, weights and reliabilities."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from askaudio.core.errors import AskAudioError
from askaudio.losses.ntxent import NTXent, ntxent
from askaudio.losses.positives import same_clip
from askaudio.losses.sigmoid import SigmoidLoss, sigmoid_loss
from askaudio.losses.soft_targets import SoftTargets, soft_target_loss, target_rows
from askaudio.losses.text_similarity import TextSimilarityLoss, caption_relevance
from askaudio.losses.transport import TransportLoss, log_sinkhorn, transport_loss
from askaudio.losses.triplet import Triplet, triplet

B, D, TAU = 7, 5, 0.2


def unit(n, d, seed):
    g = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, d, generator=g, dtype=torch.float64), dim=1)


@pytest.fixture
def batch():
    return unit(B, D, 0).requires_grad_(), unit(B, D, 1).requires_grad_()


@pytest.fixture
def extras():
    g = torch.Generator().manual_seed(2)
    weights = torch.rand(B, generator=g, dtype=torch.float64)
    reliability = 0.1 + 0.9 * torch.rand(B, generator=g, dtype=torch.float64)
    positives = same_clip(["a", "b", "a", "c", "d", "b", "a"])
    return positives, weights, reliability


def wmean(per, w):
    return sum(wi * x for wi, x in zip(w, per, strict=True)) / max(float(sum(w)), 1.0)


def slow_ntxent(a, t, pos, w, r):
    def side(x, y, pos):
        out = []
        for i in range(B):
            total, own = 0.0, [p for p in range(B) if pos[i][p]]
            for p in own:
                top = r[p] * torch.exp(x[i] @ y[p] / TAU)
                rest = sum((r[n] * torch.exp(x[i] @ y[n] / TAU) for n in range(B) if not pos[i][n]), 0.0)
                total = total - torch.log(top / (top + rest))
            out.append(total / len(own))
        return out

    return wmean([(x + y) / 2 for x, y in zip(side(a, t, pos), side(t, a, pos.T), strict=True)], w)


def slow_sigmoid(a, t, pos, w, r, bias=-1.0):
    per = []
    for i in range(B):
        x = 0.0
        for j in range(B):
            for s, p in ((a[i] @ t[j], pos[i][j]), (a[j] @ t[i], pos[j][i])):
                z = 1.0 if p else -1.0
                x = x - torch.log(torch.sigmoid(z * (s / TAU + bias))) * (1.0 if p else r[j]) / 2
        per.append(x)
    return wmean(per, w)


def slow_triplet(a, t, pos, w, r, hardest):
    per = []
    for i in range(B):
        x = 0.0
        for u, v in ((a, t), (t, a)):
            own = min(u[i] @ v[p] for p in range(B) if pos[i][p])
            bad = [r[n] * torch.clamp(0.2 + u[i] @ v[n] - own, min=0) for n in range(B) if not pos[i][n]]
            x = x + (max(bad) if hardest else sum(bad)) / 2
        per.append(x)
    return wmean(per, w)


def slow_soft(a, t, q, w, r):
    def side(x, y, q):
        out = []
        for i in range(B):
            z = sum(r[j] * torch.exp(x[i] @ y[j] / TAU) for j in range(B))
            row = sum(q[i])
            out.append(-sum(q[i][j] / row * torch.log(r[j] * torch.exp(x[i] @ y[j] / TAU) / z) for j in range(B)))
        return out

    return wmean([(x + y) / 2 for x, y in zip(side(a, t, q), side(t, a, q.T), strict=True)], w)


def slow_transport(a, t, pos, w, r, rounds=20, eps=0.1):
    share = r / r.sum()
    k = torch.exp(a @ t.T / eps)
    v = torch.ones(B, dtype=torch.float64)
    for _ in range(rounds):
        u = share / (k @ v)
        v = share / (k.T @ u)
    plan = u[:, None] * k * v[None, :]
    per = []
    for i in range(B):
        row, column = sum(plan[i][pos[i]]), sum(plan[:, i][pos[:, i]])
        per.append(math.log(share[i]) - (torch.log(row) + torch.log(column)) / 2)
    return wmean(per, w)


CASES = {
    "ntxent": (lambda a, t, p, w, r: ntxent(a, t, TAU, p, w, r), slow_ntxent),
    "sigmoid": (lambda a, t, p, w, r: sigmoid_loss(a, t, TAU, -1.0, p, w, r), slow_sigmoid),
    "hardest": (
        lambda a, t, p, w, r: triplet(a, t, 0.2, "hardest", p, w, r),
        lambda a, t, p, w, r: slow_triplet(a, t, p, w, r, True),
    ),
    "all": (
        lambda a, t, p, w, r: triplet(a, t, 0.2, "all", p, w, r),
        lambda a, t, p, w, r: slow_triplet(a, t, p, w, r, False),
    ),
    "transport": (lambda a, t, p, w, r: transport_loss(a, t, 0.1, 20, p, w, r), slow_transport),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("plain", [True, False])
def test_loss_equals_slow_loop_with_gradients(name, plain, batch, extras):
    fast, slow = CASES[name]
    positives, weights, reliability = extras
    ones = torch.ones(B, dtype=torch.float64)
    a, t = batch
    if plain:
        got, want = fast(a, t, None, None, None), slow(a, t, torch.eye(B, dtype=torch.bool), ones, ones)
    else:
        got = fast(a, t, positives, weights, reliability)
        want = slow(a, t, positives, weights, reliability)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    for g, h in zip(torch.autograd.grad(got, (a, t)), torch.autograd.grad(want, (a, t)), strict=True):
        torch.testing.assert_close(g, h, rtol=1e-8, atol=1e-11)


def test_soft_targets_equal_slow_loop(batch, extras):
    a, t = batch
    _, weights, reliability = extras
    q = target_rows(unit(B, D, 5) @ unit(B, D, 6).T, 0.3)
    got = soft_target_loss(a, t, q, TAU, None, weights, reliability)
    want = slow_soft(a, t, q, weights, reliability)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    one_hot = soft_target_loss(a, t, torch.eye(B), TAU)
    torch.testing.assert_close(one_hot, ntxent(a, t, TAU), rtol=1e-10, atol=1e-12)


def test_ntxent_fast_path_equals_masked_path(batch):
    a, t = batch
    torch.testing.assert_close(ntxent(a, t, TAU), ntxent(a, t, TAU, torch.eye(B, dtype=torch.bool)))


@pytest.mark.parametrize("name", CASES)
def test_order_of_the_batch_does_not_matter(name, batch, extras):
    fast, _ = CASES[name]
    positives, weights, reliability = extras
    a, t = batch
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    moved = fast(a[order], t[order], positives[order][:, order], weights[order], reliability[order])
    torch.testing.assert_close(fast(a, t, positives, weights, reliability), moved, rtol=1e-10, atol=1e-12)


def test_positives_are_in_no_denominator(batch):
    a, t = batch
    every = torch.ones(B, B, dtype=torch.bool)
    loss = ntxent(a, t, TAU, every)
    assert loss.item() == 0.0
    assert torch.isfinite(torch.autograd.grad(loss, a)[0]).all()
    pair = same_clip(["x", "x"])
    assert torch.equal(pair, torch.ones(2, 2, dtype=torch.bool))
    assert torch.equal(same_clip(torch.tensor([4, 9, 4])), same_clip(["p", "q", "p"]))


def test_a_distrusted_pair_vanishes(batch):
    a, t = batch
    keep = torch.tensor([True] * (B - 1) + [False])
    trust = keep.double()
    got = ntxent(a, t, TAU, None, trust, trust)
    want = ntxent(a[keep], t[keep], TAU)
    assert abs((got - want).item()) < 0.01 * want.item()  # a trace of 1e-4 stays in the denominators


def test_columns_of_a_plan_sum_to_their_share():
    plan = log_sinkhorn(unit(6, 4, 1) @ unit(9, 4, 2).T, 0.05, 200).exp()
    torch.testing.assert_close(plan.sum(0), torch.full((9,), 1 / 9, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(1), torch.full((6,), 1 / 6, dtype=torch.float64), rtol=1e-4, atol=1e-6)


def test_caption_relevance_is_symmetric_and_full_on_the_diagonal():
    same = unit(4, 6, 3)[[0, 1, 0, 2]]
    y = caption_relevance(same)
    assert torch.equal(y, y.T) and bool((y.diagonal() == 1).all())
    assert y[0, 2] > 0.9 > y[0, 1]


def test_modules_call_their_functions(batch):
    a, t = batch
    torch.testing.assert_close(NTXent(TAU)(a, t), ntxent(a, t, TAU), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(SigmoidLoss(TAU, -1.0)(a, t), sigmoid_loss(a, t, TAU, -1.0), rtol=1e-6, atol=1e-6)
    assert torch.equal(Triplet(0.3, "all")(a, t), triplet(a, t, 0.3, "all"))
    assert torch.equal(TransportLoss(0.1, 5)(a, t), transport_loss(a, t, 0.1, 5))
    torch.testing.assert_close(SoftTargets(TAU)(a, t, targets=torch.eye(B)), ntxent(a, t, TAU))
    sentences = unit(B, 8, 9)
    wanted = soft_target_loss(a, t, caption_relevance(sentences), TAU)
    assert torch.equal(TextSimilarityLoss(TAU)(a, t, sentences=sentences), wanted)


def test_learned_temperature_gets_a_gradient_and_stays_in_range(batch):
    a, t = batch
    module = NTXent(0.5, learn_temperature=True)
    module(a, t).backward()
    assert module.log_scale.grad is not None and float(module.log_scale.grad.abs()) > 0
    assert math.isclose(float(NTXent(1e-5).temperature), 0.01, rel_tol=1e-3)


def test_bad_input_is_refused_with_what_was_got():
    with pytest.raises(AskAudioError, match=r"\(3, 4\) and \(4, 3\)"):
        ntxent(torch.zeros(3, 4), torch.zeros(4, 3))
    with pytest.raises(AskAudioError, match="same_clip"):
        ntxent(torch.zeros(3, 4), torch.zeros(3, 4), positives=torch.ones(3, 3))
    with pytest.raises(AskAudioError, match="diagonal"):
        ntxent(torch.zeros(2, 4), torch.zeros(2, 4), positives=torch.zeros(2, 2, dtype=torch.bool))
    with pytest.raises(AskAudioError, match="hardest"):
        triplet(torch.zeros(2, 4), torch.zeros(2, 4), negatives="some")


def test_half_precision_batch_is_computed_in_float32(rng):
    x = torch.from_numpy(rng.standard_normal((4, 16)).astype(np.float32))
    a, t = F.normalize(x, dim=1).bfloat16(), F.normalize(x.flip(1), dim=1).bfloat16()
    assert torch.equal(ntxent(a, t, 0.05), ntxent(a.float(), t.float(), 0.05))
