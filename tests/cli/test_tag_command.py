"""``askaudio tag``: a table, CSV and JSON; a plan, its application, its state and its undoing."""

import csv
import io
import json
import os

import pytest
import soundfile

from askaudio.cli import main
from askaudio.core.files import sha256_file
from layouts import RATE_HZ, texture


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "collection"))
    monkeypatch.chdir(tmp_path)
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    soundfile.write(sounds / "heavy rain.wav", texture(1), RATE_HZ)
    soundfile.write(sounds / "0002.wav", texture(2), RATE_HZ)
    return sounds


def run(capsys, *argv: str, code: int = 0) -> str:
    assert main(["tag", *argv]) == code, capsys.readouterr()
    return capsys.readouterr().out


def test_proposals_as_table_csv_and_json(folder, capsys):
    table = run(capsys, str(folder), "--model", "toy")
    assert "heavy rain.wav" in table and "RAIN" in table and "2 files" in table
    assert "not calibrated" in table  # nobody fitted the toy
    rows = list(csv.DictReader(io.StringIO(run(capsys, str(folder), "--model", "toy", "--csv"))))
    assert [row["cat_id"] for row in rows if "heavy" in row["path"]] == ["RAIN"]
    found = json.loads(run(capsys, str(folder), "--model", "toy", "--json"))
    assert found[1]["cat_id"] == "RAIN" and len(found[1]["alternatives"]) == 2


def test_the_whole_collection_is_the_default(folder, capsys):
    assert main(["index", str(folder), "--model", "toy"]) == 0
    capsys.readouterr()
    found = json.loads(run(capsys, "--json", "--where", "path~heavy"))
    assert [row["path"] for row in found] == [str(folder / "heavy rain.wav")]


def test_a_plan_is_reviewed_applied_read_back_and_undone(folder, capsys):
    before = {p.name: (sha256_file(p), p.stat().st_mtime_ns) for p in folder.iterdir()}
    arguments = [str(folder), "--model", "toy", "--write", "tags", "--rename", "--creator", "AB", "--source", "LIB"]
    out = run(capsys, *arguments, "--least", "0", "--plan", "plan.json")
    assert "Nothing was changed" in out and "heavy rain.wav -> RAIN_Heavy Rain_AB_LIB.wav" in out
    assert {p.name for p in folder.iterdir()} == set(before)
    assert "2 files done" in run(capsys, "--apply", "plan.json")
    assert (folder / "RAIN_Heavy Rain_AB_LIB.wav").exists()
    states = json.loads(run(capsys, "--status", "plan.json", "--json"))
    assert [row["state"] for row in states] == ["applied", "applied"]
    assert states[1]["texts"]["cat_id"] == "RAIN"
    assert "2 files as they were before" in run(capsys, "--undo", "plan.json")
    assert {p.name: (sha256_file(p), p.stat().st_mtime_ns) for p in folder.iterdir()} == before


def test_yes_carries_the_plan_out_at_once(folder, capsys):
    out = run(capsys, str(folder), "--model", "toy", "--write", "sidecars", "--least", "0", "--yes", "--json")
    assert len(json.loads(out)["done"]) == 2
    assert (folder / "heavy rain.wav.txt").read_text().startswith("Heavy rain: ")
    assert main(["index", str(folder), "--model", "toy"]) == 0  # the texts become captions
    capsys.readouterr()
    assert main(["search", "rain", "--json"]) == 0
    assert "UCS RAIN RAIN GENERAL" in capsys.readouterr().out


def test_a_file_that_was_left_alone_is_named(folder, capsys):
    run(capsys, str(folder), "--model", "toy", "--rename", "--least", "0", "--plan", "plan.json")
    os.utime(folder / "0002.wav", ns=(1, 1))
    out = run(capsys, "--apply", "plan.json", code=1)
    assert "0002.wav has changed since the plan was made" in out and "1 left alone" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["x", "--apply", "p"], "take a plan and no files"),
        (["--least", "2"], "expected 0 to 1"),
        (["--plan", "p.json"], "--plan needs"),
        (["--apply", "none.json"], "does not exist"),
    ],
)
def test_wrong_input_is_refused(folder, capsys, argv, message):
    assert main(["tag", *argv]) == 2
    assert message in capsys.readouterr().err


def test_an_existing_plan_is_not_overwritten(folder, tmp_path, capsys):
    (tmp_path / "plan.json").write_text("mine")
    assert main(["tag", str(folder), "--model", "toy", "--rename", "--plan", "plan.json"]) == 2
    assert (tmp_path / "plan.json").read_text() == "mine"
