"""Base, leak filter, neighbors: immutability, refusals, exact search."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.core.errors import AskAudioError
from askaudio.knowledge.base import neighbors as neighbors_module
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.leaks import LeakFilter, plain_text
from askaudio.knowledge.base.neighbors import nearest


def rows(n, d=8, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def make(n=6, d=8, ids=None, dtype=torch.float32, **kw):
    return KnowledgeBase.from_pairs(ids or [f"c{i}" for i in range(n)], rows(n, d), rows(n, d, 1), dtype=dtype, **kw)


def test_rows_have_length_one_and_clip_rows_are_found():
    base = make(5, ids=["a", "b", "a", "c", "a"])
    torch.testing.assert_close(base.audio.norm(dim=1), torch.ones(5))
    codes = base.index.codes_of(["c", "a", "unknown"])
    own, valid = base.index.rows_of(codes)
    assert own[0, valid[0]].tolist() == [3]
    assert own[1, valid[1]].tolist() == [0, 2, 4]
    assert not valid[2].any() and codes[2] == -1


def test_a_refresh_makes_a_new_version_and_leaves_the_old_one():
    base = make()
    before = base.audio.clone()
    fresh = base.refreshed(rows(6, seed=5), rows(6, seed=6), encoder="e2")
    assert (fresh.version, fresh.encoder) == (1, "e2") and torch.equal(base.audio, before)
    assert fresh.fingerprint != base.fingerprint
    assert make().fingerprint == base.fingerprint
    with pytest.raises(AttributeError):
        base.version = 3
    with pytest.raises(AskAudioError, match="keep the shape"):
        base.refreshed(rows(5), rows(5))


def test_sources_join_and_clashing_ids_are_refused():
    train, classes = (
        make(4),
        KnowledgeBase.from_pairs(["k1", "k2"], None, rows(2), source="classes", dtype=torch.float32),
    )
    both = KnowledgeBase.combine([train, classes])
    assert both.index.sources == ("training",) * 4 + ("classes",) * 2
    assert both.index.has_audio.tolist() == [True] * 4 + [False] * 2
    assert torch.equal(both.audio[4:], torch.zeros(2, 8))
    fresh = both.refreshed(rows(6, seed=3), rows(6, seed=4))
    assert torch.equal(fresh.audio[4:], torch.zeros(2, 8))  # whatever the encoder gave for them
    with pytest.raises(AskAudioError, match="prefix"):
        KnowledgeBase.combine([train, make(2, source="external")])


def test_bad_rows_are_refused_with_the_row():
    bad = rows(3)
    bad[1, 2] = float("nan")
    with pytest.raises(AskAudioError, match="embedding 1 holds NaN"):
        KnowledgeBase.from_pairs([1, 2, 3], rows(3), bad)
    with pytest.raises(AskAudioError, match=r"\(3, D\)"):
        KnowledgeBase.from_pairs([1, 2, 3], rows(2), rows(2))


def test_leaks_are_refused_or_skipped_and_counted():
    texts = ["A dog barks!", "Rain on a roof", "a car"]
    refuse = LeakFilter(ids=["c1"])
    with pytest.raises(AskAudioError, match=r"1 of 3 .*'c1'"):
        make(3, texts=texts, leaks=refuse)
    skip = LeakFilter(ids=["c2"], texts=["a dog, barks"], action="skip")
    base = make(3, texts=texts, leaks=skip, source="external")
    assert base.index.ids == ("c1",) and skip.skipped == {"external": 2}
    torch.testing.assert_close(base.text[0], F.normalize(rows(3, seed=1)[1], dim=0))
    with pytest.raises(AskAudioError, match="texts="):
        make(3, leaks=LeakFilter(texts=["x"]))
    with pytest.raises(AskAudioError, match="'refuse' or 'skip'"):
        LeakFilter(action="drop")
    assert plain_text("  A DOG,  barks. ") == "a dog barks"


def test_encoded_calls_the_encoder_in_pieces_and_without_gradient():
    weight = torch.ones(8, requires_grad=True)
    seen = []

    def encode(at):
        seen.append(len(at))
        return rows(10)[at] * weight, rows(10, seed=1)[at] * weight

    base = KnowledgeBase.encoded(range(10), encode, piece=4, dtype=torch.float32)
    assert seen == [4, 4, 2] and not base.audio.requires_grad
    torch.testing.assert_close(base.audio, F.normalize(rows(10), dim=1))


def slow_nearest(q, x, k, qc, xc, eligible):
    out = []
    for i in range(len(q)):
        able = [j for j in range(len(x)) if xc[j] != qc[i] and eligible[j]]
        able.sort(key=lambda j: (-float(q[i] @ x[j]), j))
        out.append(able[:k])
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 10_000), st.integers(1, 40))
def test_nearest_equals_a_sort_ties_and_own_clips_included(n, k, seed, cells):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(-1, 2, (n, 3), generator=g).double()  # few values: many ties
    codes = torch.randint(0, 4, (n,), generator=g)
    eligible = torch.rand(n, generator=g) > 0.2
    kept = neighbors_module.PIECE_CELLS
    neighbors_module.PIECE_CELLS = cells
    try:
        score, found = nearest(x, x, k, query_codes=codes, key_codes=codes, eligible=eligible)
    finally:
        neighbors_module.PIECE_CELLS = kept
    for i, want in enumerate(slow_nearest(x, x, k, codes, codes, eligible)):
        there = ~torch.isneginf(score[i])
        assert found[i][there].tolist() == want
        assert torch.equal(score[i][there], (x[want] @ x[i]) if want else score[i][there])
