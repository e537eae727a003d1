"""Dual encoder: both kinds of input, the logit scale, checkpoints that come back or say why not."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from askaudio.core.errors import ModelError
from askaudio.models.dual_encoder import SETTINGS_FILE, WEIGHTS_FILE, DualEncoder
from askaudio.models.projection import Projection


@pytest.fixture
def heads() -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(Projection(6, 4, hidden_dim=5), Projection(7, 4, hidden_dim=5), text_source="minilm")


def test_features_in_unit_vectors_out(heads):
    audio, text = heads(torch.randn(3, 6), torch.randn(2, 7))
    assert audio.shape == (3, 4)
    assert text.shape == (2, 4)
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(3))


def test_towers_take_padded_batches(tiny_model):
    audio = tiny_model.encode_audio((torch.randn(2, 32, 90), torch.tensor([90, 40])))
    text = tiny_model.encode_text((torch.tensor([[1, 2], [3, 0]]), torch.tensor([[1, 1], [1, 0]])))
    assert audio.shape == text.shape == (2, 8)


def test_logit_scale_is_clamped_and_learns(heads):
    assert heads.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-5)
    (heads.logit_scale * 2).backward()
    assert heads.log_logit_scale.grad.item() == pytest.approx(2 / 0.07, rel=1e-5)
    for value, scale in ((math.log(1e6), 100.0), (-5.0, 1.0)):
        with torch.no_grad():
            heads.log_logit_scale.fill_(value)
        assert heads.logit_scale.item() == pytest.approx(scale, rel=1e-5)
    fixed = DualEncoder(Projection(6, 4), Projection(7, 4), temperature=0.05, learn_temperature=False)
    assert not fixed.log_logit_scale.requires_grad


def test_a_checkpoint_comes_back_bit_for_bit(tiny_model, tmp_path):
    tiny_model.save(tmp_path)
    again = DualEncoder.load(tmp_path)
    assert not again.training
    assert again.settings() == tiny_model.settings()
    log_mel = torch.randn(2, 32, 100)
    with torch.inference_mode():
        assert torch.equal(again.encode_audio(log_mel), tiny_model.encode_audio(log_mel))
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS_FILE, SETTINGS_FILE}


def test_sides_that_do_not_meet_are_refused(tiny_model):
    with pytest.raises(ModelError, match="audio meets text in 4 numbers, but text has 5"):
        DualEncoder(Projection(6, 4), Projection(6, 5))
    with pytest.raises(ModelError, match="audio tower gives 16 numbers, its projection takes 6"):
        DualEncoder(Projection(6, 4), Projection(6, 4), audio_tower=tiny_model.audio_tower)


def test_weights_that_do_not_fit_are_listed(heads, tmp_path):
    heads.save(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS_FILE)
    tensors["extra.weight"] = torch.zeros(1)
    del tensors["audio_projection.out.bias"]
    tensors["text_projection.out.bias"] = torch.zeros(9)
    save_file(tensors, tmp_path / WEIGHTS_FILE)
    with pytest.raises(ModelError) as caught:
        DualEncoder.load(tmp_path)
    for part in ("missing: audio_projection.out.bias", "unknown: extra.weight", "is (9,), expected (4,)"):
        assert part in str(caught.value)


def test_damaged_weights(heads, tmp_path):
    heads.save(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes((tmp_path / WEIGHTS_FILE).read_bytes()[:50])
    with pytest.raises(ModelError, match="damaged"):
        DualEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 9}, "format 9, expected 1; update"),
        ({"audio_tower": {"kind": "transformer"}}, "unknown tower 'transformer'"),
        ({"audio_projection": {"in_dim": 6}}, "damaged or from a newer version"),
        ({"audio_projection": {"in_dim": 6, "embed_dim": 4, "gate": True}}, "damaged or from a newer version"),
    ],
)
def test_settings_of_another_version(heads, tmp_path, change, fault):
    heads.save(tmp_path)
    path = tmp_path / SETTINGS_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=fault):
        DualEncoder.load(tmp_path)


def test_a_folder_without_checkpoint(tmp_path):
    with pytest.raises(ModelError, match="askaudio train"):
        DualEncoder.load(tmp_path)
