"""The command ``askaudio moments``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from askaudio.cli import main

TRUTH = {"qid": 1, "query": "a dog", "vid": "yard", "duration": 60.0, "relevant_windows": [[10, 14]], "level_db": 0.0}


def write(path: Path, row: dict[str, object]) -> str:
    path.write_text(json.dumps(row) + "\n")
    return str(path)


def test_a_run_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "truth.jsonl", TRUTH)
    run = write(tmp_path / "run.jsonl", {"qid": "1", "pred_relevant_windows": [[11, 14, 0.9]]})
    assert main(["moments", "evaluate", run, "--truth", truth, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["figures"]["mIoU"]["mean"] == 0.75 and report["groups"]["+0 dB"]["queries"] == 1
    assert main(["moments", "evaluate", run, "--truth", truth, "--metrics", "R1@0.8,pointing"]) == 0
    out = capsys.readouterr().out
    assert "R1@0.8       0.0" in out and "pointing   100.0" in out


def test_unknown_metrics_and_faulty_files_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "truth.jsonl", TRUTH)
    run = write(tmp_path / "run.jsonl", {"qid": "2", "pred_relevant_windows": []})
    assert main(["moments", "evaluate", run, "--truth", truth]) == 2
    assert "run.jsonl:1: the query id '2' is not among the 1 queries" in capsys.readouterr().err
    assert main(["moments", "evaluate", truth, "--truth", truth, "--metrics", "R5"]) == 2
