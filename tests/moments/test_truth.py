"""Readers of moments and of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from askaudio.core.errors import DataError
from askaudio.moments.moment import Moment
from askaudio.moments.run_files import read_moment_run, write_moment_run
from askaudio.moments.truth import MomentQuery, read_truth, write_truth

CASTELLA = Path(__file__).resolve().parents[3] / "shared/data/captions/castella"
ROW = {"qid": 7, "query": "a dog", "vid": "yard", "duration": 60.0, "relevant_windows": [[20, 21], [3.5, 4]]}


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_dcase_rows_are_read_and_written(tmp_path: Path) -> None:
    queries = read_truth(write_lines(tmp_path / "a.jsonl", {**ROW, "level_db": -5}))
    assert queries == (MomentQuery("7", "a dog", "yard", 60.0, (Moment(3.5, 4), Moment(20, 21)), {"level_db": -5}),)
    write_truth(queries, tmp_path / "b.jsonl")
    assert read_truth(tmp_path / "b.jsonl") == queries


def test_castella_rows_are_read(tmp_path: Path) -> None:
    moments = [{"local_caption": "a horn", "timestamps": [[5, 6], [1, 2]]}]
    path = tmp_path / "test.json"
    path.write_text(json.dumps([{"yid": "x", "duration": 9, "moments": moments}]))
    assert read_truth(path) == (MomentQuery("x#0", "a horn", "x", 9.0, (Moment(1, 2), Moment(5, 6))),)


@pytest.mark.skipif(not CASTELLA.is_dir(), reason="CASTELLA's files are not beside the repository")
def test_castella_has_its_published_counts() -> None:
    found = {split: read_truth(CASTELLA / f"en/{split}.json") for split in ("train", "val", "test")}
    assert {split: len(queries) for split, queries in found.items()} == {"train": 2182, "val": 352, "test": 1347}
    assert len({q.recording for q in found["test"]}) == 566  # 74 have no moment


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**ROW, "relevant_windows": []}, "no moments"),
        ({**ROW, "relevant_windows": [[5, 4]]}, "after the start"),
        ({**ROW, "relevant_windows": [[61, 70]]}, "outside of 0-60"),
        ({**ROW, "relevant_windows": [["a", 4]]}, "in seconds"),
        ({**ROW, "duration": "long"}, "duration"),
        ({"qid": 7}, "relevant_windows missing"),
    ],
)
def test_faulty_rows_are_named(tmp_path: Path, row: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.jsonl:1: .*{words}"):
        read_truth(write_lines(tmp_path / "a.jsonl", row))


def test_faults_of_published_files_are_corrected(tmp_path: Path) -> None:
    row = {**ROW, "relevant_windows": [[5, 5], [59, 4800], [58, 61]]}
    (query,) = read_truth(write_lines(tmp_path / "a.jsonl", row))
    assert query.moments == (Moment(5, 6), Moment(58, 61), Moment(59, 60))


def test_an_id_may_occur_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'7' occurs twice"):
        read_truth(write_lines(tmp_path / "a.jsonl", ROW, ROW))


def test_a_run_is_read_best_first(tmp_path: Path) -> None:
    queries = read_truth(write_lines(tmp_path / "a.jsonl", ROW))
    path = write_lines(tmp_path / "run.jsonl", {"qid": 7, "pred_relevant_windows": [[1, 2, 0.1], [5, 6, 0.9]]})
    run = read_moment_run(path, queries)
    assert run == {"7": (Moment(5, 6, 0.9), Moment(1, 2, 0.1))}
    write_moment_run(run, queries, tmp_path / "again.jsonl")
    assert read_moment_run(tmp_path / "again.jsonl") == run


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"qid": 8, "pred_relevant_windows": []}, "'8' is not among the 1 queries"),
        ({"qid": 7, "pred_relevant_windows": [[1, 2]]}, r"expected \[start, end, score\]"),
        ({"qid": 7, "pred_relevant_windows": [[1, 2, float("nan")]]}, "not finite"),
        ({"qid": 7}, "expected qid and pred_relevant_windows"),
    ],
)
def test_faulty_runs_are_named(tmp_path: Path, row: dict[str, object], words: str) -> None:
    queries = read_truth(write_lines(tmp_path / "a.jsonl", ROW))
    with pytest.raises(DataError, match=rf"run\.jsonl:1: .*{words}"):
        read_moment_run(write_lines(tmp_path / "run.jsonl", row), queries)
