"""Damaged, incomplete and newer encoder folders are refused with the way out."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from askaudio.core.errors import ModelError
from askaudio.encoders.onnx import FILES, OnnxEncoder
from askaudio.encoders.onnx_bytes import Graph


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "encoder")


def edit(folder, **changes):
    path = folder / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("file", [*FILES, "encoder.json"])
def test_missing_files_are_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(ModelError, match=f"{file} missing.*askaudio export"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("file", FILES)
def test_changed_bytes_are_found(folder, file):
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(bytes(content))
    encoder = OnnxEncoder(folder)
    with pytest.raises(ModelError, match=f"{file} is damaged"):
        encoder.encode_text(["rain"])
        encoder.encode_audio([[0.0] * 8000])


def test_a_newer_folder_asks_for_an_update(folder):
    edit(folder, format=2)
    with pytest.raises(ModelError, match=r"format 2, this version reads format 1.*pip install -U"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "name": "x", "embed_dim": "many"}'])
def test_settings_that_are_none(folder, text):
    (folder / "encoder.json").write_text(text)
    with pytest.raises(ModelError, match=r"encoder\.json"):
        OnnxEncoder(folder)


def test_a_model_that_is_none(folder):
    from askaudio.core.files import sha256_file

    (folder / "text.onnx").write_bytes(b"no model")
    sums = json.loads((folder / "encoder.json").read_text())["sha256"]
    edit(folder, sha256={**sums, "text.onnx": sha256_file(folder / "text.onnx")})
    with pytest.raises(ModelError, match=r"text\.onnx is not a model"):
        OnnxEncoder(folder).encode_text(["rain"])


def replace_file(folder, file, content):
    """Another content with the right checksum: what a faulty exporter or a stranger would publish."""
    (folder / file).write_bytes(content)
    sums = json.loads((folder / "encoder.json").read_text())["sha256"]
    edit(folder, sha256={**sums, file: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'{"model": {"type": "BPE"}}', b"\xff\xfe"])
def test_a_tokenizer_that_is_none(folder, content):
    replace_file(folder, "tokenizer.json", content)
    with pytest.raises(ModelError, match=r"tokenizer\.json is not a tokenizer"):
        OnnxEncoder(folder).encode_text(["rain"])


def test_cut_and_changed_files_are_model_errors(folder):
    for file in FILES:
        before = (folder / file).read_bytes()
        for place in (1, len(before) // 3, len(before) // 2, len(before) - 1):
            changed = bytearray(before)
            changed[place] ^= 0x24
            for content in (before[:place], bytes(changed)):
                replace_file(folder, file, content)
                encoder = OnnxEncoder(folder)
                try:
                    vectors = encoder.encode_text(["rain on a roof"]), encoder.encode_audio([np.ones(8000) / 2])
                    assert all(v.shape == (1, encoder.embed_dim) for v in vectors)  # only a weight or a word changed
                except ModelError as error:
                    assert file in str(error)
        replace_file(folder, file, before)


def graph(inputs=("ids", "mask"), dim=4):
    made = Graph({name: (1, "L") for name in inputs}, {"y": (1, dim)})
    made.constant("w", np.ones((1, dim), np.float32))
    made.node("Identity", ["w"], ["y"])
    return made.serialised()


@pytest.mark.parametrize("content", [graph(("other",)), graph(dim=3)], ids=["inputs", "width"])
def test_a_graph_of_another_model(folder, content):
    replace_file(folder, "text.onnx", content)
    with pytest.raises(ModelError, match=r"text\.onnx (cannot run|returned the shape)"):
        OnnxEncoder(folder).encode_text(["rain"])


def outside(tensor, location):
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd"])
@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
def test_weights_in_another_file_are_refused(folder, location, place):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(folder / "text.onnx")
    weights = onnx.numpy_helper.from_array(np.ones(3, np.float32), "more")
    outside(weights, location)
    if place == "initializer":
        outside(model.graph.initializer[0], location)
    elif place == "constant":
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["more"], value=weights))
    else:
        inner = onnx.helper.make_graph([], "inner", [], [], [weights])
        model.graph.node.append(onnx.helper.make_node("If", ["mask"], ["more"], then_branch=inner, else_branch=inner))
    (folder / "weights.bin").write_bytes(bytes(4096))
    replace_file(folder, "text.onnx", model.SerializeToString())
    with pytest.raises(ModelError, match=r"text\.onnx keeps weights in another file \('location .*one\.onnx"):
        OnnxEncoder(folder).encode_text(["rain"])


def test_the_fingerprint_follows_weights_and_front_end(folder, tiny_folder):
    before = OnnxEncoder(tiny_folder).fingerprint
    edit(folder, name="another name")
    assert OnnxEncoder(folder).fingerprint == before
    front_end = json.loads((folder / "encoder.json").read_text())["front_end"]
    edit(folder, front_end={**front_end, "short_s": 1.5})
    assert OnnxEncoder(folder).fingerprint != before
