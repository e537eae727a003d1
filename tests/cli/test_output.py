"""What terminals and logs show: names as text in any encoding, progress as a bar or as plain lines."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from askaudio.cli import main, output


def test_a_log_gets_plain_lines_and_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with output.progress_bar("indexing", "files") as bar:
        for done in range(50):
            bar(done, 100)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(output, "_LINE_EVERY_S", 0.0)
    with output.progress_bar("indexing", "files") as bar:
        bar(0, None, "looking for sounds")
        bar(25, 100, "7 x real time")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("indexing 25 of 100 files ")
    assert line.endswith(" s left 7 x real time")


def test_the_next_stage_may_begin_with_work_that_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 20.0, 30.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock))
    with output.progress_bar("reading", "clips") as bar:
        bar(100, 100, "decoded")
        bar(40, 60, "computed")  # 40 of the second stage were in the cache: there is no rate yet
        bar(50, 60, "computed")
    assert capsys.readouterr().err.splitlines() == [
        "reading 100 of 100 clips 10.0/s, 0 s left decoded",
        "reading 40 of 60 clips computed",
        "reading 50 of 60 clips 1.0/s, 10 s left computed",
    ]


def test_control_characters_of_what_is_printed_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("a\x1b[31mred\x07\u202e\tb\nc caf\udce9")
    output.warn("\x9b2J")
    printed = capsys.readouterr()
    assert printed.out == "a\\x1b[31mred\\x07\\u202e\tb\nc caf\\xe9\n"
    assert printed.err == "\\x9b2J\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "latin-1", "cp437", "utf-16-le"])
def test_json_is_valid_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"path": "/caf\udce9/\u96e8 \U0001f327 \u00fc \x1b.wav"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    output.prepare_streams()
    output.emit_json(value)
    output.say("\u96e8 \u00fc")
    stream.flush()
    line, text = stream.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    assert json.loads(line) == value
    assert "\n" not in text


HOSTILE = [b"plain rain.wav", "\u96e8 rain.wav".encode(), "rain \U0001f327.wav".encode(), b"rain caf\xe9.wav",
           b"two\nlines rain.wav", b"rain \x1b]0;owned\x07\x1b[2J.wav", "rain \u202egpj.wav".encode()]  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of sounds whose names no terminal shows as they are."""
    if sys.platform != "linux":
        pytest.skip("names of any bytes")
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "sounds").mkdir()
    for k, name in enumerate(HOSTILE):
        path = os.path.join(os.fsencode(folder / "sounds"), name)
        with open(path, "wb") as file, wave.open(file) as sound:
            sound.setparams((1, 2, 16000, 0, "NONE", ""))
            sound.writeframes(bytes([k, 3 * k, 7, 11]) * 8000)
    assert (
        main(["index", str(folder / "sounds"), "--collection", str(folder / "c"), "--model", "toy", "--workers", "1"])
        == 0
    )
    return folder / "c"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_hits_of_any_name_are_printed_on_one_line_each(hostile: Path, encoding: str) -> None:
    def run(*argv: str) -> list[str]:
        command = [sys.executable, "-m", "askaudio.cli", *argv, "--collection", str(hostile)]
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
        assert not set(done.stdout.replace(b"\n", b"")) & set(range(32)), done.stdout
        return done.stdout.decode(encoding).split("\n")[:-1]

    header, *lines = run("search", "rain", "--all-takes")
    assert header.split() == ["#", "match", "cosine", "best", "part", "file"]
    assert len(lines) == len(HOSTILE) and all("named rain" in line for line in lines)
    assert sum("two\\nlines" in line for line in lines) == 1
    assert len(run("collection", "list")) == len(HOSTILE)
    (found,) = run("search", "rain", "--all-takes", "--json")
    names = {os.fsencode(Path(hit["path"]).name) for hit in json.loads(found)}
    assert names == set(HOSTILE)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_bar_has_the_width_of_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with output.progress_bar("indexing", "files") as bar:
        bar(25, 100, "[red]a name\x1b[2J " + "x" * 300)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) == columns
    assert "\x1b[2J " not in stream.getvalue()
