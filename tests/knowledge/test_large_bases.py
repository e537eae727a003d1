"""Bases too large to be read at each step: nearest entries from inverted lists, rows in files, refresh in parts."""

import pytest
import torch
import torch.nn.functional as F

from askaudio.ask.objective import ASK
from askaudio.core.errors import AskAudioError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.mapped import map_base, open_mapped
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.inverted_lists import InvertedLists
from askaudio.knowledge.refinement.policies import GraphRefinement, NeverRefine, RefineEveryEpochs, RefineInParts
from askaudio.losses.ntxent import NTXent

N, D, B = 3000, 16, 8


def clustered(n=N, seed=0, clusters=40):
    """Pairs around unequal centers, as encoders give them."""
    g = torch.Generator().manual_seed(seed)
    center = F.normalize(torch.randn(clusters, D, generator=g), dim=1)
    share = 1.0 / torch.arange(1, clusters + 1)
    own = center[torch.multinomial(share, n, replacement=True, generator=g)]
    audio, text = (F.normalize(own + 0.12 * torch.randn(n, D, generator=g), dim=1) for _ in range(2))
    return audio, text


def base_of(dtype=torch.float32, n=N):
    return KnowledgeBase.from_pairs(torch.arange(n), *clustered(n), dtype=dtype)


def batch_of(base, rows):
    g = torch.Generator().manual_seed(5)
    return [F.normalize(x[rows].float() + 0.1 * torch.randn(len(rows), D, generator=g), dim=1).requires_grad_()
            for x in (base.audio, base.text)]  # fmt: skip


def ask_of(base, **options):
    return ASK(base, NTXent(0.07), fine=FineGrainedInjection(0), coarse_weight=0.0, **options)


@pytest.mark.parametrize("codec", ["SQ8", "PQ8x4"])
def test_the_nearest_and_a_sample_come_within_a_percent_of_the_whole_base(codec):
    base = base_of(torch.bfloat16)
    source = InvertedLists(near=48, random=400, lists=30, probe=6, codec=codec)
    exact, sampled = ask_of(base, refine=NeverRefine()), ask_of(base, refine=NeverRefine(), candidates=source)
    off, cosines = [], []
    for start in range(0, 320, B):
        rows = torch.arange(start, start + B)
        a, t = batch_of(base, rows)
        want, got = exact(a, t, rows).parts["fine"], sampled(a, t, rows).parts["fine"]
        off.append(float((got - want).detach() / want.detach()))
        grads = [torch.autograd.grad(loss, a)[0].flatten() for loss in (want, got)]
        cosines.append(float(F.cosine_similarity(*grads, dim=0)))
    assert abs(sum(off) / len(off)) < 0.01
    assert sum(cosines) / len(cosines) > 0.97


def test_candidates_are_distinct_and_repeat_with_their_number():
    base = base_of()
    one, two = (InvertedLists(near=5, random=50, lists=10, probe=2) for _ in range(2))
    one.prepare(base)
    a, t = (x.detach() for x in batch_of(base, torch.arange(4)))
    one.candidates(torch.tensor([1]), a, t)
    two.load_state_dict(one.state_dict())
    two.restored(base)
    targets = torch.tensor([3, 9])
    for (rows, weight), (same, weights) in zip(
        one.candidates(targets, a, t), two.candidates(targets, a, t), strict=True
    ):
        assert torch.equal(rows, same) and torch.equal(weight, weights)
        assert len(rows.unique()) == len(rows) and rows[:2].tolist() == [3, 9] and (weight[:2] == 0).all()


def test_an_entry_that_moved_is_found_where_it_is_now():
    base = base_of()
    source = InvertedLists(near=1, random=1, lists=20, probe=1)
    source.prepare(base)
    goal = F.normalize(torch.randn(1, D, generator=torch.Generator().manual_seed(9)), dim=1)
    base.text[1234] = goal[0]
    source.moved(base, torch.tensor([1234]))
    _, (rows, _) = source.candidates(torch.tensor([0]), goal, goal)
    assert 1234 in rows[:2].tolist()


def test_rows_in_files_are_the_base_and_its_state(tmp_path):
    audio, text = clustered(500)
    base = map_base(tmp_path / "base", torch.arange(500) + 7, D, lambda rows: (audio[rows], text[rows]), piece=64)
    want = KnowledgeBase.from_pairs(torch.arange(500) + 7, audio, text)
    assert torch.equal(base.audio, want.audio) and torch.equal(base.text, want.text)
    assert base.index.codes_of([8, 3, 506]).tolist() == [1, -1, 499] and base.fingerprint == want.fingerprint
    turn = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(3)))[0]
    ask = ask_of(base, encode=lambda rows: (audio[rows] @ turn, text[rows] @ turn), refine=RefineInParts(4))
    assert not {"state.audio", "state.text"} & set(ask.state_dict())
    for _ in range(4):
        ask.step_ended()
    again = open_mapped(tmp_path / "base")
    fresh = KnowledgeBase.from_pairs(again.index.ids, audio @ turn, text @ turn)
    assert torch.equal(again.audio, fresh.audio) and torch.equal(again.text, fresh.text)
    with pytest.raises(AskAudioError, match="in place"):
        ask_of(again, encode=lambda rows: None, refine=RefineEveryEpochs(1))
    with pytest.raises(AskAudioError, match="holds a base already"):
        map_base(tmp_path / "base", torch.arange(3), D, lambda rows: None)
    (tmp_path / "base" / "text.bin").write_bytes(b"cut")
    with pytest.raises(AskAudioError, match=r"text\.bin"):
        open_mapped(tmp_path / "base")


def test_a_round_in_parts_ends_where_one_whole_refresh_ends_and_resumes_in_its_middle():
    ids = [f"c{row // 2}" for row in range(90)]
    g = torch.Generator().manual_seed(0)
    audio, text = (F.normalize(torch.randn(90, D, generator=g), dim=1) for _ in range(2))
    turn = torch.linalg.qr(torch.randn(D, D, generator=g))[0]

    def make():
        base = KnowledgeBase.from_pairs(ids, audio, text, dtype=torch.float32)
        encode = lambda rows: (audio[rows] @ turn, text[rows] @ turn)  # noqa: E731
        return ASK(base, NTXent(0.1), encode=encode, refine=RefineInParts(7), fine=FineGrainedInjection(3))

    whole, stopped, resumed = make(), make(), make()
    before = whole.base.text.clone()
    for step in range(7):
        assert (whole.step_ended() is not None) == (step == 6)
        if step < 6:
            changed = (whole.base.text != before).any(dim=1)
            assert changed.any() and not changed.all()
    torch.testing.assert_close(whole.base.text, F.normalize(text @ turn, dim=1))
    assert whole.base.version == 1 and whole.last_drift.mean > 0.1
    for _ in range(3):
        stopped.step_ended()
    resumed.load_state_dict(stopped.state_dict())
    for _ in range(4):
        resumed.step_ended()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_parts_and_whole_graphs_do_not_go_together():
    with pytest.raises(AskAudioError, match="RefineEverySteps"):
        GraphRefinement(RefineInParts(3))
    with pytest.raises(AskAudioError, match="whole refreshes"):
        ASK(base_of(n=90), encode=lambda rows: None, refine=RefineInParts(3), reliability=lambda base: torch.ones(90))
