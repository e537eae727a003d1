"""Damaged, incomplete and newer encoder folders are refused with the way out."""

import json
import shutil

import pytest

from askaudio.core.errors import ModelError
from askaudio.encoders.onnx import FILES, OnnxEncoder


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


def test_the_fingerprint_follows_weights_and_front_end(folder, tiny_folder):
    before = OnnxEncoder(tiny_folder).fingerprint
    edit(folder, name="another name")
    assert OnnxEncoder(folder).fingerprint == before
    front_end = json.loads((folder / "encoder.json").read_text())["front_end"]
    edit(folder, front_end={**front_end, "short_s": 1.5})
    assert OnnxEncoder(folder).fingerprint != before
