"""EfficientAT: recognises real sounds; its embedding is the input of its classifier."""

import dataclasses
import json

import numpy as np
import pytest

from askaudio.audio.decode import decode
from askaudio.audio.logmel import LogMel
from askaudio.core.errors import ModelError
from askaudio.encoders.efficientat import FRONT_END, EfficientATFeatures, class_names, tower

FILE = "models/efficientat_mn04/mn04_as.onnx"


@pytest.fixture(scope="module")
def efficientat(shared):
    return EfficientATFeatures(shared / FILE)


@pytest.fixture(scope="module")
def names(shared):
    return class_names(shared / "models/efficientat_mn04/class_labels_indices.csv")


def clips(shared, label: str, n: int) -> list[np.ndarray]:
    """``n`` clips of a label, each from another recording."""
    found = {}
    with (shared / "data/sounds/manifest.jsonl").open() as file:
        for line in file:
            row = json.loads(line)
            if row["label"] == label and row["group"] not in found:
                found[row["group"]] = decode(shared / "data/sounds" / row["path"], 32000)[:320000]
            if len(found) == n:
                break
    return list(found.values())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("label", "expected", "n", "right"),
    [
        ("rain", {"Rain", "Raindrop", "Rain on surface"}, 1, 1),
        ("dog bark", {"Dog", "Bark", "Bow-wow", "Animal"}, 6, 4),
        ("siren", {"Siren", "Emergency vehicle", "Police car (siren)", "Ambulance (siren)"}, 6, 5),
    ],
)
def test_labelled_sounds_are_recognised(shared, efficientat, names, label, expected, n, right):
    probabilities = efficientat.probabilities(clips(shared, label, n))
    assert probabilities.shape[1] == 527
    top = [{names[k] for k in np.argsort(-row)[:3]} for row in probabilities]
    assert sum(bool(heard & expected) for heard in top) >= right


@pytest.mark.shared
def test_the_embedding_is_what_the_classifier_reads(shared, efficientat, rng):
    """Slow path: the classifier's two layers in numpy on the embedding give the file's own logits."""
    onnx = pytest.importorskip("onnx")
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(shared / FILE).graph.initializer}
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (32000, 50000)]
    x = efficientat.features(sounds)
    x = x @ weights["model.classifier.2.weight"].T + weights["model.classifier.2.bias"]
    x = x * np.clip(x / 6 + 0.5, 0, 1)
    x = x @ weights["model.classifier.5.weight"].T + weights["model.classifier.5.bias"]
    np.testing.assert_allclose(1 / (1 + np.exp(-x)), efficientat.probabilities(sounds), atol=1e-5)


@pytest.mark.shared
def test_threads_and_batches_change_nothing(shared, efficientat, rng):
    sounds = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (1, 8000, 64000)]
    reports = []
    together = efficientat.features(sounds, progress=lambda done, total, note="": reports.append((done, total)))
    assert reports == [(1, 3), (2, 3), (3, 3)]
    assert together.shape == (3, 384)
    parallel = EfficientATFeatures(shared / FILE, threads=3)
    assert np.array_equal(together, parallel.features(sounds))
    assert np.array_equal(together, np.concatenate([efficientat.features([sound]) for sound in sounds]))


@pytest.mark.shared
def test_the_fingerprint_follows_the_front_end(shared, efficientat):
    other = EfficientATFeatures(shared / FILE, front_end=dataclasses.replace(FRONT_END, short="repeat"))
    assert other.fingerprint != efficientat.fingerprint
    with pytest.raises(ModelError, match="EfficientAT takes"):
        EfficientATFeatures(shared / FILE, front_end=dataclasses.replace(FRONT_END, log_mel=LogMel(n_mels=64)))


def test_files_that_are_no_tower(tmp_path):
    onnx = pytest.importorskip("onnx")
    with pytest.raises(ModelError, match="no EfficientAT model at"):
        tower(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelError, match="is not an ONNX file"):
        tower(tmp_path / "text.onnx")
    node = onnx.helper.make_node("Identity", ["spec"], ["logits"])
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["B", 4]) for name in ("spec", "logits")]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:])), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="is no EfficientAT tower"):
        tower(tmp_path / "other.onnx")


def test_class_names_that_are_none(tmp_path):
    (tmp_path / "names.csv").write_text("index,mid,display_name\n0,/m/1,Speech\n")
    with pytest.raises(ModelError, match="names 1 classes, expected 527"):
        class_names(tmp_path / "names.csv")
