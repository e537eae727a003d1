"""Names of files: one normal form, a readable form and a printable one."""

from __future__ import annotations

import os

import pytest

from askaudio.core.names import normal, readable, shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xe9", "café"),
        ("Tu\u0308r".encode(), "Tür"),
        ("T\u00fcr".encode(), "Tür"),
        ("がぎ".encode(), "がぎ"),
        (b"\xff\xfe\x80\x81", "ÿþ€"),
        (b"plain", "plain"),
    ],
)
def test_readable(name: bytes, text: str) -> None:
    assert readable(os.fsdecode(name)) == text


def test_normal_keeps_what_is_not_decomposed() -> None:
    assert normal("ﬁ ① Ａ") == "ﬁ ① Ａ"  # compatibility characters are different characters


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("two\nlines\t.wav", r"two\nlines\t.wav"),
        ("\x1b]0;title\x07.wav", r"\x1b]0;title\x07.wav"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202egpj", r"a\u202egpj"),
        ("\u2028", r"\u2028"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("Tür がぎ é", "Tür がぎ é"),
    ],
)
def test_shown(name: str, text: str) -> None:
    assert shown(name) == text
    shown(name).encode("utf-8")
