"""Trainable parts: the CNN tower gives a clip the same vector in any batch; projections are what they say."""

import pytest
import torch

from askaudio.models.cnn import CnnAudioTower
from askaudio.models.projection import Projection


@pytest.fixture
def tower():
    torch.manual_seed(0)
    tower = CnnAudioTower(n_mels=64, channels=(4, 8, 8, 8, 8), dim=24)
    tower.train()(torch.randn(4, 64, 80))  # batch-norm statistics that are not 0 and 1
    return tower.eval()


def test_padding_and_neighbours_do_not_matter(tower):
    frames = torch.tensor([100, 77, 33, 1, 2])
    batch = torch.zeros(5, 64, 130)
    for row, n in enumerate(frames):
        batch[row, :, :n] = torch.randn(64, n)
    with torch.inference_mode():
        together = tower(batch, frames)
        alone = torch.cat([tower(batch[row : row + 1, :, :n]) for row, n in enumerate(frames)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_what_lies_in_the_padding_does_not_matter_after_the_mask(tower):
    batch = torch.randn(2, 64, 100)
    frames = torch.tensor([100, 60])
    with torch.inference_mode():
        before = tower(batch * (torch.arange(100) < frames[:, None])[:, None], frames)
    assert before.shape == (2, 24)
    assert torch.isfinite(before).all()


def test_every_weight_learns(tower):
    tower.train()(torch.randn(4, 64, 90), torch.tensor([90, 80, 70, 60])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tower.parameters())


def test_default_size_is_below_a_million():
    assert sum(p.numel() for p in CnnAudioTower().parameters()) < 1_000_000


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_projection_is_rebuilt_from_its_settings(residual, layer_norm):
    head = Projection(6, 4, hidden_dim=5, dropout=0.3, residual=residual, layer_norm=layer_norm)
    again = Projection(**head.settings())
    again.load_state_dict(head.state_dict())
    x = torch.randn(3, 6)
    assert torch.equal(head.eval()(x), again.eval()(x))


def test_projection_by_hand():
    head = Projection(2, 1, hidden_dim=1, dropout=0.0, residual=True).eval()
    x = torch.tensor([[0.3, -0.7]])
    hidden = x @ head.hidden.weight.T + head.hidden.bias
    gelu = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    expected = gelu @ head.out.weight.T + head.out.bias + x @ head.shortcut.weight.T
    torch.testing.assert_close(head(x), expected)
