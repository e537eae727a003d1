"""The pulled tower under a shipped head: the checkpoint without torch, the checks, and the encoder's contract."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from askaudio.core.errors import ModelError
from askaudio.core.files import sha256_file, write_json
from askaudio.encoders.efficientat import FRONT_END, EfficientATFeatures, tower_bytes
from askaudio.encoders.efficientat_encoder import HEAD_FILE, EfficientATEncoder
from askaudio.encoders.efficientat_tower import tower_from_checkpoint
from askaudio.encoders.onnx_bytes import Graph

FOLDER = "models/efficientat_mn04"
CHECKPOINT = f"{FOLDER}/mn04_as_mAP_432.pt"


def head_bytes(dim: int = 8) -> bytes:
    """(embedding, logits) -> a random linear map of both, scaled to length 1."""
    rng = np.random.default_rng(0)
    graph = Graph({"embedding": ("B", 384), "logits": ("B", 527)}, {"vector": ("B", dim)})
    graph.constant("w", rng.standard_normal((384 + 527, dim)).astype(np.float32))
    graph.node("Concat", ["embedding", "logits"], ["both"], axis=1)
    graph.node("MatMul", ["both", "w"], ["mapped"])
    graph.node("LpNormalization", ["mapped"], ["vector"], axis=1, p=2)
    return graph.serialised()


@pytest.fixture
def head_folder(tiny_folder, tmp_path):
    """A head of 8 numbers beside the tiny model's text tower."""
    folder = tmp_path / "head"
    folder.mkdir()
    (folder / HEAD_FILE).write_bytes(head_bytes())
    for file in ("text.onnx", "tokenizer.json"):
        shutil.copy(tiny_folder / file, folder)
    settings = {
        "format": 1,
        "name": "efficientat",
        "embed_dim": 8,
        "front_end": FRONT_END.to_json(),
        "sha256": {file: sha256_file(folder / file) for file in (HEAD_FILE, "text.onnx", "tokenizer.json")},
    }
    write_json(folder / "encoder.json", settings)
    return folder


@pytest.mark.shared
def test_the_checkpoint_gives_the_bits_of_the_onnx_file(shared, tmp_path, rng):
    """The tower that is built from raw numbers against the graph that was exported from the authors' code."""
    built = EfficientATFeatures(shared / CHECKPOINT)
    exported = EfficientATFeatures(shared / FOLDER / "mn04_as.onnx")
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (1, 9000, 320000)]
    np.testing.assert_array_equal(built.features(sounds), exported.features(sounds))
    np.testing.assert_array_equal(built.probabilities(sounds), exported.probabilities(sounds))
    renamed = shutil.copy(shared / CHECKPOINT, tmp_path / "tower.onnx")  # known by its content, not by its name
    assert tower_bytes(renamed) == tower_from_checkpoint(shared / CHECKPOINT)


@pytest.mark.shared
def test_the_encoder_joins_tower_head_and_text(shared, head_folder, rng):
    encoder = EfficientATEncoder(head_folder, shared / CHECKPOINT, threads=1)
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (500, 40000, 320000)]
    vectors = encoder.encode_audio(sounds)
    assert vectors.shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    tower = EfficientATFeatures(shared / CHECKPOINT)
    weight = np.random.default_rng(0).standard_normal((911, 8)).astype(np.float32)
    both = [np.concatenate(tower.both(sound)) @ weight for sound in sounds]  # the slow path
    np.testing.assert_allclose(vectors, both / np.linalg.norm(both, axis=1, keepdims=True), atol=1e-5)
    parallel = EfficientATEncoder(head_folder, shared / CHECKPOINT, threads=3)
    np.testing.assert_array_equal(vectors, parallel.encode_audio(sounds))
    np.testing.assert_array_equal(vectors[1:2], encoder.encode_audio(sounds[1:2]))
    assert encoder.encode_text(["a dog barks", ""]).shape == (2, 8)
    assert (encoder.sample_rate_hz, encoder.window_s, encoder.hop_s) == (32000, 10.0, 10.0)
    with pytest.raises(ModelError, match="1 <= S <= 320000"):
        encoder.encode_audio([np.zeros(320001, dtype=np.float32)])


@pytest.mark.shared
def test_fingerprint_and_checksums(shared, head_folder, tmp_path):
    sha256 = sha256_file(shared / CHECKPOINT)
    encoder = EfficientATEncoder(head_folder, shared / CHECKPOINT, sha256)
    other = shutil.copytree(head_folder, tmp_path / "other")
    (other / HEAD_FILE).write_bytes(head_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"head\.onnx is damaged"):
        EfficientATEncoder(other, shared / CHECKPOINT).encode_audio([np.zeros(100, dtype=np.float32)])
    with pytest.raises(ModelError, match="models pull efficientat"):
        EfficientATEncoder(head_folder, shared / CHECKPOINT, "0" * 64)
    settings = json.loads((other / "encoder.json").read_text())
    settings["sha256"][HEAD_FILE] = sha256_file(other / HEAD_FILE)
    write_json(other / "encoder.json", settings)
    assert EfficientATEncoder(other, shared / CHECKPOINT).fingerprint != encoder.fingerprint


@pytest.mark.shared
def test_text_side_of_another_folder(shared, head_folder, tiny_folder):
    own = EfficientATEncoder(head_folder, shared / CHECKPOINT)
    rain = own.encode_text(["rain"])
    for file in ("text.onnx", "tokenizer.json"):
        (head_folder / file).unlink()
    with pytest.raises(ModelError, match=r"text\.onnx, tokenizer\.json missing"):
        EfficientATEncoder(head_folder, shared / CHECKPOINT)
    borrowed = EfficientATEncoder(head_folder, shared / CHECKPOINT, text_folder=tiny_folder)
    np.testing.assert_array_equal(borrowed.encode_text(["rain"]), rain)
    assert borrowed.fingerprint == own.fingerprint


def test_files_that_are_no_checkpoint(head_folder, tmp_path):
    with pytest.raises(ModelError, match="models pull efficientat"):
        EfficientATEncoder(head_folder, tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("no zip")
    with pytest.raises(ModelError, match="is not the published EfficientAT checkpoint"):
        tower_from_checkpoint(tmp_path / "text.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"never run")
        archive.writestr("archive/data/0", bytes(4 * 10))
    with pytest.raises(ModelError, match="tensor 0 has 10 numbers"):
        tower_from_checkpoint(tmp_path / "other.pt")


@pytest.mark.shared
def test_parts_are_near_the_vector_of_the_whole(shared, head_folder, rng):
    encoder = EfficientATEncoder(head_folder, shared / CHECKPOINT, threads=1)
    sound = (0.1 * rng.standard_normal(160_000)).astype(np.float32)
    times, vectors = encoder.encode_parts(sound)
    assert vectors.shape == (len(times), 8) and times[-1, 1] == pytest.approx(5.0)
    assert (vectors @ encoder.encode_audio([sound])[0]).mean() > 0.5
