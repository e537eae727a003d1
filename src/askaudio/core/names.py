"""Names of files as text: one normal form to compare them in, and a form that is safe to print.

The system stores a name as bytes. macOS decomposes letters (u + U+0308 for ü), old archives and disks hold names that
are not UTF-8, and any name may hold line breaks and terminal control sequences. A path is therefore kept as the system
gave it, and only texts that are made from it are changed.
"""

from __future__ import annotations

import re
import unicodedata

# C0 and C1 control characters, line separators, marks that reorder text, and bytes that are not UTF-8
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def normal(text: str) -> str:
    r"""The composed form (NFC), in which names, words and filter values are compared.

    Example:
        >>> normal("Tu\u0308r") == "T\u00fcr"
        True
    """
    return unicodedata.normalize("NFC", text)


def readable(name: str) -> str:
    r"""A name as ordinary text in the normal form; bytes that are not UTF-8 are read as cp1252.

    Example:
        >>> readable("caf\udce9") == "caf\u00e9"
        True
    """
    return normal(_SURROGATE.sub(_as_cp1252, name))


def shown(name: object) -> str:
    r"""A name in one line for a terminal: what would control the terminal, or is no text, is escaped.

    Example:
        >>> print(shown("two\nlines \x1b[31m caf\udce9"))
        two\nlines \x1b[31m caf\xe9
    """
    return _UNSAFE.sub(_escape, str(name))


def _as_cp1252(found: re.Match[str]) -> str:
    byte = ord(found[0]) - 0xDC00  # Python keeps byte 0xE9 of a name as U+DCE9
    return bytes([byte]).decode("cp1252", "ignore") if 0x80 <= byte <= 0xFF else ""


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(found[0])[1:-1]
