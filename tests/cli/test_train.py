"""askaudio train from the outside: help, faults, and one training that ends in a searchable encoder."""

import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main


@pytest.fixture
def library(tmp_path):
    """24 short sounds of two kinds with a manifest."""
    rng = np.random.default_rng(0)
    t = np.arange(8000) / 16000
    rows = []
    for i in range(24):
        kind = ("low hum", "bright hiss")[i % 2]
        x = 0.3 * np.sin(2 * np.pi * 120 * t) if i % 2 == 0 else 0.3 * np.diff(rng.standard_normal(8001)) / 2
        soundfile.write(tmp_path / f"{i}.wav", x + 0.01 * rng.standard_normal(8000), 16000)
        split = "train" if i < 16 else "val" if i < 20 else "test"
        rows.append({"clip_id": f"c{i}", "path": f"{i}.wav", "captions": [f"a {kind}"], "split": split})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_training_ends_in_an_encoder_that_serves(library, tmp_path, capsys):
    out = tmp_path / "run"
    command = [
        "train", "demo", f"data.manifest={library / 'manifest.jsonl'}", "--out", str(out), "data.same_text=true",
        f"data.cache={tmp_path / 'cache'}", "model.window_s=1", "model.embed_dim=16", "train.epochs=3",
        "train.batch_size=8", "train.lr=0.01", "--json",
    ]  # fmt: skip
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == str(out) and told["epochs"] == 3
    assert told["validation"] == json.loads((out / "metrics.json").read_text())["validation"]

    from askaudio.encoders.load import load

    encoder = load(out)
    low, high = (soundfile.read(library / f"{i}.wav", dtype="float32")[0] for i in (20, 21))
    similarity = encoder.encode_text(["a low hum", "a bright hiss"]) @ encoder.encode_audio([low, high]).T
    assert similarity.argmax(axis=1).tolist() == [0, 1]

    assert main(command) == 2
    assert "--resume" in json.loads(capsys.readouterr().out)["message"]


def test_faults_come_together_before_any_work(capsys):
    assert main(["train", "sounds", "train.lr=fast", "train.epoch=3", "--out", "/nonexistent/x"]) == 2
    error = capsys.readouterr().err
    assert "train.lr: got 'fast'" in error and "train.epoch: no such key; did you mean epochs?" in error
    assert main(["train"]) == 2
    assert "which recipe?" in capsys.readouterr().err


def test_keys_lists_every_section(capsys):
    assert main(["train", "--keys"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{section}:" in out for section in ("data", "model", "loss", "knowledge", "train"))


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "askaudio train sounds data.manifest=" in capsys.readouterr().out
