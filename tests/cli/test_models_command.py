"""askaudio models, and models by name through index and search."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from askaudio.cli import main
from askaudio.encoders import registry
from onnx_folder import write_encoder

SHARED_FOLDER = "models/efficientat_mn04"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAUDIO_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "collection"))


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    time_s = np.arange(16000) / 16000
    soundfile.write(folder / "low.wav", 0.3 * np.sin(2 * np.pi * 100 * time_s), 16000)
    return folder


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_list_names_size_licence_and_state(capsys):
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in told(capsys)["models"]}
    assert set(rows) == {"small", "efficientat", "clap"}
    assert rows["clap"]["missing"] == ["audio.onnx", "text.onnx", "tokenizer.json"]
    assert rows["clap"]["embed_dim"] == 512 and rows["clap"]["megabytes"] == 621.2
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "get it with: askaudio models pull clap" in text and "AudioCaps text-to-audio R@1 30.2" in text


def test_index_never_pulls_and_says_the_command(sounds, capsys):
    assert main(["index", str(sounds), "--model", "clap"]) == 2
    assert "askaudio models pull clap" in capsys.readouterr().err


def test_wrong_words(capsys):
    for words, hint in (
        (["pull"], "which model?"),
        (["pull", "clapp"], "known are small, efficientat, clap"),
        (["list", "clap"], "did you mean"),
        (["pull", "clap", "--from", "/nonexistent"], "does not exist"),
        (["pull", "hf:a/b", "--from", "x"], "needs no pulling"),
    ):
        assert main(["models", *words]) == 2
        assert hint in capsys.readouterr().err


@pytest.mark.shared
def test_pull_from_a_folder(shared, capsys):
    assert main(["models", "pull", "efficientat", "--from", str(shared / SHARED_FOLDER), "--json"]) == 0
    report = told(capsys)
    assert report["missing"] == [] and len(report["fetched"]) == 1
    assert main(["models", "pull", "efficientat"]) == 0  # nothing is missing, so nothing is fetched
    assert "is complete" in capsys.readouterr().out


def test_a_collection_keeps_to_its_encoder(sounds, capsys):
    assert main(["index", str(sounds), "--model", "toy", "--workers", "1"]) == 0
    assert main(["index", str(sounds), "--model", "toy:dim=64", "--workers", "1"]) == 2
    assert "vectors of two encoders cannot be compared" in capsys.readouterr().err
    assert main(["search", "low hum", "--model", "toy:dim=64"]) == 2
    assert main(["search", "low hum"]) == 0


def test_small_is_the_default_and_its_weights_are_remembered(sounds, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path / "package")
    assert main(["index", str(sounds), "--workers", "1"]) == 2
    assert "built without the weights of small" in capsys.readouterr().err
    write_encoder(tmp_path / "package" / "small")
    assert main(["index", str(sounds), "--workers", "1"]) == 0
    capsys.readouterr()
    assert main(["collection", "info", "--json"]) == 0
    assert told(capsys)["model"] == "small"
    assert main(["search", "low hum"]) == 0
    shutil.rmtree(tmp_path / "package")
    write_encoder(tmp_path / "package" / "small", seed=1)  # a newer package, with other weights of that name
    for command in (["index", str(sounds), "--workers", "1"], ["search", "low hum"]):
        assert main(command) == 2
        assert "vectors of two encoders cannot be compared" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.skipif(not registry.EFFICIENTAT.is_shipped(), reason="a package that was built without weights")
def test_better_ears_one_word_away(shared, sounds, tmp_path, capsys):
    """From the refusal to the hit, with what the messages say to type."""
    index = ["index", str(sounds), "--model", "efficientat", "--workers", "1"]
    assert main(index) == 2
    assert "askaudio models pull efficientat --from FOLDER" in capsys.readouterr().err
    assert main(["models", "pull", "efficientat", "--from", str(shared / SHARED_FOLDER)]) == 0
    assert "next: askaudio index FOLDER --model efficientat" in capsys.readouterr().out
    assert main(index) == 0
    assert main(["search", "a low hum", "--vectors-only"]) == 0
    assert "low.wav" in capsys.readouterr().out
    assert main(["index", str(sounds), "--model", "small", "--workers", "1"]) == 2
    assert "vectors of two encoders cannot be compared" in capsys.readouterr().err


def test_cards_are_shown(tmp_path, monkeypatch, capsys):
    assert main(["models", "show", "clap", "--json"]) == 0
    shown = told(capsys)
    assert "laion/clap-htsat-unfused" in shown["card"] and len(shown["files"]) == 3
    assert main(["models", "show", "clap"]) == 0
    assert shown["files"][0]["sha256"] in capsys.readouterr().out
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    assert main(["models", "show", "clap"]) == 2


def test_speeds_are_measured_and_remembered(monkeypatch, capsys):
    from askaudio.cli import models
    from askaudio.encoders.toy import ToyEncoder

    monkeypatch.setattr(registry.Model, "is_installed", lambda self: self.name == "small")
    monkeypatch.setattr("askaudio.encoders.load.load", lambda name: ToyEncoder())
    monkeypatch.setattr(models, "REPEAT", 1)
    assert main(["models", "--measure", "--json"]) == 0
    measured = told(capsys)["models"][0]
    assert measured["x_real_time"] > 0 and measured["text_ms"] > 0
    assert main(["models", "--json"]) == 0
    again = told(capsys)["models"]
    assert again[0]["x_real_time"] == measured["x_real_time"] and "x_real_time" not in again[2]
