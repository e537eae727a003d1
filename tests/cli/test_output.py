"""What a log sees of long work: a plain line now and then, nothing of short work."""

from __future__ import annotations

import pytest

from askaudio.cli import output


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
