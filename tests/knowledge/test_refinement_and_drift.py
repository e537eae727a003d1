"""When a base is refreshed, drift, graph messages, queues, momentum, locality."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from askaudio.core.errors import AskAudioError
from askaudio.knowledge import locality
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.queue import MomentumEncoder, QueueMemory, stable_codes
from askaudio.knowledge.refinement.drift import measure_drift, neighbor_overlap, row_drift
from askaudio.knowledge.refinement.graph import GraphAttention, fit_attention, message_pass, propagate, sparse_graph
from askaudio.knowledge.refinement.policies import (
    Clock,
    GraphRefinement,
    NeverRefine,
    RefineEveryEpochs,
    RefineEverySteps,
    RefineOnDrift,
)


def unit(n, d=8, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, d, generator=g, dtype=torch.float64), dim=1).to(dtype)


def base_of(n=20, d=8, seed=0):
    return KnowledgeBase.from_pairs(range(n), unit(n, d, seed), unit(n, d, seed + 1), dtype=torch.float64)


def clock(step=0, epoch=0, at=(0, 0), epoch_end=False, drift=0.0):
    return Clock(step, epoch, at[0], at[1], epoch_end, lambda: drift)


def test_policies_say_when():
    assert not NeverRefine().due(clock(100, 9, epoch_end=True))
    epochs = RefineEveryEpochs(2)
    assert [epochs.due(clock(epoch=e, epoch_end=True)) for e in (1, 2, 3)] == [False, True, True]
    assert not epochs.due(clock(step=50, epoch=2))
    early, last, at = RefineEveryEpochs(1, early=4), 0, []
    for step in range(1, 60):  # epochs of 40 steps
        if early.due(clock(step, (step - 1) // 40, (last, 0))):
            last = step
            at.append(step)
    assert at == [4, 8, 16, 32]
    steps = RefineEverySteps(10)
    assert [s for s in range(1, 12) if steps.due(clock(step=s))] == [10, 11]
    assert not steps.due(clock(step=10, epoch_end=True))
    drift = RefineOnDrift(0.1, every_steps=5)
    assert drift.due(clock(step=5, drift=0.2)) and not drift.due(clock(step=5, drift=0.05))
    assert not drift.due(clock(step=6, drift=0.9)) and not drift.due(clock(step=5, at=(5, 0), drift=0.9))
    assert GraphRefinement(epochs).due(clock(epoch=2, epoch_end=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RefineEveryEpochs(0),
        lambda: RefineEveryEpochs(1, -1),
        lambda: RefineEverySteps(0),
        lambda: RefineOnDrift(0),
    ],
)
def test_wrong_periods_are_refused(make):
    with pytest.raises(AskAudioError):
        make()


def test_drift_is_one_minus_cosine_and_neighbor_overlap():
    base = base_of()
    same = measure_drift(base, base, k=3)
    assert abs(same.audio) < 1e-12 and same.overlap == 1.0
    other = base.refreshed(-base.audio, base.text)
    assert abs(measure_drift(base, other, k=3).audio - 2.0) < 1e-12
    x, y = unit(5, seed=3), unit(5, seed=4)
    torch.testing.assert_close(row_drift(x, y), 1 - (x * y).sum(1))
    lists = []
    for x in (base.text, base.audio):
        score = x @ x.T
        score.fill_diagonal_(-9)
        lists.append([set(r.topk(4).indices.tolist()) for r in score])
    want = sum(len(a & b) for a, b in zip(*lists, strict=True)) / 80
    assert abs(neighbor_overlap(base.text, base.audio, 4) - want) < 1e-6


def test_messages_equal_the_slow_loop():
    x = unit(9)
    x[4] = 0  # an entry without audio
    rows, weights = torch.randint(0, 9, (9, 3)), torch.softmax(torch.randn(9, 3, dtype=torch.float64), 1)
    got = message_pass(x, sparse_graph(rows, weights, 9), 0.3, 2)
    want = x.clone()
    for _ in range(2):
        mixed = [
            0.7 * want[i] + 0.3 * sum(w * want[j] for w, j in zip(weights[i], rows[i], strict=True)) for i in range(9)
        ]
        want = torch.stack([m / m.norm() if i != 4 else 0 * m for i, m in enumerate(mixed)])
    torch.testing.assert_close(got, want)


def test_graph_refinement_pulls_neighbors_together_and_nothing_at_zero():
    base = base_of(40)
    rows, weights = FineGrainedInjection(k=4, beta=1.0, temperature=0.1).build(base)
    assert propagate(base, rows, weights, 0.0) is base
    out = GraphRefinement(RefineEveryEpochs(1), alpha=0.5, depth=2).transform(base, rows, weights)
    near = (out.text[:, None] * out.text[rows]).sum(-1).mean()
    assert near > (base.text[:, None] * base.text[rows]).sum(-1).mean()
    torch.testing.assert_close(out.text.norm(dim=1), torch.ones(40, dtype=torch.float64))
    with pytest.raises(AskAudioError):
        GraphRefinement(RefineEveryEpochs(1), alpha=1.5)


def test_attention_layer_starts_as_the_given_weights_and_can_be_trained():
    base = base_of(30)
    rows, weights = FineGrainedInjection(k=3, beta=1.0, temperature=0.1).build(base)
    layer = GraphAttention(16).double()
    joint = torch.cat([base.audio, base.text], dim=1)
    torch.testing.assert_close(layer(joint, rows, weights), weights)
    plain, learned = propagate(base, rows, weights, 0.4), propagate(base, rows, weights, 0.4, layer=layer)
    torch.testing.assert_close(plain.text, learned.text)
    edge = layer(joint, rows, weights)
    mixed = F.normalize(base.text + (edge.unsqueeze(-1) * base.text[rows]).sum(1), dim=1)
    (-(mixed * base.audio).sum()).backward()
    assert layer.query.weight.grad is not None and layer.query.weight.grad.abs().sum() > 0


def test_attention_layer_learns_to_pick_the_telling_neighbors():
    g = torch.Generator().manual_seed(0)
    group = torch.arange(200) % 20
    centers = torch.randn(20, 12, generator=g)
    audio, text = (F.normalize(centers[group] + 0.3 * torch.randn(200, 12, generator=g), dim=1) for _ in range(2))
    base = KnowledgeBase.from_pairs(range(200), audio, text, dtype=torch.float32)
    good = torch.stack([(torch.arange(1, 4) * 20 + i) % 200 for i in range(200)])  # same group, 20 apart
    rows = torch.cat([good, torch.randint(200, (200, 3), generator=g)], dim=1)  # half of the edges mean nothing
    weights = torch.full((200, 6), 1 / 6)
    layer = GraphAttention(24)
    before = fit_attention(layer, base, rows, weights, steps=1, lr=0.0)
    after = fit_attention(layer, base, rows, weights, steps=60, lr=1e-2)
    assert after < before - 0.2
    edge = layer(torch.cat([base.audio, base.text], 1), rows, weights)
    assert edge[:, :3].sum(1).mean() > 0.7
    nothing = fit_attention(layer, base, rows[:, :0], weights[:, :0])
    assert nothing != nothing  # NaN: there is nothing to train on


def test_queue_is_a_ring_and_knows_stale_copies():
    queue = QueueMemory(5, 2)
    first = queue.add(torch.ones(3, 2), torch.ones(3, 2), torch.tensor([1, 2, 3]))
    assert len(queue) == 3 and first.tolist() == [0, 1, 2]
    rows = queue.add(2 * torch.ones(3, 2), torch.ones(3, 2), torch.tensor([4, 2, 5]), torch.tensor([1.0, 0.5, 1.0]))
    assert len(queue) == 5 and rows.tolist() == [3, 4, 0]
    assert queue.codes.tolist() == [5, 2, 3, 4, 2] and queue.reliability[4] == 0.5
    assert queue.stale_copies(rows, torch.tensor([4, 2, 5])).tolist() == [False, True, False, False, False]
    again = QueueMemory(5, 2)
    again.load_state_dict(queue.state_dict())
    assert again.add(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([9])).tolist() == [1]
    with pytest.raises(AskAudioError, match="larger"):
        queue.add(torch.ones(6, 2), torch.ones(6, 2), torch.arange(6))
    assert torch.equal(stable_codes(["a", 1]), stable_codes(["a", 1])) and (stable_codes(["a", "b"]) >= 0).all()


def test_momentum_encoder_follows():
    net = nn.Linear(2, 2)
    slow = MomentumEncoder(net, 0.9)
    before = net.weight.detach().clone()
    with torch.no_grad():
        net.weight += 1.0
    slow.follow(net)
    torch.testing.assert_close(slow.copy.weight, before + 0.1)
    assert not slow(torch.ones(1, 2)).requires_grad
    with pytest.raises(AskAudioError):
        MomentumEncoder(net, 1.0)


def plain(a, t, tau=0.1):
    own = torch.arange(len(a))
    return (F.cross_entropy(a @ t.T / tau, own) + F.cross_entropy(t @ a.T / tau, own)) / 2


def test_locality_of_the_full_batch_is_perfect_and_of_a_small_one_is_not():
    audio, text = unit(60, seed=1), unit(60, seed=2)
    text = F.normalize(audio + 0.8 * text, dim=1)
    every = torch.arange(60)
    whole = locality.measure_locality(plain, audio, text, every, audio, text, 0.1)
    assert whole.reach == 1.0 and abs(whole.fidelity - 1.0) < 1e-6
    rows = torch.arange(6)
    small = locality.measure_locality(plain, audio[:6], text[:6], rows, audio, text, 0.1)
    assert small.reach == 0.1 and small.fidelity < 0.9 and small.contributors < whole.contributors
    full = lambda a, t: locality.full_contrast(a, t, rows, audio, text, 0.1)  # noqa: E731
    seen = locality.measure_locality(full, audio[:6], text[:6], rows, audio, text, 0.1, candidates=every)
    assert seen.reach == 1.0 and abs(seen.fidelity - 1.0) < 1e-6
    with pytest.raises(AskAudioError):
        locality.fidelity(plain, audio[:2], text[:2], torch.tensor([0, 99]), audio, text, 0.1)


def test_gradient_of_all_pairs_as_one_batch_equals_autograd():
    a, t = unit(30, seed=1), unit(30, seed=2)
    everything = torch.arange(30)
    want = locality.gradients(lambda x, y: locality.full_contrast(x, y, everything, a, t, 0.1), a, t)
    torch.testing.assert_close(locality.whole_gradient(a, t, 0.1), want)
    assert (
        abs(locality.agreement(lambda x, y: locality.full_contrast(x, y, everything, a, t, 0.1), a, t, want) - 1) < 1e-9
    )


def test_locality_numbers_equal_their_formulas():
    a, t = unit(3, seed=1), unit(5, seed=2)
    own = torch.tensor([0, 1, 2])
    c = locality.coefficients(a, t, own, 0.5)
    for i in range(3):
        z = sum(torch.exp(a[i] @ t[j] / 0.5) for j in range(5))
        for j in range(5):
            want = torch.exp(a[i] @ t[j] / 0.5) / z - (1.0 if j == i else 0.0)
            assert abs(float(c[i, j]) - float(want)) < 1e-5
    even = torch.full((2, 4), -0.3)
    assert abs(locality.effective_contributors(even) - 4.0) < 1e-5
    assert locality.reach(torch.tensor([[0.0, 1.0], [0.0, 0.5]]), 4) == 0.25
