"""Export: equal to torch, one folder or none, smaller storage at a measured price."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from askaudio.core.errors import ModelError
from askaudio.encoders.onnx import FILES, OnnxEncoder
from askaudio.export import dual_encoder as export_module
from askaudio.export import encoder_folder
from askaudio.export.dual_encoder import export
from askaudio.export.precision import store_as
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection


def test_exported_vectors_are_torch_vectors(tiny_model, tmp_path, rng):
    report = export(tiny_model, tmp_path / "encoder", name="tiny")
    assert report.audio_error <= 1e-4
    assert report.text_error <= 1e-4
    encoder = OnnxEncoder(tmp_path / "encoder")
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (16000, 9001, 123)]
    texts = ["a dog barks", "rain", "unheard-of words in a hall"]
    with torch.inference_mode():
        log_mels = [torch.from_numpy(tiny_model.front_end(sound))[None] for sound in sounds]
        audio = torch.cat([tiny_model.encode_audio((log_mel,)) for log_mel in log_mels])
        tokens = [torch.tensor([ids]) for ids in tiny_model.text_tower.token_ids(texts)]
        text = torch.cat([tiny_model.encode_text((ids, torch.ones_like(ids))) for ids in tokens])
    np.testing.assert_allclose(encoder.encode_audio(sounds), audio.numpy(), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_text(texts), text.numpy(), atol=1e-5)


def test_the_folder_holds_what_its_settings_say(tiny_folder):
    settings = json.loads((tiny_folder / "encoder.json").read_text())
    assert sorted(path.name for path in tiny_folder.iterdir()) == sorted([*FILES, "encoder.json"])
    assert set(settings["sha256"]) == set(FILES)
    assert (settings["format"], settings["embed_dim"], settings["name"]) == (1, 8, "tiny")


def test_a_model_that_changed_on_the_way_is_not_written(tiny_model, tmp_path, monkeypatch):
    trace = export_module.trace

    def other_weights(module: nn.Module, inputs, axes):
        with torch.no_grad():
            module.projection.out.weight.add_(0.01)
        return trace(module, inputs, axes)

    def restore(*both):
        with torch.no_grad():
            for projection in (tiny_model.audio_projection, tiny_model.text_projection):
                projection.out.weight.sub_(0.01)
        return check(*both)

    check = encoder_folder._check
    monkeypatch.setattr(export_module, "trace", other_weights)
    monkeypatch.setattr(encoder_folder, "_check", restore)
    with pytest.raises(ModelError, match="differs from torch"):
        export(tiny_model, tmp_path / "encoder")
    assert list(tmp_path.iterdir()) == []


def test_an_older_encoder_is_replaced_and_anything_else_is_kept(tiny_model, tmp_path):
    export(tiny_model, tmp_path / "encoder", name="first")
    export(tiny_model, tmp_path / "encoder", name="second")
    assert OnnxEncoder(tmp_path / "encoder").name == "second"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(ModelError, match="not an encoder folder"):
        export(tiny_model, tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"


def test_a_frozen_tower_that_cannot_be_found_is_named(tmp_path):
    for source, fault in (("", "unknown frozen audio tower"), ("efficientat:/nowhere.onnx", "no EfficientAT model at")):
        model = DualEncoder(Projection(384, 8), Projection(384, 8), audio_source=source)
        with pytest.raises(ModelError, match=fault):
            export(model, tmp_path / "encoder")


@pytest.mark.parametrize(
    ("precision", "size", "cosine"), [("fp32", 1.0, 1.0), ("fp16", 0.6, 0.9999), ("int8", 0.4, 0.99)]
)
def test_smaller_storage(tmp_path, precision, size, cosine):
    """A tower with large layers shrinks as promised and stays close; a batch of one is what search uses."""
    import onnxruntime

    torch.manual_seed(0)
    tower = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 64)).eval()
    content = export_module.trace(tower, {"x": torch.zeros(1, 128)}, {"x": {0: "B"}})
    path = tmp_path / "tower.onnx"
    path.write_bytes(content)
    store_as(path, precision)
    x = torch.randn(1, 128)
    with torch.inference_mode():
        want = tower(x).numpy()[0]
    got = onnxruntime.InferenceSession(path.read_bytes()).run(None, {"x": x.numpy()})[0][0]
    assert path.stat().st_size <= size * len(content)
    assert got @ want / np.linalg.norm(got) / np.linalg.norm(want) >= cosine - 1e-6


@pytest.mark.shared
def test_another_audio_tower_than_the_trained_one_is_refused(shared, tmp_path):
    real = shared / "models/efficientat_mn04/mn04_as.onnx"
    model = DualEncoder(Projection(384, 8), Projection(384, 8), audio_source=f"efficientat:{real}")
    model.save(tmp_path / "checkpoint")
    other = tmp_path / "other.onnx"
    other.write_bytes(real.read_bytes() + b"\x7a\x01x")  # one more unknown field: still a model, another checksum
    loaded = DualEncoder.load(tmp_path / "checkpoint")
    with pytest.raises(ModelError, match="not the audio tower of this checkpoint"):
        export(loaded, tmp_path / "encoder", audio_source=f"efficientat:{other}")
