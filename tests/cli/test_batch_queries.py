"""``search --batch`` takes queries from files and pipes of any program: encodings, byte order marks, line ends."""

import io
import sys

import pytest

from askaudio.cli.search import _batch
from askaudio.core.errors import ConfigError

QUERIES = ["rain", "the dog\u2019s bark", "T\u00fcr"]
ENCODED = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "cp1252": lambda text: text.encode("cp1252"),
}


@pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED)
def test_queries_of_any_encoding(tmp_path, monkeypatch, encode):
    data = encode("\r\n".join([*QUERIES, " ", ""]))
    (tmp_path / "queries.txt").write_bytes(data)
    assert _batch(str(tmp_path / "queries.txt")) == QUERIES
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))
    assert _batch("-") == QUERIES


def test_a_query_may_contain_line_separators(tmp_path):
    (tmp_path / "queries.txt").write_text("rain\u2028roof\x0cwind\n", encoding="utf-8")
    assert _batch(str(tmp_path / "queries.txt")) == ["rain\u2028roof\x0cwind"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"--batch .*gone\.txt: cannot read .*; expected a text file"):
        _batch(str(tmp_path / "gone.txt"))
