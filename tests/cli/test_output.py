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
