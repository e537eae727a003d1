"""The commands index, search, collection and copy, end to end with the toy encoder; and all of it without torch."""

from __future__ import annotations

import io
import json
import os
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
    with_minus = say(capsys, "search", "3200 hz -bell", "--json")
    assert with_minus == say(capsys, "search", "3200 hz", "--not", "bell", "--json")
    assert json.loads(with_minus) != json.loads(say(capsys, "search", "3200 hz", "--json"))
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


def test_damage_is_found_and_repaired(folder: Path, collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        (["collection", "forget"], "needs a folder"),
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


def test_watching_waits_for_a_folder_that_is_away(
    folder: Path, collection: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = folder.parent / "away"

    def come_back() -> None:
        away.rename(folder)
        (folder / "new.wav").write_bytes((folder / "hum_100.wav").read_bytes()[:-2000])

    looks = iter([lambda: folder.rename(away), lambda: None, lambda: None, come_back])

    def wait_for_change(folders: list[str], seen: dict[str, str]) -> dict[str, str]:
        for happens in looks:
            happens()
            return seen
        raise KeyboardInterrupt

    monkeypatch.setattr("askaudio.ingest.watch.wait_for_change", wait_for_change)
    assert main(["index", str(folder), "--model", "toy", "--workers", "1", "--watch"]) == 130
    out = capsys.readouterr().out
    reports = [line.split(": ")[1] for line in out.splitlines() if " added, " in line]
    assert reports == [
        "3 added, 0 changed, 0 renamed, 0 removed, 0 unchanged; 3 entries",
        "0 added, 0 changed, 0 renamed, 0 removed, 0 unchanged; 3 entries",
        "1 added, 0 changed, 0 renamed, 0 removed, 3 unchanged; 4 entries",
    ]
    assert out.count(f"{folder}: No such file or directory") == 1


def test_missing_files_are_kept_until_somebody_agrees(
    folder: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = ("index", str(folder), "--model", "toy", "--workers", "1")
    say(capsys, *index)
    folder.rename(folder.parent / "away")
    folder.mkdir()
    out = say(capsys, *index, code=1)
    assert f"{folder}: 3 of its known files are missing" in out
    assert "3 files missing, kept" in out and "collection forget" in out
    report = json.loads(say(capsys, *index, "--json", code=1))
    assert (report["kept"], report["removed"], report["entries"]) == (3, 0, 3)
    assert "3 removed" in say(capsys, *index, "--remove-missing", code=1)  # 1: the folder holds no sound
    assert f"no sound file found in {folder}; looked for .3gp .aac" in say(capsys, *index, code=1)


def test_forget_asks_or_needs_yes(
    folder: Path, collection: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say(capsys, "index", str(folder), "--model", "toy", "--workers", "1")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["collection", "forget", str(folder)]) == 2
    message = capsys.readouterr().err
    assert "--yes" in message and str(folder / "hum_100.wav") in message
    terminal = io.StringIO("n\ny\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["collection", "forget", str(folder / "hum_100.wav")]) == 2
    assert "nothing was changed" in capsys.readouterr().err
    assert "1 file removed" in say(capsys, "collection", "forget", str(folder / "hum_100.wav"))
    removed = json.loads(say(capsys, "collection", "forget", str(folder), "--yes", "--json"))
    assert (removed["removed"], removed["entries"], len(removed["paths"])) == (2, 0, 2)
    assert "holds nothing below" in say(capsys, "collection", "forget", str(folder), "--yes", code=1)


def test_lists_are_one_line_a_file_and_valid_utf8(
    folder: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "hum_100.wav").rename(folder / "two\nlines\x1b[31m.wav")
    (folder / "bell_1500.wav").rename(folder / os.fsdecode(b"caf\xe9.wav"))
    (folder / os.fsdecode(b"br\xf6ken\r.wav")).write_bytes(b"RIFF")
    out = say(capsys, "index", str(folder), "--model", "toy", "--workers", "1", code=1)
    assert r"br\xf6ken\r.wav" in out
    out = say(capsys, "collection", "list")
    assert len(out.splitlines()) == 3
    assert r"two\nlines\x1b[31m.wav" in out and r"caf\xe9.wav" in out
    text = say(capsys, "collection", "list", "--json")
    paths = {row["path"] for row in json.loads(text.encode("utf-8"))}
    assert str(folder / os.fsdecode(b"caf\xe9.wav")) in paths
    assert r"broken " in (listed := say(capsys, "collection", "list", "--broken")) and r"br\xf6ken\r.wav" in listed
    (row,) = json.loads(say(capsys, "collection", "list", "--broken", "--json"))
    assert (row["path"], row["damaged"]) == (str(folder / os.fsdecode(b"br\xf6ken\r.wav")), False)


def test_the_answer_says_that_nothing_fits(
    folder: Path, collection: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(capsys, "index", str(folder), "--model", "toy")
    monkeypatch.setattr("askaudio.search.hits.POSSIBLE", 101.0)
    command = ["search", "something else", "--vectors-only", "--language", "en", "--no-correct-hubs"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "Nothing here fits well" in shown.err and "hum_100" in shown.out
    (batch := folder.parent / "queries.txt").write_text("something else\n", encoding="utf-8")
    line = json.loads(say(capsys, "search", "--batch", str(batch), "--vectors-only", "--json"))
    assert line["fits"] is False and len(line["hits"]) == 3
