"""The commands index, search, collection and copy, end to end with the toy encoder; and all of it without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.cli import main

TONES = {"hum": 100, "bell": 1500, "whistle": 3200}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name, hz in TONES.items():
        wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(16000) / 16000)
        soundfile.write(sounds / f"{name}_{hz}.wav", wave, 16000)
    return sounds


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "collection"))
    return tmp_path / "collection"


def say(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(list(argv)) == code, capsys.readouterr()
    return capsys.readouterr().out


def test_index_search_check_copy_and_back(
    folder: Path, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")
    out = say(capsys, "index", str(folder), "--model", "toy", "--workers", "1", code=1)
    assert "3 added" in out
    assert "broken.wav" in out
    assert [json.loads(line)["path"] for line in (collection / "broken.jsonl").open()] == [str(folder / "broken.wav")]
    (folder / "broken.wav").unlink()
    report = json.loads(say(capsys, "index", str(folder), "--json"))
    assert (report["unchanged"], report["added"], report["broken"]) == (3, 0, {})
    hits = json.loads(say(capsys, "search", "3200 hz", "--vectors-only", "--json", "--top", "2"))
    assert Path(hits[0]["path"]).name == "whistle_3200.wav"
    assert "whistle_3200.wav" in say(capsys, "search", "--audio", str(folder / "whistle_3200.wav"))
    assert json.loads(say(capsys, "search", "--like", hits[0]["clip_id"], "--not", "bell", "--json"))
    assert say(capsys, "search", "x", "--where", "duration>99", code=1).startswith("nothing found")
    assert main(["search", "--like", "unknown"]) == 2
    assert "no clip 'unknown'" in capsys.readouterr().err
    (tmp_path / "queries.txt").write_text("low hum\nbell\n")
    lines = say(capsys, "search", "--batch", str(tmp_path / "queries.txt"), "--json").splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["low hum", "bell"]
    info = json.loads(say(capsys, "collection", "info", "--json"))
    assert (info["clips"], info["model"]) == (3, "toy")
    assert "bell_1500.wav" in say(capsys, "collection", "list", "--where", "path~bell")
    assert "0 faults" in say(capsys, "collection", "check")
    copied = say(capsys, "copy", str(collection), f"exact:{tmp_path / 'copy'}", "--json")
    assert json.loads(copied)["entries"] == 3
    again = json.loads(say(capsys, "search", "3200 hz", "--vectors-only", "--json", "--top", "2", "--collection",
                           f"exact:{tmp_path / 'copy'}"))  # fmt: skip
    assert again == hits


def test_damage_is_found_and_mended(folder: Path, collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "index", str(folder), "--model", "toy", "--workers", "1")
    say(capsys, "collection", "snapshot", "whole")
    assert say(capsys, "collection", "snapshot").strip() == "whole"
    for path in (collection / "cache").glob("*/ids.offsets.npy"):
        path.write_bytes(b"damaged")
    assert "search cache" in say(capsys, "collection", "check", code=1)
    assert len(json.loads(say(capsys, "search", "bell", "--json"))) == 3
    say(capsys, "collection", "repair")
    assert "0 faults" in say(capsys, "collection", "check")
    from askaudio.engines.open import open_store

    with open_store(collection, "w") as store:
        store.delete("path~bell")
        store.save()
    assert len(json.loads(say(capsys, "search", "bell", "--json"))) == 2
    say(capsys, "collection", "restore", "whole")
    assert len(json.loads(say(capsys, "search", "bell", "--json"))) == 3


def test_picture_of_hits(folder: Path, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    say(capsys, "index", str(folder), "--model", "toy", "--workers", "1")
    say(capsys, "search", "bell", "--picture", str(tmp_path / "hits.png"))
    assert (tmp_path / "hits.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["search", "rain"], "make one: askaudio index"),
        (["index", "{folder}", "--model", "nothing"], "no model"),
        (["index", "/nowhere/at/all", "--model", "toy"], "does not exist"),
        (["index", "/nowhere/at/all", "--model", "nothing"], "does not exist"),
        (["search", "--captions"], "one --audio"),
        (["search", "a", "--weights", "1,2"], "--weights has 2 numbers"),
        (["search", "a", "--weights", "x"], "expected numbers"),
        (["search", "--batch", "/nowhere"], "--batch /nowhere"),
        (["collection", "restore"], "needs the name"),
        (["collection", "info", "name"], "takes no name"),
        (["copy", "{folder}/none", "memory:"], "no collection"),
    ],
)
def test_wrong_use_says_what_is_right(
    argv: list[str], says: str, folder: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([a.replace("{folder}", str(folder)) for a in argv]) == 2
    assert says in capsys.readouterr().err


_WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

BLOCKED = set(sys.argv[1].split(","))

class Finder(PathFinder):
    # finds what is installed, but for the blocked packages: as if they were not
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in BLOCKED else super().find_spec(name, path, target)

sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
from askaudio.cli import main
sys.exit(main(sys.argv[2:]))
"""


def run_without(blocked: str, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WITHOUT_TORCH, blocked, *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_index_and_search_work_without_torch_and_a_fresh_cache_without_lancedb(folder: Path, collection: Path) -> None:
    done = run_without("torch,lightning,transformers", "index", str(folder), "--model", "toy", "--workers", "1")
    assert done.returncode == 0, done.stderr
    found = run_without("torch,lightning,lancedb,pyarrow,faiss", "search", "bell", "--json")
    assert found.returncode == 0, found.stderr
    assert len(json.loads(found.stdout)) == 3


def test_watching_tells_only_what_is_new(
    folder: Path, collection: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")
    looks = iter([lambda: None, lambda: (folder / "hum_100.wav").rename(folder / "drone.wav"), lambda: None])

    def wait_for_change(folders: list[str], seen: dict[str, str]) -> dict[str, str]:
        for happens in looks:
            happens()
            return seen
        raise KeyboardInterrupt

    monkeypatch.setattr("askaudio.ingest.watch.wait_for_change", wait_for_change)
    assert main(["index", str(folder), "--model", "toy", "--workers", "1", "--watch"]) == 130
    told = capsys.readouterr().out
    reports = [line for line in told.splitlines() if " added, " in line]
    assert [report.split(": ")[1].split(",")[0] for report in reports] == ["3 added", "0 added"]
    assert told.count("1 renamed") == 1
    assert told.count("1 file could not be read") == 2
