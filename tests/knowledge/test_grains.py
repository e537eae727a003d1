"""Fine and coarse grains, injection, adaptive neighbor weights: targets, own clip left out, determinism."""

import pytest
import torch
import torch.nn.functional as F

from askaudio.core.errors import AskAudioError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.blend import augment, blend
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection, assign
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.reliability.adaptive import fit_neighbor_setting


def grouped(n=60, groups=6, d=12, noise=0.15, seed=0, ids=None, dtype=torch.float64):
    """Pairs in well separated groups: row i belongs to group i % groups."""
    g = torch.Generator().manual_seed(seed)
    centers = torch.randn(2, groups, d, generator=g, dtype=torch.float64)
    of = torch.arange(n) % groups
    audio, text = (F.normalize(c, dim=1)[of] + noise * torch.randn(n, d, generator=g).double() for c in centers)
    return KnowledgeBase.from_pairs(ids or list(range(n)), audio, text, dtype=dtype), of


def test_neighbors_are_of_the_group_and_never_of_the_own_clip():
    ids = [f"clip{i // 2}" for i in range(60)]
    base, _ = grouped(groups=5, ids=ids)
    fine = FineGrainedInjection(k=4, beta=1.0, temperature=0.1)
    rows, weights = fine.build(base)
    own = torch.arange(60) // 2
    assert not (rows // 2 == own[:, None]).any()
    torch.testing.assert_close(weights.sum(1), torch.ones(60, dtype=weights.dtype))


def test_weights_are_the_formula_and_follow_reliability():
    base, _ = grouped(n=20)
    trust = torch.rand(20, generator=torch.Generator().manual_seed(3)).double()
    fine = FineGrainedInjection(k=3, beta=0.5, temperature=0.2)
    rows, weights = fine.build(base, trust)
    for i in range(20):
        raw = [
            trust[j] * torch.exp((base.audio[i] @ base.audio[j] + 0.5 * base.text[i] @ base.text[j]) / (1.5 * 0.2))
            for j in rows[i]
        ]
        torch.testing.assert_close(weights[i], torch.stack(raw) / sum(raw), rtol=1e-6, atol=1e-9)


def test_targets_put_most_on_own_entries_and_sum_to_one():
    base, _ = grouped(n=30, ids=[f"c{i % 15}" for i in range(30)])  # two entries a clip
    fine = FineGrainedInjection(k=4, mass=0.2)
    rows, weights = fine.build(base)
    codes = base.index.codes_of(["c3", "nowhere", "c7"])
    targets = fine.targets(base, codes, rows, weights)
    assert targets.rows.shape == (3, 2 + 4) and targets.near == 4 and not targets.complete
    torch.testing.assert_close(targets.to_text[0, :2].float(), torch.tensor([0.4, 0.4]))
    torch.testing.assert_close(targets.to_text.sum(1).float(), torch.tensor([1.0, 0.0, 1.0]))
    assert targets.rows[0, :2].tolist() == [3, 18]
    only = FineGrainedInjection(k=0)
    t = only.targets(base, codes, *only.build(base))
    assert t.rows.shape == (3, 2) and torch.equal(t.to_text[0], torch.tensor([0.5, 0.5]))


def test_entries_without_audio_are_no_target_of_a_text():
    pairs, _ = grouped(n=12)
    words = KnowledgeBase.from_pairs(["w0", "w1"], None, pairs.text[:2], source="text", dtype=torch.float64)
    base = KnowledgeBase.combine([pairs, words])
    fine = FineGrainedInjection(k=6, mass=0.3, beta=1.0, temperature=0.1)
    rows, weights = fine.build(base)
    targets = fine.targets(base, base.index.codes_of([0, 1, 2]), rows, weights)
    lacks = ~base.index.has_audio[targets.rows]
    assert lacks.any() and (targets.to_text[lacks] > 0).any()
    assert (targets.to_audio[lacks] == 0).all()
    torch.testing.assert_close(targets.to_audio.sum(1).double(), torch.ones(3, dtype=torch.float64))
    word = fine.targets(base, base.index.codes_of(["w0"]), rows, weights)
    assert not word.complete or word.to_audio[0, 0] == 0


def test_prototypes_find_the_groups_and_start_warm():
    base, of = grouped(n=120, groups=4, noise=0.1)
    coarse = CoarseGrainedInjection(prototypes=4, seed=1)
    audio, text = coarse.fit(base)
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(4, dtype=torch.float64))
    number = assign(base.text, text)[1]
    assert all(len(set(number[of == g].tolist())) == 1 for g in range(4))
    assert torch.equal(assign(base.audio, audio)[1], number)  # both halves are about the same group
    again = coarse.fit(base)
    assert torch.equal(again[0], audio) and torch.equal(again[1], text)
    warm = coarse.fit(base, warm=(audio, text))
    torch.testing.assert_close(warm[0], audio, rtol=1e-6, atol=1e-6)


def test_prototype_is_the_weighted_mean_of_its_members():
    base, _ = grouped(n=40, groups=1, noise=0.4)
    trust = torch.rand(40, generator=torch.Generator().manual_seed(0)).double()
    audio, text = CoarseGrainedInjection(prototypes=1).fit(base, trust)
    torch.testing.assert_close(audio[0], F.normalize((trust[:, None] * base.audio).sum(0), dim=0))
    torch.testing.assert_close(text[0], F.normalize((trust[:, None] * base.text).sum(0), dim=0))


def test_coarse_targets_are_the_geometric_mean():
    base, _ = grouped(n=40)
    coarse = CoarseGrainedInjection(prototypes=5, temperature=0.2)
    pa, pt = coarse.fit(base)
    a, t = base.audio[:3], base.text[3:6]
    mean = (torch.softmax(a @ pa.T / 0.2, 1) * torch.softmax(t @ pt.T / 0.2, 1)).sqrt()
    torch.testing.assert_close(coarse.targets(a, t, pa, pt), mean / mean.sum(1, keepdim=True))


def test_empty_clusters_restart():
    same = torch.ones(10, 4)
    same[0] = torch.tensor([1.0, -1, 1, -1])
    base = KnowledgeBase.from_pairs(range(10), same, same, dtype=torch.float32)
    audio, _ = CoarseGrainedInjection(prototypes=5, seed=0).fit(base)
    assert torch.isfinite(audio).all() and audio.norm(dim=1).min() > 0.99


def test_adaptive_setting_separates_and_is_used():
    base, _ = grouped(n=240, groups=12, noise=0.2, dtype=torch.float32)
    setting = fit_neighbor_setting(base, k=8)
    assert setting.separation > 1.0
    fine = FineGrainedInjection(k=4)
    fine.build(base)
    assert fine.setting is not None and fine.setting.temperature > 0
    noise = KnowledgeBase.random(base, seed=1)
    assert fit_neighbor_setting(noise, k=8).separation < 0.5
    assert fit_neighbor_setting(grouped(n=8, groups=2)[0]).separation == 0.0  # too little to judge by


def test_blend_without_shares_changes_nothing_and_gives_gradients():
    base, _ = grouped(n=30, dtype=torch.float32)
    fine, coarse = FineGrainedInjection(k=3), CoarseGrainedInjection(prototypes=4)
    targets = fine.targets(base, base.index.codes_of([0, 1, 2]), *fine.build(base))
    protos = coarse.fit(base)
    a, t = base.audio[:3].clone().requires_grad_(), base.text[:3].clone()
    same_a, same_t = blend(a, t, base, targets, protos, coarse, fine_share=0.0, coarse_share=0.0)
    torch.testing.assert_close(same_a, a)
    torch.testing.assert_close(same_t, t)
    mixed, _ = blend(a, t, base, targets, protos, coarse, fine_share=0.5, coarse_share=0.2)
    near = base.audio[targets.rows[:, -3:]]
    w = targets.to_audio[:, -3:] / targets.to_audio[:, -3:].sum(1, keepdim=True)
    share = coarse.targets(a, t, *protos)
    want = F.normalize(a + 0.5 * (w[..., None] * near).sum(1) + 0.2 * share @ protos[0], dim=1)
    torch.testing.assert_close(mixed, want)
    mixed.sum().backward()
    assert a.grad is not None and a.grad.abs().sum() > 0


def test_augment_moves_a_query_towards_known_audio():
    base, of = grouped(n=60, dtype=torch.float32)
    query = base.text[:6]
    assert torch.equal(augment(query, base, strength=0.0), query)
    out = augment(query, base, k=5, strength=0.5)
    center = F.normalize(torch.stack([base.audio[of == g].mean(0) for g in range(6)]), dim=1)
    assert ((out * center).sum(1) > (query * center).sum(1)).all()


def test_arguments_are_checked():
    for wrong in ({"k": -1}, {"mass": 1.0}, {"temperature": 0.0}, {"beta": -1.0}):
        with pytest.raises(AskAudioError):
            FineGrainedInjection(**wrong)
    with pytest.raises(AskAudioError):
        CoarseGrainedInjection(prototypes=0)
