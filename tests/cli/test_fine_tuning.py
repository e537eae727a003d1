"""askaudio train --init: from a model and a captioned folder to a model that serves."""

import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main
from askaudio.models import frozen_encoder
from onnx_folder import write_encoder

pytest.importorskip("onnx")


@pytest.fixture
def captioned(tmp_path):
    """A folder of 32 sounds of two kinds, each with a text file beside it."""
    folder = tmp_path / "captioned"
    folder.mkdir()
    rng = np.random.default_rng(0)
    time_s = np.arange(4000) / 8000
    for i in range(32):
        kind = ("low hum", "bright hiss")[i % 2]
        wave = (
            np.sin(2 * np.pi * rng.uniform(90, 200) * time_s) if i % 2 == 0 else np.diff(rng.standard_normal(4001)) / 2
        )
        soundfile.write(folder / f"{i}.wav", 0.3 * wave + 0.01 * rng.standard_normal(4000), 8000)
        (folder / f"{i}.txt").write_text(f"a {kind}")
    return folder


def test_fine_tuned_on_ones_own_folder_it_serves_at_once(captioned, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "collection"))
    base = write_encoder(tmp_path / "base")
    command = [
        "train", "--init", str(base), str(captioned), "train.epochs=6", "train.batch_size=8", "train.lr=0.01",
        "train.patience=0", "knowledge.prototypes=4", "knowledge.neighbors=2", f"data.cache={tmp_path / 'cache'}",
    ]  # fmt: skip
    opened, open_encoder = [], frozen_encoder.base_encoder
    monkeypatch.setattr(frozen_encoder, "base_encoder", lambda spec: opened.append(spec) or open_encoder(spec))
    assert main([*command, "--json"]) == 0
    assert opened == [str(base)]  # once, for both sides, the validation and the export
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == "runs/finetune" and told["epochs"] == 6
    assert told["validation"]["t2a/mAP@10"] >= told["start"]["t2a/mAP@10"]
    assert main(["index", str(captioned), "--model", "runs/finetune", "--workers", "1"]) == 0
    capsys.readouterr()
    for words, parity in (("a low hum", 0), ("a bright hiss", 1)):
        assert main(["search", words, "--vectors-only", "--all-takes", "--top", "5", "--json"]) == 0
        hits = json.loads(capsys.readouterr().out)
        assert [int(hit["path"].split("/")[-1].removesuffix(".wav")) % 2 for hit in hits] == [parity] * 5
    assert main([*command, "--resume"]) == 0
    assert "before fine-tuning" in capsys.readouterr().out


def test_the_words_of_the_command():
    from askaudio.cli.train import _fine_tuning

    assert _fine_tuning("small", None, ["seed=1"]) == ("finetune", ["model.init=small", "seed=1"])
    assert _fine_tuning("small", "seed=1", []) == ("finetune", ["model.init=small", "seed=1"])
    assert _fine_tuning("small", "sounds", []) == ("sounds", ["model.init=small"])
    assert _fine_tuning("small", "a.csv", []) == ("finetune", ["model.init=small", "data.manifest=a.csv"])


def test_what_is_missing_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASKAUDIO_MODELS", str(tmp_path))
    assert main(["train", "--init", "clap", "--out", str(tmp_path / "run")]) == 2
    assert "data.manifest: nothing given" in capsys.readouterr().err
    assert main(["train", "--init", "clap", f"data.manifest={tmp_path}", "--out", str(tmp_path / "run")]) == 2
