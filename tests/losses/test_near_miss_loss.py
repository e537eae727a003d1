"""The loss of near misses against a loop, its gradient, and its place in the objective."""

import math

import pytest
import torch
import torch.nn.functional as F

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError
from askaudio.losses.near_misses import near_miss_loss


@pytest.fixture
def batch():
    torch.manual_seed(0)
    audio, text = F.normalize(torch.randn(2, 4, 8), dim=-1)
    return audio, text, F.normalize(torch.randn(4, 3, 8), dim=-1), torch.tensor([2, 0, 3, 1])


def test_loss_equals_a_loop(batch):
    audio, text, near, n_near = batch
    weights = torch.tensor([1.0, 1.0, 0.5, 0.0])
    for weight in (None, weights):
        total = mass = 0.0
        for i in range(4):
            for r in range(int(n_near[i])):
                w = 1.0 if weight is None else float(weight[i])
                gap = float(audio[i] @ near[i, r] - audio[i] @ text[i]) / 0.1
                total, mass = total + w * math.log1p(math.exp(gap)), mass + w
        assert near_miss_loss(audio, text, near, n_near, 0.1, weight) == pytest.approx(total / mass, rel=1e-5)
    assert near_miss_loss(audio, text, near, torch.zeros(4, dtype=torch.long), 0.1) == 0


def test_only_the_near_misses_of_the_clip_move_it(batch):
    audio, text, near, n_near = batch
    audio.requires_grad_()
    near_miss_loss(audio, text, near, n_near, 0.1).backward()
    assert audio.grad[1].abs().sum() == 0 and (audio.grad[[0, 2, 3]].abs().sum(dim=1) > 0).all()


def test_objective_adds_the_part_with_its_weight(batch):
    audio, text, near, n_near = batch
    plain = ASK(None)(audio, text, range(4))
    out = ASK(None, near_weight=0.3)(audio, text, range(4), near=(near, n_near))
    assert sorted(out.parts) == ["batch", "near"] and sorted(plain.parts) == ["batch"]
    assert torch.equal(out.parts["batch"], plain.total)
    assert out.total == pytest.approx(float(plain.total + 0.3 * out.parts["near"]))
    with pytest.raises(ConfigError, match="must not be negative"):
        ASK(None, near_weight=-1.0)
