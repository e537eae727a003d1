"""``askaudio search --moments`` and ``--export-moments``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.cli import main

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sounds")
    tone = 0.5 * np.sin(2 * np.pi * 900 * np.arange(2 * RATE_HZ) / RATE_HZ)
    quiet = np.zeros(4 * RATE_HZ)
    soundfile.write(folder / "yard.wav", np.concatenate([quiet, tone, quiet]), RATE_HZ, subtype="PCM_24")
    place = str(tmp_path_factory.mktemp("collection") / "c")
    assert main(["index", str(folder), "--collection", place, "--model", "toy"]) == 0
    return place


def search(collection: str, *options: str) -> int:
    return main(["search", "900 Hz", "--collection", collection, *options])


def test_moments_are_printed_and_in_json(collection: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(collection, "--moments") == 0
    assert "  moments: " in capsys.readouterr().out
    assert search(collection, "--moments", "--json") == 0
    (hit,) = json.loads(capsys.readouterr().out)
    assert hit["moments"][0]["start_s"] == pytest.approx(4, abs=0.2)


def test_wav_cuts_have_handles_and_the_depth_of_the_file(collection: str, tmp_path: Path) -> None:
    assert search(collection, "--export-moments", str(tmp_path / "cuts"), "--handles", "0.5") == 0
    (cut,) = (tmp_path / "cuts").glob("*.wav")
    info = soundfile.info(cut)
    assert info.subtype == "PCM_24" and info.duration == pytest.approx(3.0, abs=0.4)


def test_tables_labels_and_projects(collection: str, tmp_path: Path) -> None:
    for name in ("table.csv", "labels.txt", "project.rpp", "r.regions.csv"):
        assert search(collection, "--export-moments", str(tmp_path / name)) == 0
    (row,) = csv.DictReader((tmp_path / "table.csv").open(newline=""))
    assert float(row["start_s"]) == pytest.approx(4, abs=0.2) and row["note"].startswith("900 Hz (")
    start_s, end_s, name = (tmp_path / "labels.txt").read_text().rstrip("\n").split("\t")
    assert float(start_s) == pytest.approx(4, abs=0.2) and float(end_s) == pytest.approx(6, abs=0.2)
    assert name.startswith("900 Hz (")
    assert "<REAPER_PROJECT" in (tmp_path / "project.rpp").read_text()
    assert (tmp_path / "r.regions.csv").read_text().startswith("#,Name,Start,End,Length\nR1,900 Hz (")


def test_what_exists_is_not_replaced(collection: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.csv").write_text("mine")
    assert search(collection, "--export-moments", str(tmp_path / "m.csv")) == 2
    assert "exists" in capsys.readouterr().err and (tmp_path / "m.csv").read_text() == "mine"


def test_a_stretch_of_a_file_is_a_query(collection: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wave = np.concatenate([np.zeros(RATE_HZ), 0.5 * np.sin(2 * np.pi * 900 * np.arange(RATE_HZ) / RATE_HZ)])
    soundfile.write(tmp_path / "q.wav", wave, RATE_HZ)
    for option in ("--audio", "--like"):
        assert main(["search", option, f"{tmp_path}/q.wav@1.2-1.9", "--collection", collection, "--json"]) == 0
        (hit,) = json.loads(capsys.readouterr().out)
        assert hit["path"].endswith("yard.wav")
    assert main(["search", "--audio", f"{tmp_path}/q.wav@5-6", "--collection", collection]) == 2
