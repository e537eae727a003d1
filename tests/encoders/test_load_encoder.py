"""Names and folders of encoders, and that the light ones import nothing heavy."""

import json
import subprocess
import sys

import pytest

from askaudio.core.errors import ConfigError, ModelError
from askaudio.encoders.load import load


def test_toy_takes_its_dimension():
    assert load("toy").embed_dim == 32
    assert load("toy:dim=64").embed_dim == 64


@pytest.mark.parametrize("spec", ["toy:dim=", "toy:64", "toy:dim=many", "toy:size=4"])
def test_toy_refuses_other_options(spec):
    with pytest.raises(ConfigError, match="toy:dim=64"):
        load(spec)


def test_unknown_names_list_the_known():
    with pytest.raises(ModelError, match="names clap, efficientat, hf, onnx, small, toy"):
        load("clapp")


def test_a_folder_without_a_model_says_how_to_make_one(tmp_path):
    with pytest.raises(ModelError, match="askaudio export"):
        load(tmp_path)


def test_encoder_folder_and_run_folder(tiny_folder, tmp_path):
    assert load(tiny_folder).name == "tiny"
    (tmp_path / "encoder").symlink_to(tiny_folder)
    assert load(str(tmp_path)).fingerprint == load(str(tiny_folder)).fingerprint


BLOCK_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "onnx", "lightning"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_toy_imports_neither_torch_nor_onnxruntime():
    code = (
        "import json, sys\nfrom askaudio.encoders.load import load\nload('toy').encode_text(['rain'])\n"
        "print(json.dumps([m for m in ('torch', 'onnx', 'onnxruntime', 'tokenizers') if m in sys.modules]))"
    )
    assert json.loads(run(code)) == []


def test_searching_works_with_torch_uninstalled(tiny_folder, tmp_path):
    """Decode, cut, encode sound and text with an exported model, in a process that cannot import torch."""
    import soundfile

    soundfile.write(tmp_path / "a.wav", [0.1, -0.1] * 20000, 16000)
    code = BLOCK_TORCH + (
        "import sys\n"
        "from askaudio.audio.decode import decode, probe, stream_windows\n"
        "from askaudio.audio import front_end, logmel, windows\n"
        "from askaudio.encoders import encoder, toy\n"
        "from askaudio.encoders.load import load\n"
        "model = load(sys.argv[1])\n"
        "cut = [w.samples for w in stream_windows(sys.argv[2], model.sample_rate_hz, model.window_s, model.hop_s)]\n"
        "print(model.encode_audio(cut).shape, model.encode_text(['rain']).shape, 'torch' in sys.modules)\n"
    )
    assert run(code, str(tiny_folder), str(tmp_path / "a.wav")).strip() == "(2, 8) (1, 8) False"
