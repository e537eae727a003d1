"""ASK as a plug-in: the plain loss to the bit without knowledge, slow loops of every formula, exact resume."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from askaudio.ask.objective import ASK
from askaudio.core.errors import AskAudioError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.queue import QueueMemory
from askaudio.knowledge.refinement.graph import GraphAttention
from askaudio.knowledge.refinement.policies import (
    GraphRefinement,
    NeverRefine,
    RefineEveryEpochs,
    RefineEverySteps,
    RefineInParts,
    RefinementPolicy,
    RefineOnDrift,
)
from askaudio.knowledge.reliability.agreement import AgreementGate
from askaudio.losses.ntxent import NTXent, ntxent
from askaudio.losses.sigmoid import SigmoidLoss
from askaudio.losses.soft_targets import SoftTargets, soft_target_loss
from askaudio.losses.triplet import Triplet

N, D, B, TAU = 90, 12, 6, 0.1


def unit(n=B, d=D, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, d, generator=g, dtype=torch.float64), dim=1).to(dtype)


def base_of(n=N, ids=None, dtype=torch.float64, seed=7):
    return KnowledgeBase.from_pairs(ids or range(n), unit(n, seed=seed), unit(n, seed=seed + 1), dtype=dtype)


def batch():
    return unit(seed=1).requires_grad_(), unit(seed=2).requires_grad_()


LOSSES = {"ntxent": lambda: NTXent(TAU), "sigmoid": lambda: SigmoidLoss(), "triplet": lambda: Triplet()}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("how", ["none", "empty", "zero weights"])
def test_without_knowledge_it_is_the_plain_loss_to_the_bit(name, how):
    loss = LOSSES[name]()
    ask = {
        "none": lambda: ASK(None, loss),
        "empty": lambda: ASK(base_of(0, ids=[]), loss),
        "zero weights": lambda: ASK(base_of(), loss, fine_weight=0, coarse_weight=0, refine=NeverRefine()),
    }[how]()
    a, t = batch()
    got, want = ask(a, t, range(B)).total, loss(a, t)
    assert torch.equal(got, want)
    for g, h in zip(torch.autograd.grad(got, (a, t)), torch.autograd.grad(want, (a, t)), strict=True):
        assert torch.equal(g, h)


def slow_total(ask, a, t, ids, trust):
    """The whole contrast objective as plain loops, from the snapshot that ``ask`` holds."""
    base, r, w = ask.base, ask.state.reliability, torch.as_tensor(trust)
    log_r = r.double().clamp_min(1e-4).log() if len(r) else torch.zeros(len(base), dtype=torch.float64)
    log_w = w.clamp_min(1e-4).log()

    def cross(x, table, bias, target):
        logits = torch.stack([x @ table[j] / TAU + bias[j] for j in range(len(table))])
        return -sum(q * (logits[j] - logits.logsumexp(0)) for j, q in target.items())

    parts = {"batch": [], "fine": [], "coarse": []}
    for i, one in enumerate(ids):
        own = [j for j, other in enumerate(base.index.ids) if other == one]
        near = ask.state.neighbor_rows[own[0]].tolist()
        mass = ask.fine.mass if near else 0.0
        target = {}
        for j in own:
            target[j] = target.get(j, 0) + (1 - mass) / len(own)
        for j, x in zip(near, ask.state.neighbor_weights[own[0]].tolist(), strict=True):
            target[j] = target.get(j, 0) + mass * x
        parts["fine"].append((cross(a[i], base.text, log_r, target) + cross(t[i], base.audio, log_r, target)) / 2)
        pa, pt = ask.state.prototypes_audio, ask.state.prototypes_text
        joint = [
            (torch.softmax(a[i] @ pa.T / 0.1, 0)[p] * torch.softmax(t[i] @ pt.T / 0.1, 0)[p]) ** 0.5
            for p in range(len(pa))
        ]
        goal = {p: (x / sum(joint)).detach() for p, x in enumerate(joint)}
        zero = torch.zeros(len(pa))
        parts["coarse"].append((cross(a[i], pt, zero, goal) + cross(t[i], pa, zero, goal)) / 2)
        parts["batch"].append((cross(a[i], t, log_w, {i: 1.0}) + cross(t[i], a, log_w, {i: 1.0})) / 2)
    mean = {k: sum(w[i] * x for i, x in enumerate(v)) / max(float(w.sum()), 1.0) for k, v in parts.items()}
    return mean["batch"] + mean["fine"] + 0.5 * mean["coarse"], mean


@pytest.mark.parametrize("trusting", [True, False])
def test_contrast_equals_the_slow_loop_with_gradients(trusting):
    base = base_of(ids=[f"c{i // 2}" for i in range(N)])
    r = None if trusting else torch.rand(N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ask = ASK(
        base, NTXent(TAU), fine=FineGrainedInjection(k=3, mass=0.2), coarse=CoarseGrainedInjection(5),
        temperature=TAU, reliability=r, refine=NeverRefine(),
    )  # fmt: skip
    a, t = batch()
    ids = ["c3", "c40", "c7", "c11", "c0", "c44"]
    rows = torch.tensor([int(one[1:]) * 2 for one in ids])
    trust = torch.ones(B, dtype=torch.float64) if r is None else r.float()[rows].double()
    out = ask(a, t, ids, rows=rows)
    want, parts = slow_total(ask, a, t, ids, trust)
    for name, value in parts.items():
        torch.testing.assert_close(out.parts[name], value, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(out.total, want, rtol=1e-6, atol=1e-8)
    for g, h in zip(torch.autograd.grad(out.total, (a, t)), torch.autograd.grad(want, (a, t)), strict=True):
        torch.testing.assert_close(g, h, rtol=1e-5, atol=1e-8)


def test_order_of_the_batch_does_not_matter_and_no_gradient_enters_the_base():
    ask = ASK(base_of(), NTXent(TAU), refine=NeverRefine())
    a, t = batch()
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    one = ask(a, t, list(range(B))).total
    two = ask(a[order], t[order], order.tolist()).total
    torch.testing.assert_close(one, two)
    one.backward()
    assert all(not x.requires_grad for x in (ask.state.audio, ask.state.text, ask.state.prototypes_text))
    fast = ASK(base_of(dtype=torch.bfloat16), NTXent(TAU), refine=NeverRefine())
    near = fast(a.float(), t.float(), range(B)).total
    assert abs(near.item() - one.item()) < 0.02 * one.item()  # bfloat16 storage moves the loss by under 2 %


def test_items_outside_the_base_use_their_live_partner():
    ask = ASK(base_of(ids=[f"x{i}" for i in range(N)]), NTXent(TAU), coarse_weight=0, refine=NeverRefine())
    a, t = batch()
    got = ask(a, t, range(B)).parts["fine"]
    loss = 0.0
    for x, y, table in ((a, t, ask.base.text), (t, a, ask.base.audio)):
        logits = torch.cat([(x * y).sum(1, keepdim=True), x @ table.T], dim=1) / TAU
        loss = loss + F.cross_entropy(logits, torch.zeros(B, dtype=torch.long)) / 2
    torch.testing.assert_close(got, loss, rtol=1e-6, atol=1e-9)


def test_text_only_entries_are_candidates_for_audio_only():
    pairs = base_of()
    words = KnowledgeBase.from_pairs(["w0", "w1"], None, unit(2, seed=20), source="text", dtype=torch.float64)
    fine = FineGrainedInjection(k=0)
    both = ASK(KnowledgeBase.combine([pairs, words]), NTXent(TAU), fine=fine, coarse_weight=0, refine=NeverRefine())
    a, t = batch()
    own = torch.arange(B)
    a2t = F.cross_entropy(a @ both.base.text.T / TAU, own)
    t2a = F.cross_entropy(t @ pairs.audio.T / TAU, own)
    torch.testing.assert_close(both(a, t, range(B)).parts["fine"], (a2t + t2a) / 2, rtol=1e-6, atol=1e-9)


def test_duplicate_clips_of_a_batch_are_not_negatives():
    ask = ASK(None, NTXent(TAU))
    a, t = batch()
    ids = ["p", "q", "p", "r", "s", "u"]
    mask = torch.tensor([[x == y for y in ids] for x in ids])
    torch.testing.assert_close(ask(a, t, ids).total, ntxent(a, t, TAU, mask).to(torch.float64), rtol=1e-6, atol=1e-7)


def test_queue_holds_the_batch_and_leaves_stale_copies_out():
    ask = ASK(None, NTXent(TAU), queue=QueueMemory(10, D, torch.float64), temperature=TAU)
    a, t = batch()
    first = ask(a, t, range(B))
    torch.testing.assert_close(first.parts["queue"], ntxent(a, t, TAU), rtol=1e-6, atol=1e-9)
    b, u = unit(seed=5), unit(seed=6)
    second = ask(b, u, [0, 1, 20, 21, 22, 23])  # clips 0 and 1 again, two rows overwritten: ring of 10
    memory_t, memory_a = torch.cat([u, t[2:]]), torch.cat([b, a[2:]])
    own = torch.arange(B)
    want = (F.cross_entropy(b @ memory_t.T / TAU, own) + F.cross_entropy(u @ memory_a.T / TAU, own)) / 2
    torch.testing.assert_close(second.parts["queue"], want.detach(), rtol=1e-6, atol=1e-9)
    keys = unit(seed=8), unit(seed=9)
    ask(b, u, range(B), keys=keys)
    assert torch.equal(ask.queue.audio[2:8], keys[0])  # a momentum queue holds the momentum encoder's rows


def towers():
    torch.manual_seed(0)
    return nn.Linear(10, D), nn.Linear(9, D)


class Loop:
    """A plain training loop on random features."""

    def __init__(self, **kw):
        g = torch.Generator().manual_seed(1)
        self.x, self.y = torch.randn(N, 10, generator=g), torch.randn(N, 9, generator=g)
        self.f, self.g = towers()
        base = KnowledgeBase.encoded(list(range(N)), self.encode)
        kw.setdefault("coarse", CoarseGrainedInjection(8))
        self.ask = ASK(base, NTXent(TAU, learn_temperature=True), encode=self.encode, **kw)
        self.modules = nn.ModuleDict({"f": self.f, "g": self.g, "ask": self.ask})
        self.optimizer = torch.optim.AdamW(self.modules.parameters(), 1e-2)
        self.done = 0

    def encode(self, rows):
        return F.normalize(self.f(self.x[rows]), dim=1), F.normalize(self.g(self.y[rows]), dim=1)

    def steps(self, n, per_epoch=5):
        losses = []
        for _ in range(n):
            rows = torch.randperm(N, generator=torch.Generator().manual_seed(self.done))[:B]
            out = self.ask(*self.encode(rows), rows.tolist())
            self.optimizer.zero_grad()
            out.total.backward()
            self.optimizer.step()
            self.ask.step_ended()
            self.done += 1
            if self.done % per_epoch == 0:
                self.ask.epoch_ended()
            losses.append(out.total.item())
        return losses


RESUMED = {
    "epochs": lambda: {"refine": RefineEveryEpochs(1)},
    "steps and write-through": lambda: {"refine": RefineEverySteps(7), "write_through": True},
    "drift": lambda: {"refine": RefineOnDrift(1e-4, every_steps=2), "reliability": AgreementGate(k=8)},
    "graph": lambda: {"refine": GraphRefinement(RefineEveryEpochs(1), alpha=0.3)},
    "learned graph": lambda: {
        "refine": GraphRefinement(RefineEveryEpochs(1), alpha=0.3, layer=GraphAttention(2 * D), fit_steps=3)
    },
    "queue": lambda: {"queue": QueueMemory(32, D), "fine_weight": 0.0, "coarse_weight": 0.0},
    "candidates": lambda: {"candidates": CandidateSampling(hard=8, random=16, cells=4), "coarse_weight": 0.0},
    "blend": lambda: {"inject": "blend"},
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_reloaded_run_goes_on_bit_equal(name):
    whole = Loop(**RESUMED[name]())
    whole.steps(8)
    state = copy.deepcopy((whole.modules.state_dict(), whole.optimizer.state_dict()))
    want = whole.steps(9)
    assert len(set(want)) == 9  # training moves
    again = Loop(**RESUMED[name]())
    again.modules.load_state_dict(state[0])
    again.optimizer.load_state_dict(state[1])
    again.done = 8
    assert again.steps(9) == want
    assert all(torch.equal(x, y) for x, y in zip(
        whole.modules.state_dict().values(), again.modules.state_dict().values(), strict=True
    ))  # fmt: skip


OLD_LAYOUT = {
    "state.audio": "base_audio",
    "state.text": "base_text",
    "state.reliability": "pair_reliability",
    "state.neighbor_rows": "neighbor_rows",
    "state.neighbor_weights": "neighbor_weights",
    "state.prototypes_audio": "prototypes_audio",
    "state.prototypes_text": "prototypes_text",
    "state._extra_state": "clock",
    "state.round.centers": "round.centers",
    "state.round.sums": "round.sums",
    "state.round.mass": "round.mass",
    "state.round.drift": "round.drift",
}


@pytest.mark.parametrize("name", ["epochs", "learned graph", "candidates", "parts", "queue"])
def test_a_state_of_the_old_layout_is_continued_bit_equal(name):
    """Before, the tensors of the state and a clock (step, epoch, last refresh, version) were ASK's own buffers."""
    settings = {**RESUMED, "parts": lambda: {"refine": RefineInParts(3)}}[name]
    whole = Loop(**settings())
    whole.steps(8)
    state = {}
    for key, value in copy.deepcopy(whole.modules.state_dict()).items():
        part, _, own = key.partition(".")
        state[f"ask.{OLD_LAYOUT.get(own, own)}" if part == "ask" else key] = value
    assert state["ask.clock"].shape == (5,) and "ask.base_audio" in state and "ask.state.audio" not in state
    optimizer = copy.deepcopy(whole.optimizer.state_dict())
    again = Loop(**settings())
    again.modules.load_state_dict(state)
    again.optimizer.load_state_dict(optimizer)
    again.done = 8
    assert again.steps(9) == whole.steps(9)
    assert again.ask.state.get_extra_state().tolist() == whole.ask.state.get_extra_state().tolist()


def test_the_view_of_the_base_is_made_once_and_follows_the_buffers():
    ask = Loop().ask
    before = ask.base
    assert ask.base is before and before.audio is ask.state.audio
    ask.double()
    assert ask.base is not before and ask.base.audio is ask.state.audio and ask.base.audio.dtype == torch.float64
    ask.epoch_ended()
    assert ask.base.version == 1 and ask.base.audio is ask.state.audio


def test_what_a_loss_needs_besides_the_batch_is_an_argument():
    a, t = batch()
    soft = torch.rand(B, B, generator=torch.Generator().manual_seed(0))
    got = ASK(None, SoftTargets(TAU))(a, t, range(B), extra={"targets": soft}).total
    assert torch.equal(got, soft_target_loss(a, t, soft, TAU))
    with pytest.raises(TypeError, match="targets"):
        ASK(None, SoftTargets(TAU))(a, t, range(B))


def test_a_policy_that_is_never_given_neighbors_still_transforms_the_fresh_base():
    class Turned(RefinementPolicy):
        def due(self, clock):
            return clock.epoch_end

        def transform(self, base, rows, weights):
            return base.replaced(-base.audio, base.text)

    loop = Loop(refine=Turned())
    before = loop.ask.base.audio.float()
    loop.ask.epoch_ended()
    torch.testing.assert_close(loop.ask.base.audio.float(), -before)


def test_state_holds_tensors_only():
    ask = Loop().ask
    assert all(isinstance(x, torch.Tensor) for x in ask.state_dict().values())


def test_refresh_follows_the_encoders_and_measures_drift():
    loop = Loop()
    loop.steps(5)
    assert loop.ask.base.version == 1 and loop.ask.last_drift.mean > 0
    fresh = loop.encode(torch.arange(N))
    torch.testing.assert_close(loop.ask.base.audio.float(), fresh[0].detach(), rtol=0, atol=5e-3)
    static = Loop(refine=NeverRefine())
    before = static.ask.base.text.clone()
    static.steps(5)
    assert torch.equal(static.ask.base.text, before)
    assert static.ask.refresher.sample_drift() > 0.001


def test_write_through_overwrites_own_entries_after_the_step():
    ask = ASK(base_of(), NTXent(TAU), refine=NeverRefine(), write_through=True)
    a, t = batch()
    ask(a, t, [5, 6, 7, 8, 9, "unknown"])
    assert not torch.equal(ask.base.audio[5], a[0].detach())
    ask.step_ended()
    assert torch.equal(ask.base.audio[5:10], a[:5].detach()) and torch.equal(ask.base.text[5:10], t[:5].detach())


def test_mistakes_are_reported_with_the_fix():
    with pytest.raises(AskAudioError, match="encode="):
        ASK(base_of(), NTXent(TAU)).epoch_ended()
    with pytest.raises(AskAudioError, match="augment is for inference"):
        ASK(None, inject="augment")
    with pytest.raises(AskAudioError, match=r"\(90,\)"):
        ASK(base_of(), reliability=torch.ones(3))
    with pytest.raises(AskAudioError, match="negative"):
        ASK(None, fine_weight=-1.0)
    with pytest.raises(AskAudioError, match="no knowledge base"):
        ASK(None).refresh()


def test_knowledge_helps_where_the_batch_is_a_bottleneck():
    """Many near classes and a batch of 6: contrasting with the whole base must rank held-out pairs better."""

    def rank(fine_weight):
        torch.manual_seed(0)
        g = torch.Generator().manual_seed(3)
        cause = torch.randn(500, 16, generator=g)
        x = torch.tanh(cause @ torch.randn(16, 24, generator=g)) + 0.2 * torch.randn(500, 24, generator=g)
        y = torch.tanh(cause @ torch.randn(16, 24, generator=g)) + 0.2 * torch.randn(500, 24, generator=g)
        f, h = nn.Linear(24, 16), nn.Linear(24, 16)
        encode = lambda rows: (F.normalize(f(x[rows]), dim=1), F.normalize(h(y[rows]), dim=1))  # noqa: E731
        base = KnowledgeBase.encoded(range(400), encode)
        ask = ASK(base, NTXent(0.1), encode=encode, fine=FineGrainedInjection(k=0), fine_weight=fine_weight,
                  coarse_weight=0, refine=RefineEverySteps(20))  # fmt: skip
        optimizer = torch.optim.Adam([*f.parameters(), *h.parameters()], 5e-3)
        for _ in range(240):
            rows = torch.randperm(400, generator=g)[:6]
            optimizer.zero_grad()
            ask(*encode(rows), rows.tolist()).total.backward()
            optimizer.step()
            ask.step_ended()
        a, t = encode(torch.arange(400, 500))
        score = t @ a.T
        return float((score > score.diagonal()[:, None]).float().sum(1).mean())

    assert rank(1.0) < rank(0.0)
