"""Run and judgement files: every format round, every fault refused with its line."""

import json

import numpy as np
import pytest

from askaudio.core.errors import DataError
from askaudio.evaluation.evaluate import evaluate
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run
from askaudio.evaluation.run_files import read_embeddings, read_qrels, read_run, write_embeddings, write_run

LISTS = {"q0": {"a": 0.9, "b": 0.1}, "q1": {"b": 1 / 3, "c": -2e-8}}
RELEVANCE = Relevance.from_dict({"q0": ["a"], "q1": ["c"]}, ["a", "b", "c"])
FORMATS = ("trec", "run", "jsonl", "csv", "tsv", "parquet")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_run_comes_back_bit_for_bit(tmp_path, suffix):
    path = tmp_path / f"system.{suffix}"
    write_run(Run.from_dict(LISTS, "my system"), path)
    back = read_run(path, RELEVANCE)
    assert back.name == "system"
    assert back.top(5) == {q: {c: float(np.float32(s)) for c, s in row.items()} for q, row in LISTS.items()}
    assert evaluate(back, RELEVANCE)["t2a/MRR"] == 0.75


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_best_items_of_a_matrix_are_written(tmp_path, suffix, rng):
    scores = rng.normal(size=(4, 9)).astype(np.float32)
    run = Run.from_matrix(scores, [f"q{i}" for i in range(4)], [f"c{i}" for i in range(9)])
    write_run(run, tmp_path / f"r.{suffix}", depth=3)
    lists = read_run(tmp_path / f"r.{suffix}").top(9)
    for row, found in enumerate(lists.values()):
        assert list(found) == [f"c{i}" for i in np.argsort(-scores[row])[:3]]


def test_equal_scores_are_listed_by_smaller_id():
    run = Run.from_matrix([[1.0, 2.0, 2.0]], ["q"], ["a", "z", "m"])
    assert list(run.top(3)["q"]) == ["m", "z", "a"]


def test_ids_with_spaces_pass_in_jsonl_and_are_refused_in_trec(tmp_path):
    run = Run.from_dict({"Wind 01.wav#0": {"Wind 01.wav": 1.0}})
    write_run(run, tmp_path / "r.jsonl")
    assert read_run(tmp_path / "r.jsonl").query_ids == ("Wind 01.wav#0",)
    with pytest.raises(DataError, match="ids with spaces"):
        write_run(run, tmp_path / "r.trec")
    assert not (tmp_path / "r.trec").exists()


BAD_RUNS = {
    "columns.trec": ("q0 Q0 a 1 0.5 t\nq0 Q0 b 0.4 t\n", r"columns.trec:2: expected 6 columns"),
    "nan.trec": ("q0 Q0 a 1 0.5 t\nq0 Q0 b 2 nan t\n", r"nan.trec:2: score must be a finite number, got 'nan'"),
    "word.trec": ("q0 Q0 a 1 high t\n", r"word.trec:1: score must be a finite number, got 'high'"),
    "twice.trec": ("q0 Q0 a 1 0.5 t\nq1 Q0 a 1 0.5 t\nq0 Q0 a 2 0.4 t\n", r"twice.trec:3: .*'a' already in line 1"),
    "clip.trec": ("q0 Q0 a 1 0.5 t\nq0 Q0 zz 2 0.4 t\n", r"clip.trec:2: clip 'zz' is not in the data"),
    "query.trec": ("q0 Q0 a 1 0.5 t\nq9 Q0 a 2 0.4 t\n", r"query.trec:2: query 'q9' is not in the data"),
    "empty.trec": ("\n\n", r"has no rows"),
    "header.csv": ("query,clip,score\nq0,a,1\n", r"header.csv:1: column 'query_id' is missing"),
    "short.csv": ("query_id,clip_id,score\nq0,a\n", r"short.csv:2: expected 3 columns, got 2"),
    "inf.csv": ("query_id,clip_id,score\nq0,a,inf\n", r"inf.csv:2: score must be a finite"),
    "hole.tsv": ("query_id\tclip_id\tscore\nq0\ta\t\n", r"hole.tsv:2: score must be a finite"),
    "text.jsonl": ("nonsense\n", r"text.jsonl:1: not valid JSON"),
    "list.jsonl": ("[1, 2]\n", r"list.jsonl:1: expected"),
    "field.jsonl": ('{"query_id": "q0", "clip_id": "a"}\n', r"field.jsonl:1: expected"),
    "nan.jsonl": ('{"query_id": "q0", "scores": {"a": NaN}}\n', r"nan.jsonl:1: score must be"),
    "bool.jsonl": ('{"query_id": "q0", "scores": {"a": true}}\n', r"bool.jsonl:1: score must be"),
    "again.jsonl": ('{"query_id": "q0", "scores": {"a": 1, "a": 2}}\n', r"again.jsonl:1: .*'a' occurs twice"),
    "rows.jsonl": (
        '{"query_id": "q0", "scores": {"a": 1}}\n{"query_id": "q0", "scores": {"a": 2}}\n',
        r"rows.jsonl:2: .* already in line 1",
    ),
    "ids.jsonl": ('{"query_id": "q0", "scores": ["a"]}\n', r"ids.jsonl:1: .*a run needs a score each"),
    "kind.xlsx": ("", r"unknown format"),
}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_a_bad_run_is_refused_with_its_line(tmp_path, name):
    text, message = BAD_RUNS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / name, RELEVANCE)


def test_a_missing_file_a_folder_and_another_encoding_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_run(tmp_path / "no.trec")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_run(tmp_path / "folder.csv")
    (tmp_path / "latin.csv").write_bytes("query_id,clip_id,score\nq0,caf\xe9,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_run(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query_id": ["q0"], "clip_id": ["a"]}, "column 'score' is missing"),
        ({"query_id": ["q0"], "clip_id": [3], "score": [0.1]}, "ids must be text"),
        ({"query_id": ["q0", "q0"], "clip_id": ["a", "b"], "score": [0.1, None]}, ":2: score must be"),
        ({"query_id": ["q0", "q0"], "clip_id": ["a", "a"], "score": [0.1, 0.2]}, ":2: .* already in line 1"),
    ],
)
def test_a_bad_parquet_run_is_refused(tmp_path, columns, message):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), tmp_path / "r.parquet")
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "r.parquet")


def test_a_text_file_called_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "r.parquet").write_text("query_id,clip_id,score\n")
    with pytest.raises(DataError, match="not a parquet file"):
        read_run(tmp_path / "r.parquet")


def test_both_json_forms_and_an_empty_list_are_read(tmp_path):
    rows = [
        {"query_id": "q0", "clip_id": "a", "score": 1},
        {"query_id": "q0", "clip_id": "b", "score": 0.5},
        {"query_id": "q1", "scores": {}},
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    run = read_run(tmp_path / "r.jsonl", RELEVANCE)
    assert run.top(3) == {"q0": {"a": 1.0, "b": 0.5}, "q1": {}}
    report = evaluate(run, RELEVANCE)
    assert report.per_query("t2a/R@10").tolist() == [1.0, 0.0]
    assert not report.warnings


def test_a_query_without_a_row_counts_as_a_miss_and_is_told():
    report = evaluate(Run.from_dict({"q0": {"a": 1.0}}), RELEVANCE)
    assert report["t2a/R@10"] == 0.5
    assert report["t2a/MeanR"] == 2.0  # rank 1 and last place of three
    assert "1 of 2 t2a queries have no row in the run" in report.warnings[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("j.qrels", "q0 0 a 1\nq0 0 b 0\nq1 0 c 1\n"),
        ("j.csv", "query_id,clip_id,grade\nq0,a,1\nq1,c,1\n"),
        ("j.jsonl", '{"query_id": "q0", "relevant": ["a"]}\n{"query_id": "q1", "relevant": {"c": 1}}\n'),
    ],
)
def test_judgements_are_read_from_every_format(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = read_qrels(tmp_path / name, ["a", "b", "c"])
    assert found.fingerprint == RELEVANCE.fingerprint
    assert found.kind == "given"


def test_graded_judgements(tmp_path):
    (tmp_path / "j.csv").write_text("query_id,clip_id,grade\nq0,a,80\nq0,b,20.5\n")
    found = read_qrels(tmp_path / "j.csv")
    assert found.kind == "graded"
    assert found.relevant("q0") == {"a": 80.0, "b": 20.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q0 0 a 101\n", ":1: a grade must be between 0 and 100, got 101"),
        ("q0 0 a 1\nq0 0 b -1\n", ":2: a grade must be"),
        ("q0 0 a 0\n", "have no relevant item"),
        ("q0 0 zz 1\n", ":1: clip 'zz' is not in the data"),
        ("q0 0 a 1 x\n", "expected 4 columns"),
    ],
)
def test_bad_judgements_are_refused_with_their_line(tmp_path, text, message):
    (tmp_path / "j.qrels").write_text(text)
    with pytest.raises(DataError, match=message):
        read_qrels(tmp_path / "j.qrels", ["a", "b"])


def test_embeddings_come_back(tmp_path, rng):
    rows = rng.normal(size=(3, 4)).astype(np.float32)
    write_embeddings(tmp_path / "e.npz", ["a", "b", "ü"], rows)
    ids, back = read_embeddings(tmp_path / "e.npz")
    assert ids == ("a", "b", "ü")
    assert np.array_equal(back, rows)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": np.array(["a"])}, "does not contain plain arrays"),
        ({"ids": np.array(["a", "a"]), "embeddings": np.ones((2, 3))}, "id 'a' occurs twice"),
        ({"ids": np.array(["a"]), "embeddings": np.ones((2, 3))}, "got ids"),
        ({"ids": np.array([1, 2]), "embeddings": np.ones((2, 3))}, "got ids"),
        ({"ids": np.array(["a"]), "embeddings": np.array([[1.0, np.nan]])}, "'a' is not finite"),
        ({"ids": np.array(["a"], dtype=object), "embeddings": np.ones((1, 3))}, "does not contain plain arrays"),
    ],
)
def test_bad_embedding_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_embeddings(tmp_path / "e.npz")


def test_no_embedding_file_and_a_text_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_embeddings(tmp_path / "e.npz")
    (tmp_path / "e.npz").write_text("ids")
    with pytest.raises(DataError, match="does not contain plain arrays"):
        read_embeddings(tmp_path / "e.npz")


def test_a_run_of_other_ids_or_with_a_hole_does_not_fit():
    with pytest.raises(DataError, match="query 'qx' is not in the data"):
        Run.from_dict({"qx": {"a": 1.0}}).aligned(RELEVANCE)
    with pytest.raises(DataError, match="gallery item 'x' is not in the data"):
        Run.from_dict({"q0": {"x": 1.0}}).aligned(RELEVANCE)
    with pytest.raises(DataError, match=r"1 items of the gallery have no column \(first: c\)"):
        Run.from_matrix(np.ones((2, 2)), ["q0", "q1"], ["a", "b"]).aligned(RELEVANCE)
    with pytest.raises(DataError, match="scores have shape"):
        Run.from_matrix(np.ones((2, 2)), ["q0"], ["a", "b"])


def test_ranked_lists_cannot_be_transposed():
    with pytest.raises(DataError, match="do not determine the ranking of texts"):
        evaluate(Run.from_dict(LISTS), RELEVANCE, directions=("t2a", "a2t"))


def test_a_byte_order_mark_is_not_part_of_the_first_id(tmp_path):
    for name, text in (
        ("r.trec", "q1 Q0 c1 1 0.5 x\n"),
        ("r.jsonl", '{"query_id": "q1", "scores": {"c1": 0.5}}\n'),
        ("r.csv", "query_id,clip_id,score\nq1,c1,0.5\n"),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert list(read_run(tmp_path / name).query_ids) == ["q1"], name
