"""Starting from an encoder: projections that begin as the identity, exported behind its own graphs."""

import shutil

import numpy as np
import pytest
import torch

from askaudio.core.errors import ModelError
from askaudio.core.files import sha256_file, write_json
from askaudio.encoders.efficientat import FRONT_END
from askaudio.encoders.efficientat_encoder import EfficientATEncoder
from askaudio.encoders.load import load
from askaudio.encoders.onnx_bytes import Graph
from askaudio.export.dual_encoder import export
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frozen_encoder import audio_features, base_encoder, text_features
from askaudio.models.projection import Projection
from onnx_folder import write_encoder

pytest.importorskip("onnx")


def start_from(spec: str, identity: bool = True) -> DualEncoder:
    base = base_encoder(spec)
    torch.manual_seed(0)
    heads = [Projection(base.embed_dim, base.embed_dim, hidden_dim=8, residual=True) for _ in range(2)]
    for head in heads:
        head.standardise(torch.randn(50, base.embed_dim))
        if identity:
            head.start_as_identity()
    source = f"encoder:{spec}"
    return DualEncoder(
        *heads, audio_source=source, text_source=source, front_end=base.front_end, audio_source_sha256=base.fingerprint
    )


def sounds(encoder, rng):
    rate, window_s = encoder.sample_rate_hz, encoder.window_s
    return [(0.1 * rng.standard_normal(round(s * rate))).astype(np.float32) for s in (0.2, window_s)]


TEXTS = ["a low hum", "a dog barks", ""]


def agree(one, other, rng, atol):
    heard = sounds(one, rng)
    np.testing.assert_allclose(one.encode_audio(heard), other.encode_audio(heard), atol=atol)
    np.testing.assert_allclose(one.encode_text(TEXTS), other.encode_text(TEXTS), atol=atol)


def test_the_start_is_the_encoder_itself_and_its_export_too(tmp_path, rng):
    base = write_encoder(tmp_path / "base")
    model = start_from(str(base))
    heard = sounds(load(base), rng)
    features = torch.from_numpy(audio_features(model.audio_source).features(heard))
    np.testing.assert_allclose(model.encode_audio(features).detach(), features, atol=1e-6)
    report = export(model, tmp_path / "again")
    assert max(report.audio_error, report.text_error) <= 1e-5
    agree(load(base), load(tmp_path / "again"), rng, 1e-5)


def test_a_trained_head_and_a_second_round(tmp_path, rng):
    """What was fine-tuned once can be fine-tuned again; the graphs' names do not clash."""
    spec = str(write_encoder(tmp_path / "base"))
    for number in (1, 2):
        model = start_from(spec, identity=False)
        export(model, tmp_path / f"round{number}")
        trained = load(tmp_path / f"round{number}")
        texts = torch.from_numpy(text_features(model.text_source).features(TEXTS))
        np.testing.assert_allclose(trained.encode_text(TEXTS), model.encode_text(texts).detach(), atol=1e-5)
        spec = str(tmp_path / f"round{number}")


def test_a_checkpoint_knows_its_base(tmp_path):
    base = write_encoder(tmp_path / "base")
    start_from(str(base)).save(tmp_path / "run")
    shutil.rmtree(base)
    write_encoder(tmp_path / "base", seed=1)
    with pytest.raises(ModelError, match="is not the audio tower of this checkpoint"):
        export(DualEncoder.load(tmp_path / "run"), tmp_path / "out")


@pytest.mark.shared
def test_efficientat(shared, tmp_path, rng, monkeypatch):
    tower = shared / "models/efficientat_mn04/mn04_as_mAP_432.pt"
    folder = write_encoder(tmp_path / "head")
    (folder / "audio.onnx").unlink()
    graph = Graph({"embedding": ("B", 384), "logits": ("B", 527)}, {"vector": ("B", 12)})
    graph.constant("w", np.random.default_rng(0).standard_normal((911, 12)).astype(np.float32))
    graph.node("Concat", ["embedding", "logits"], ["both"], axis=1)
    graph.node("MatMul", ["both", "w"], ["mapped"])
    graph.node("LpNormalization", ["mapped"], ["vector"], axis=1, p=2)
    (folder / "head.onnx").write_bytes(graph.serialised())
    sums = {file: sha256_file(folder / file) for file in ("head.onnx", "text.onnx", "tokenizer.json")}
    settings = {"format": 1, "name": "e", "embed_dim": 12, "front_end": FRONT_END.to_json(), "sha256": sums}
    write_json(folder / "encoder.json", settings)
    encoder = EfficientATEncoder(folder, tower)
    monkeypatch.setattr("askaudio.models.frozen_encoder.load", lambda spec: encoder)
    export(start_from("efficientat"), tmp_path / "out")
    agree(encoder, load(tmp_path / "out"), rng, 1e-4)


def test_what_training_cannot_start_from(tmp_path):
    with pytest.raises(ModelError, match="expected small, efficientat"):
        base_encoder("toy")
    for head in (Projection(4, 4), Projection(4, 5, residual=True), Projection(4, 4, residual=True, layer_norm=True)):
        with pytest.raises(ModelError, match="can begin as the identity"):
            head.start_as_identity()
