"""A ClapModel as an encoder: through its own library, and exported to run without torch."""

import json
import shutil

import numpy as np
import pytest

from askaudio.audio.windows import fixed_windows
from askaudio.core.errors import ModelError
from askaudio.core.files import read_json, sha256_file, write_json
from askaudio.encoders.clap import FRONT_END
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.huggingface import fetch, open_huggingface
from askaudio.encoders.load import load
from askaudio.encoders.onnx import OnnxEncoder
from askaudio.export.clap import export_clap
from askaudio.export.dual_encoder import export
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from clap_model import write_clap

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory):
    return write_clap(tmp_path_factory.mktemp("clap") / "model")


@pytest.fixture(scope="module")
def exported(clap_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap") / "encoder"
    return export_clap(str(clap_folder), folder, name="tried"), folder


def sounds(rng, *seconds):
    return [(0.1 * rng.standard_normal(round(s * 48000))).astype(np.float32) for s in seconds]


def test_the_export_equals_the_library(clap_folder, exported, rng):
    report, folder = exported
    assert report.audio_error <= 1e-4 and report.text_error <= 1e-4
    encoder, reference = load(folder), load(f"hf:{clap_folder}")
    heard = sounds(rng, 0.3, 4.0, 10.0)
    np.testing.assert_allclose(encoder.encode_audio(heard), reference.encode_audio(heard), atol=1e-4)
    texts = ["a dog barks", "", "rain falls on a tin roof and " * 20]  # the last is cut by both
    np.testing.assert_allclose(encoder.encode_text(texts), reference.encode_text(texts), atol=1e-4)
    assert isinstance(encoder, Encoder) and isinstance(reference, Encoder)
    assert (encoder.name, encoder.embed_dim, encoder.sample_rate_hz, encoder.window_s) == ("tried", 16, 48000, 10.0)
    assert encoder.front_end == FRONT_END
    assert reference.fingerprint == open_huggingface(str(clap_folder)).fingerprint != encoder.fingerprint


@pytest.mark.parametrize("kind", ["export", "library"])
def test_same_input_same_bits_alone_and_in_a_batch(clap_folder, exported, rng, kind):
    encoder = OnnxEncoder(exported[1], threads=2) if kind == "export" else load(f"hf:{clap_folder}")
    long = sounds(rng, 23.0)[0]  # the library's own extractor would crop it at random
    windows = [w.samples for w in fixed_windows(long, 48000, encoder.window_s, encoder.hop_s)]
    together = encoder.encode_audio(windows)
    assert together.shape == (3, 16)
    np.testing.assert_array_equal(together, encoder.encode_audio(windows))
    np.testing.assert_array_equal(together[1:2], encoder.encode_audio(windows[1:2]))
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    with pytest.raises(ModelError, match="S <= 480000"):
        encoder.encode_audio([long])
    with pytest.raises(ModelError, match="write \\[text\\]"):
        encoder.encode_text("rain")


def test_graphs_that_take_no_mask(exported, tmp_path):
    """Public exports of CLAP's text tower have only ``input_ids``; a text alone needs no more."""
    onnx = pytest.importorskip("onnx")
    folder = shutil.copytree(exported[1], tmp_path / "encoder")
    model = onnx.load(folder / "text.onnx")
    (mask,) = [end for end in model.graph.input if end.name == "attention_mask"]
    model.graph.input.remove(mask)
    model.graph.node.insert(0, onnx.helper.make_node("Sub", ["input_ids", "input_ids"], ["nothing"]))
    model.graph.node.insert(1, onnx.helper.make_node("Add", ["nothing", "one"], ["attention_mask"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1], dtype=np.int64), "one"))
    onnx.save(model, folder / "text.onnx")
    settings = read_json(folder / "encoder.json")
    settings["sha256"]["text.onnx"] = sha256_file(folder / "text.onnx")
    write_json(folder / "encoder.json", settings)
    texts = ["a dog barks"]
    np.testing.assert_allclose(
        OnnxEncoder(folder).encode_text(texts), OnnxEncoder(exported[1]).encode_text(texts), atol=1e-6
    )


def test_other_settings_of_a_clap_are_refused_with_the_way_out(clap_folder, tmp_path):
    folder = shutil.copytree(clap_folder, tmp_path / "model")
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**config, "truncation": "fusion"}))
    with pytest.raises(ModelError, match="expected truncation rand_trunc"):
        export_clap(str(folder), tmp_path / "out")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no ClapModel that can be read"):
        export_clap(str(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_are_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="askaudio models pull hf:nobody/nothing"):
        load("hf:nobody/nothing")
    with pytest.raises(ModelError, match="needs a name"):
        load("hf:")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="is no ClapModel"):
        load(f"hf:{tmp_path}")
    with pytest.raises(ModelError, match="cannot be fetched"):
        fetch("no such name")


def test_an_encoder_folder_opens_by_hf_too(exported):
    assert load(f"hf:{exported[1]}").fingerprint == load(exported[1]).fingerprint


def test_a_sentence_transformers_model_that_hears(clap_folder, tmp_path, rng):
    library = pytest.importorskip("sentence_transformers")
    library.SentenceTransformer(str(clap_folder), device="cpu").save(str(tmp_path / "st"))
    encoder, reference = load(f"hf:{tmp_path / 'st'}"), load(f"hf:{clap_folder}")
    assert (encoder.sample_rate_hz, encoder.window_s, encoder.embed_dim) == (48000, 10.0, 16)
    heard = sounds(rng, 0.5, 10.0)
    np.testing.assert_allclose(encoder.encode_audio(heard), reference.encode_audio(heard), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_text(["rain"]), reference.encode_text(["rain"]), atol=1e-5)


def test_training_can_start_from_it(exported, tmp_path, rng):
    """Identity projections behind the graphs, in this project's layout: the same vectors."""
    heads = [Projection(16, 16, hidden_dim=4, residual=True) for _ in range(2)]
    for head in heads:
        head.start_as_identity()
    source = f"encoder:{exported[1]}"
    export(DualEncoder(*heads, audio_source=source, text_source=source, front_end=FRONT_END), tmp_path / "again")
    base, again = load(exported[1]), load(tmp_path / "again")
    assert (base.layout, again.layout) == ("transformers", "askaudio")
    heard, texts = sounds(rng, 2.0, 10.0), ["a dog barks", ""]
    np.testing.assert_allclose(again.encode_audio(heard), base.encode_audio(heard), atol=1e-4)
    np.testing.assert_allclose(again.encode_text(texts), base.encode_text(texts), atol=1e-4)


def test_the_command(clap_folder, tmp_path, capsys):
    from askaudio.cli import main

    assert main(["export", f"hf:{clap_folder}", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["audio_error"] <= 1e-4
    assert main(["export", f"hf:{clap_folder}", str(tmp_path / "x"), "--format", "sentence-transformers"]) == 2
