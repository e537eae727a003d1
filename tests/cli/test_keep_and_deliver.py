"""``askaudio keep`` and ``askaudio deliver`` as people type them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from askaudio.cli import main
from sound_folder import SoundFolder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundFolder:
    made = SoundFolder(tmp_path.resolve())
    made.write("rain.wav", 300.0, seconds=2.0, copyright="CC BY 4.0", artist="Ana")
    made.write("door.wav", 700.0)
    made.index()
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(made.collection))
    return made


@pytest.fixture
def ask(capsys):
    """Run a command: its exit code, and what it printed."""

    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        return code, capsys.readouterr().out

    return run


def test_favourites_by_path_and_by_id(library, ask):
    assert ask("keep", "add", library.sounds / "rain.wav", library.id_of("door.wav")) == (0, "2 favourites kept\n")
    code, text = ask("keep", "list")
    assert code == 0 and {line.split()[0] for line in text.splitlines()} == {"favourite"}
    assert ask("keep", "remove", library.sounds / "rain.wav") == (0, "1 sound removed\n")
    assert ask("keep", "remove", library.sounds / "rain.wav")[0] == 1
    (left,) = json.loads(ask("keep", "list", "--json")[1])["favourites"]
    assert left["clip_id"] == library.id_of("door.wav")


def test_a_project_is_made_filled_and_delivered(library, ask, tmp_path):
    ask("keep", "make", "Storm", "--note", "Tuesday")
    part = ("keep", "add", library.sounds / "rain.wav", "--project", "Storm", "--part", "0.5-1.5", "--note", "cue")
    assert ask(*part) == (0, "1 sound added to Storm\n")
    assert "0.50-1.50 s" in ask("keep", "show", "Storm")[1]
    assert ask("deliver", "--project", "Storm", "--to", tmp_path / "storm.rpp")[0] == 0
    assert "SOFFS 0.5" in (tmp_path / "storm.rpp").read_text()
    assert "by Ana, CC-BY-4.0" in (tmp_path / "storm.credits.txt").read_text()
    assert ask("deliver", "--project", "Storm", "--to", tmp_path / "storm.rpp")[0] == 2
    assert ask("deliver", "--project", "Storm", "--to", tmp_path / "storm.rpp", "--overwrite")[0] == 0
    assert ask("keep", "delete", "Storm")[0] == 0
    assert ask("keep", "show", "Storm")[0] == 2


def test_hits_are_delivered(library, ask, tmp_path):
    code, text = ask("deliver", "rain", "--top", 1, "--where", "path~rain", "--to", tmp_path / "out", "--json")
    assert code == 0 and sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CREDITS.txt", "rain.wav"]
    assert json.loads(text)["taken"][0]["licence"] == "CC-BY-4.0"


def test_ids_come_from_a_file_or_from_a_search(library, ask, tmp_path, monkeypatch):
    hits = ask("search", "rain", "--json")[1]
    monkeypatch.setattr("sys.stdin", type("Input", (), {"buffer": io.BytesIO(hits.encode())}))
    assert ask("deliver", "--from", "-", "--to", tmp_path / "both.zip")[0] == 0
    with zipfile.ZipFile(tmp_path / "both.zip") as archive:
        assert sorted(archive.namelist()) == ["CREDITS.txt", "door.wav", "rain.wav"]
    (tmp_path / "ids.txt").write_text(f"{library.id_of('door.wav')}\nnothing\n")
    assert ask("deliver", "--from", tmp_path / "ids.txt", "--to", tmp_path / "ids.csv")[0] == 1
    (tmp_path / "wrong.json").write_text("[1, 2]")
    assert ask("deliver", "--from", tmp_path / "wrong.json", "--to", tmp_path / "x.csv")[0] == 2


def test_only_commercial_with_rules(library, ask, tmp_path):
    names = ("--clip", library.sounds / "rain.wav", "--clip", library.sounds / "door.wav", "--commercial")
    assert ask("deliver", *names, "--to", tmp_path / "a")[0] == 1
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["CREDITS.txt", "rain.wav"]
    (tmp_path / "rules.yaml").write_text("- {match: '*/door.wav', licence: bought, commercial: true, author: Shop}\n")
    assert ask("deliver", *names, "--rules", tmp_path / "rules.yaml", "--to", tmp_path / "b")[0] == 0
    assert '"door" by Shop, bought' in (tmp_path / "b" / "CREDITS.txt").read_text()


def test_saved_searches_notes_and_exchange(library, ask, tmp_path):
    assert ask("keep", "save", "dry", "rain", "--not", "thunder", "--where", "duration<9")[0] == 0
    assert ask("keep", "save", "dry", "snow")[0] == 2
    code, text = ask("keep", "search", "dry", "--json")
    assert code == 0 and len(json.loads(text)) == 2
    assert ask("keep", "recent")[1].startswith("query          1 x")
    assert ask("keep", "note", library.sounds / "rain.wav", "too loud")[0] == 0
    assert ask("keep", "export", tmp_path / "kept.json")[0] == 0
    assert ask("keep", "export", tmp_path / "kept.json")[0] == 2
    assert ask("keep", "delete", "dry", "--search")[0] == 0
    assert ask("keep", "import", tmp_path / "kept.json") == (0, "added: 1 searches\n")
    assert ask("keep", "import", tmp_path / "kept.json", "--person", "Ana")[0] == 0
    assert "too loud" in ask("keep", "list", "--person", "Ana")[1]


@pytest.mark.parametrize(
    "words",
    [
        ("keep", "add"), ("keep", "add", "nothing"), ("keep", "add", "x", "--part", "1"), ("keep", "show"),
        ("keep", "add", "x", "--project", "p", "--part", "b-a"), ("keep", "make", "a", "b"), ("keep", "note", "x"),
        ("keep", "save", "x"), ("keep", "import", "missing.json"), ("deliver", "--to", "x"),
        ("deliver", "rain", "--to", "x", "--kind", "mp3"), ("deliver", "rain", "--to", "x.csv", "--list", "rpp"),
        ("deliver", "rain", "--to", "x", "--rules", "missing.yaml"), ("deliver", "--project", "no", "--to", "x"),
    ],
)  # fmt: skip
def test_wrong_words_are_explained(library, ask, words):
    assert ask(*words)[0] == 2
