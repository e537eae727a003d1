"""Texts of other programs: one function finds the encoding, one splits lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askaudio.core.errors import DataError
from askaudio.core.text import decode_text, non_blank_lines, parse_json, read_text, split_lines

NOT_LINE_ENDS = "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e"
TEXTS = [
    "the dog\u2019s bark",
    "Knarrende T\u00fcr, Gro\u00dfk\u00fcche",
    "\u20ac 5 \u2013 \u0160koda \u017e",
    "plain",
    "",
]
ENCODINGS = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "cp1252": b""}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings(text, encoding):
    assert decode_text(ENCODINGS[encoding] + text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["\u96e8 \U0001f327 \u0416", f"a{NOT_LINE_ENDS}b"])
def test_encodings_of_unicode(text, encoding):
    assert decode_text(ENCODINGS[encoding] + text.encode(encoding)) == text


@given(st.binary())
def test_bytes_never_become_replacement_or_control_characters(data):
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return
    text = decode_text(data)
    spelt = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "ignore")
    assert {char for char in text if char == "\ufffd" or "\x80" <= char <= "\x9f"} <= set(spelt)
    assert text.count("\n") == data.count(b"\n")


def test_undefined_bytes_of_cp1252_become_question_marks():
    assert decode_text(b"a\x81b\x8dc\x8fd\x90e\x9df\xe9") == "a?b?c?d?e?f\u00e9"


def test_a_file_put_together_from_two_encodings():
    data = "T\u00fcr\u2019s\r\n".encode() + "T\u00fcr\u2019s\r\n".encode("cp1252")
    assert split_lines(decode_text(data)) == ["T\u00fcr\u2019s", "T\u00fcr\u2019s"]


@pytest.mark.parametrize(
    ("text", "size", "kept"), [("Gro\u00dfk", 4, "Gro"), ("\u96e8\u96e8", 5, "\u96e8"), ("ab", 2, "ab")]
)
def test_a_cut_text_loses_only_the_cut_character(text, size, kept):
    assert decode_text(text.encode()[:size], cut=True) == kept


def test_a_cut_text_in_utf_16_and_in_cp1252():
    assert decode_text(b"\xff\xfe" + "ab".encode("utf-16-le")[:3], cut=True) == "a"
    assert decode_text("T\u00fcr und mehr".encode("cp1252"), cut=True) == "T\u00fcr und mehr"


def test_lines_end_at_newlines_only():
    text = "".join(f"{k}{char}{k}\r\n" for k, char in enumerate(NOT_LINE_ENDS))
    assert split_lines(text) == [f"{k}{char}{k}" for k, char in enumerate(NOT_LINE_ENDS)]
    assert split_lines("") == [] and split_lines("a") == ["a"] and split_lines("a\n\n") == ["a", ""]
    assert split_lines("a\rb\n") == ["a\rb"]
    assert non_blank_lines(" a \r\n \n\u2028\nb\u2028c\n") == ["a", "b\u2028c"]


def test_errors_name_the_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*gone\.txt: No such file"):
        read_text(tmp_path / "gone.txt")
    (tmp_path / "cut.txt").write_bytes(b"\xff\xfea")
    with pytest.raises(DataError, match=r"cut\.txt: not valid UTF-16 at byte 2 .*; save the text as UTF-8"):
        read_text(tmp_path / "cut.txt")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000, ""])
def test_json_that_cannot_be_parsed(text):
    with pytest.raises(DataError, match=r"^x\.json:3 is not valid JSON: "):
        parse_json(text, "x.json:3")
