r"""Text files of other programs: encodings, lines, JSON.

A text is UTF-8 (a byte order mark is dropped), UTF-16 where it starts with the mark of that encoding, else cp1252, the
code page of western Windows. The choice between UTF-8 and cp1252 is made line by line, because files that were put
together from several sources hold both. Lines end at "\n" or "\r\n" only: ``str.splitlines`` also splits at
characters such as U+2028 and U+0085, which captions and JSON may contain.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SURROGATE = re.compile("[\ud800-\udfff]")
# cp1252 leaves five bytes undefined; "?" marks them, because control characters and U+FFFD would not be seen
_CP1252 = bytes(range(256)).decode("cp1252", "replace").replace("\ufffd", "?")


def decode_text(data: bytes, *, cut: bool = False) -> str:
    """Decode bytes of unknown encoding.

    Args:
        data: Bytes of a text.
        cut: The text may end in the middle of a character, because it was cut to a number of bytes. Such a character
            is dropped.

    Returns:
        The text. It contains no U+FFFD and no character from U+0080 to U+009F unless the file spells it in UTF-8 or
        UTF-16.

    Raises:
        DataError: The text starts as UTF-16 and is not.

    Example:
        >>> decode_text("the dog\u2019s bark".encode("cp1252")) == "the dog\u2019s bark"
        True
    """
    for mark, encoding in _UTF16.items():
        if data.startswith(mark):
            return _utf16(data[len(mark) :], encoding, cut)
    data = data.removeprefix(codecs.BOM_UTF8)
    if cut:
        data = _whole_characters(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(map(_line, data.split(b"\n")))


def _utf16(data: bytes, encoding: str, cut: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data, final=not cut)
    except UnicodeDecodeError as error:
        raise DataError(
            f"not valid UTF-16 at byte {error.start + 2} ({error.reason}); save the text as UTF-8"
        ) from error


def _whole_characters(data: bytes) -> bytes:
    """The bytes without an incomplete UTF-8 character at their end."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return data[: error.start]
    return data


def _line(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return codecs.charmap_decode(data, "strict", _CP1252)[0]


def read_text(path: Path | str) -> str:
    """Read a text file, see ``decode_text``; line ends are kept.

    Raises:
        DataError: The file does not exist, cannot be opened, or starts as UTF-16 and is not.
    """
    try:
        return decode_text(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def split_lines(text: str) -> list[str]:
    r"""Lines of a text, which end at "\n" or "\r\n", without their ends; no empty line after the last end.

    Example:
        >>> split_lines("rain\u2028on a roof\r\nwind\n") == ["rain\u2028on a roof", "wind"]
        True
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def non_blank_lines(text: str) -> list[str]:
    """The lines of a text that are not blank, without blanks around them."""
    return [line.strip() for line in split_lines(text) if line.strip()]


def json_line(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    r"""One line of JSON, with its line end, that can be written as UTF-8.

    Args:
        value: What ``json.dumps`` takes.
        default: Converts other objects, as in ``json.dumps``.

    Example:
        >>> print(json_line("caf\u00e9"), json_line("file \udcff"), end="")
        "caf\u00e9"
         "file \udcff"
    """
    line = json.dumps(value, ensure_ascii=False, default=default) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError:  # a lone surrogate, as in names of files that are not UTF-8: only escapes can hold it
        line = json.dumps(value, default=default) + "\n"
    return line


def bad_character(text: str) -> str:
    """What in a text no tokenizer takes: "a NUL character", "half of a surrogate pair", or "" for nothing."""
    if "\0" in text:
        return "a NUL character"
    return "half of a surrogate pair" if _SURROGATE.search(text) else ""


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Args:
        text: One JSON value.
        where: File, or file:line, for the message.

    Raises:
        DataError: The text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of more than 4,300 digits is a ValueError
        raise DataError(f"{where} is not valid JSON: {error}") from error
