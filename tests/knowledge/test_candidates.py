"""Candidate sampling: unbiased, distinct, bounded, and a million entries in bounded memory."""

import subprocess
import sys

import torch
import torch.nn.functional as F

from askaudio.knowledge.base.knowledge_base import EntryIndex, KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling, CandidateTurns


def base_of(n, d=8, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    rows = [F.normalize(torch.randn(n, d, generator=g), dim=1).to(dtype) for _ in range(2)]
    index = EntryIndex(range(n), ["training"] * n, torch.ones(n, dtype=torch.bool))
    return KnowledgeBase(index, *rows)


def test_candidates_are_distinct_and_targets_are_found_again():
    base = base_of(500)
    sampling = CandidateSampling(hard=40, random=60, cells=8)
    sampling.prepare(base)
    targets = torch.tensor([[3, 9], [3, 77]])
    rows, weight = sampling.draw(targets)
    assert len(rows.unique()) == len(rows) and (weight[:3] == 0).all() and (weight >= 0).all()
    of_audio, of_text = sampling.candidates(torch.tensor([3, 9, 77]), base.audio[:2], base.text[:2])
    for rows, weight in (of_audio, of_text):
        assert rows[:3].tolist() == [3, 9, 77] and (weight[:3] == 0).all() and len(rows.unique()) == len(rows)


def test_the_denominator_is_estimated_without_bias():
    base = base_of(400)
    sampling = CandidateSampling(hard=30, random=50, cells=6)
    sampling.prepare(base)
    u = base.audio[:1] * 4
    truth = float((u @ base.text.T).exp().sum())
    draws = []
    for _ in range(400):
        rows, weight = sampling.draw(torch.tensor([[0]]))
        draws.append(float(((u @ base.text[rows].T)[0] + weight).exp().sum()))
    mean = sum(draws) / len(draws)
    spread = torch.tensor(draws).std().item() / len(draws) ** 0.5
    assert abs(mean - truth) < 4 * spread + 1e-3 * truth


def test_draws_are_known_by_their_number_and_resume_exactly():
    base = base_of(300)
    one = CandidateSampling(hard=10, random=20, cells=4, seed=3)
    one.prepare(base)
    one.draw(torch.tensor([[1]]))
    two = CandidateSampling(hard=10, random=20, cells=4, seed=3)
    two.prepare(base)
    two.load_state_dict(one.state_dict())
    two.restored(base)
    for x, y in zip(one.draw(torch.tensor([[5]])), two.draw(torch.tensor([[5]])), strict=True):
        assert torch.equal(x, y)


def test_turns_read_all_rows_once_and_estimate_the_denominator():
    base = base_of(101)
    turns = CandidateTurns(every=4)
    turns.prepare(base)
    targets = torch.tensor([7, 8, 40])
    u = base.audio[:1] * 4
    truth, seen, estimates = (u @ base.text.T).exp()[0], [], []
    for step in range(4):
        (rows, weight), of_text = turns.candidates(targets, base.audio[:2], base.text[:2])
        due = [j for j in range(step, 101, 4) if j not in (7, 8, 40)]
        assert rows.tolist() == [7, 8, 40, *due] and torch.equal(rows, of_text[0])
        want = torch.tensor([0.0] * 3 + [98 / len(due)] * len(due)).log()
        torch.testing.assert_close(weight[3:], want[3:])
        assert (weight[:3] == 0).all()
        seen += due
        estimates.append(float((truth[rows] * weight.exp()).sum()))
    assert sorted([*seen, 7, 8, 40]) == list(range(101))
    assert abs(sum(estimates) / 4 / float(truth.sum()) - 1) < 0.02
    again = CandidateTurns(every=4)
    again.load_state_dict(turns.state_dict())
    again.restored(base)
    assert again.candidates(targets, base.audio, base.text)[0][0].tolist() == [7, 8, 40, *range(0, 101, 4)][:3] + [
        j for j in range(0, 101, 4) if j not in (7, 8, 40)
    ]


MILLION = """
import resource, torch
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling, CandidateTurns
n = 1_000_000
rows = lambda seed: torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)).bfloat16()
base = KnowledgeBase.from_pairs(range(n), rows(0), rows(1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sampling = CandidateSampling(hard=2048, random=4096, cells=256)
sampling.prepare(base)
drawn, _ = sampling.draw(torch.randint(n, (32, 9), generator=torch.Generator().manual_seed(0)))
print(len(drawn), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_million_entries_in_bounded_memory():
    # in a process of its own: the peak of a process that ran other tests says nothing
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True, check=True)
    drawn, grown_mb = done.stdout.split()
    assert 4096 < int(drawn) < 7000
    assert float(grown_mb) < 300
