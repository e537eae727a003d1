"""What of a tower is trained: frozen statistics, last layers, adapters that are merged, rates that fall by layers."""

import pytest
import torch

from askaudio.core.errors import ModelError
from askaudio.models.ced import CedTower
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from askaudio.models.tuning import frozen_stages, plain_state, rates, stages, tune
from tower_files import mobilenet


@pytest.fixture
def ced():
    torch.manual_seed(0)
    return CedTower(64, 3, 1, mlp=32)


def trained(tower):
    return {name.split(".")[0] + "." + name.split(".")[1] for name, p in tower.named_parameters() if p.requires_grad}


def test_modes(ced):
    assert len(stages(ced)) == 4
    tune(ced, "last", layers=2)
    assert trained(ced) == {"blocks.1", "blocks.2", "norm.weight", "norm.bias"}
    assert frozen_stages(ced) == 2
    tune(ced, "frozen")
    assert not trained(ced) and frozen_stages(ced) == 4


def test_a_tower_without_known_layers_is_one_stage():
    tower = CnnAudioTower(32, channels=(4, 4, 4, 4, 4), dim=8)
    assert len(stages(tower)) == 1 and len(stages(tower)[0]) == len(list(tower.parameters()))


def test_rates_fall_towards_the_input(ced):
    found = rates(ced, 0.1, 0.5)
    assert found[id(ced.norm.weight)] == found[id(ced.blocks[2].attn.qkv.weight)] == 0.1
    assert found[id(ced.blocks[0].attn.qkv.weight)] == 0.025
    assert found[id(ced.patch_embed.weight)] == found[id(ced.time_pos_embed)] == 0.0125


def test_frozen_parts_keep_their_statistics():
    tower = mobilenet()
    tune(tower, "last", layers=2)
    model = DualEncoder(Projection(tower.dim, 4), Projection(6, 4), tower)
    before = {name: value.clone() for name, value in tower.state_dict().items() if "running" in name}
    model.train()
    model.encode_audio((torch.randn(3, 128, 64),))
    moved = {name.split(".")[1] for name, value in before.items() if not torch.equal(tower.state_dict()[name], value)}
    assert moved == {"15", "16"}
    assert model.audio_projection.training


def test_adapters_start_as_nothing_train_alone_and_are_merged(ced, tmp_path):
    pytest.importorskip("peft")
    sound = torch.randn(2, 64, 96)
    before = ced.eval()(sound)
    names = set(ced.state_dict())
    tune(ced, "lora", rank=2)
    torch.testing.assert_close(ced.eval()(sound), before)
    assert all("lora_" in name for name, p in ced.named_parameters() if p.requires_grad)
    with torch.no_grad():
        for name, p in ced.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.1)
    changed = ced(sound)
    assert not torch.allclose(changed, before, atol=1e-3)
    assert set(plain_state(ced)) == names
    model = DualEncoder(Projection(64, 4), Projection(6, 4), ced)
    model.save(tmp_path)
    again = DualEncoder.load(tmp_path)  # without adapters
    torch.testing.assert_close(again.audio_tower(sound), changed, atol=1e-5, rtol=1e-5)


def test_a_tower_of_convolutions_takes_no_adapters():
    pytest.importorskip("peft")
    with pytest.raises(ModelError, match=r"LoRA needs linear layers.*model\.audio_train=last"):
        tune(CnnAudioTower(32, channels=(4, 4, 4, 4, 4), dim=8).layers, "lora")
