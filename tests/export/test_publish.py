"""Model cards, and a push with the real client to a hub on loopback."""

import json

import pytest
import torch
import yaml

from askaudio.cli import main
from askaudio.core.errors import ConfigError, ModelError
from askaudio.export.publish import plan, push, write_card
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from fake_hub import fake_hub

pytest.importorskip("huggingface_hub")


@pytest.fixture
def run(tmp_path):
    """A run folder as training leaves it, untrained."""
    torch.manual_seed(0)
    tower = CnnAudioTower(32, (4, 4, 8, 8, 8), 16)
    DualEncoder(Projection(16, 8), Projection(384, 8), audio_tower=tower).save(tmp_path / "run")
    scores = {"t2a/R@1": 0.125, "t2a/MedR": 4.0, "a2t/mAP@10": 0.5}
    summary = {"validation": scores, "validation_clips": 20, "validation_captions": 40}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(summary))
    return tmp_path / "run"


@pytest.fixture
def folder(tmp_path, run):
    """An encoder folder as far as a push sees it."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("encoder.json", "audio.onnx", "text.onnx", "tokenizer.json"):
        (out / name).write_text(f"{{}} {name}")
    write_card(out, "Small sounds", run, "Apache-2.0")
    return out


def test_the_card_says_what_the_training_wrote_down_and_no_more(folder, run):
    text = (folder / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "Apache-2.0" and head["library_name"] == "askaudio"
    assert "| t2a/R@1 | 12.5 |" in text and "20 clips, 40 captions" in text and "MedR" not in text
    assert "| audio tower | cnn |" in text and "8 numbers" in text
    (run / "metrics.json").unlink()
    write_card(folder, "Small sounds", run)
    text = (folder / "README.md").read_text()
    assert "license" not in text and "Validation" not in text


def test_the_plan_is_the_folder_and_the_weights(folder, run, tmp_path):
    (run / "state").mkdir()
    (run / "state" / "last.safetensors").write_text("for resuming only")
    names = [name for name, _ in plan(folder, "me/sounds", run).files]
    assert names == [
        "README.md", "audio.onnx", "checkpoint/dual_encoder.json", "checkpoint/metrics.json",
        "checkpoint/weights.safetensors", "encoder.json", "text.onnx", "tokenizer.json",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        plan(folder, "sounds")
    (folder / "link").symlink_to(run / "metrics.json")
    with pytest.raises(ModelError, match="links"):
        plan(folder, "me/sounds")


def test_push_and_fetch(folder, run, tmp_path, monkeypatch):
    import huggingface_hub

    with fake_hub() as (address, hub):
        monkeypatch.setenv("HF_ENDPOINT", address)
        hub.token = "hf_right"
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        with pytest.raises(ModelError, match="hf auth login"):
            push(plan(folder, "me/sounds", run))
        monkeypatch.setenv("HF_TOKEN", "hf_right")
        assert push(plan(folder, "me/sounds", run), private=True).startswith(f"{address}/me/sounds/commit/")
        assert hub.created["me/sounds"].get("visibility", hub.created["me/sounds"].get("private")) in ("private", True)
        assert hub.repos["me/sounds"]["checkpoint/weights.safetensors"] == (run / "weights.safetensors").read_bytes()
        place = huggingface_hub.snapshot_download("me/sounds", endpoint=address, cache_dir=tmp_path / "cache")
    loaded = DualEncoder.load(f"{place}/checkpoint")
    torch.testing.assert_close(loaded.state_dict(), DualEncoder.load(run).state_dict())


def test_a_dry_run_sends_nothing(run, tmp_path, monkeypatch, capsys):
    st = ["--format", "sentence-transformers"]
    pytest.importorskip("sentence_transformers")
    with fake_hub() as (address, hub):
        monkeypatch.setenv("HF_ENDPOINT", address)
        out = str(tmp_path / "st")
        assert main(["export", str(run), out, *st, "--push", "me/sounds", "--dry-run", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert not hub.seen and report["would_push"] == "me/sounds"
        assert {"modules.json", "README.md"} <= {file["path"] for file in report["files"]}
    assert main(["export", str(run), out, "--dry-run"]) == 2
    assert "--push" in capsys.readouterr().err
