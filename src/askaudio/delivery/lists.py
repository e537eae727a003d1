"""Lists of a selection: M3U, CSV, TSV, JSON, and the text of the credits.

Every writer takes the selection and a function that names the file of a sound, as the list is to refer to it: the
original, or its copy beside the list. They return bytes, because names of files may hold bytes that are not UTF-8.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import quote

from askaudio.core.names import shown
from askaudio.delivery.items import Selection, Taken

FileOf: TypeAlias = Callable[[Taken], str]
COLUMNS = (
    "number", "file", "title", "author", "licence", "licence_url", "commercial", "source", "start_s", "end_s",
    "duration_s", "sample_rate_hz", "channels", "format", "tags", "note", "clip_id", "path",
)  # fmt: skip
_FORMULA = re.compile(r"[=+@\t\r-]")


def rows(selection: Selection, file_of: FileOf) -> list[dict[str, Any]]:
    """One row a sound, with the fields of ``COLUMNS``; None where something is not known.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
    """
    found = []
    for number, one in enumerate(selection.taken, start=1):
        facts = {name: one.metadata.get(name) for name in ("duration_s", "sample_rate_hz", "channels", "format")}
        tags = one.metadata.get("tags") or []
        own = {"number": number, "file": file_of(one), "start_s": one.start_s, "end_s": one.end_s, "note": one.note}
        ids = {"clip_id": one.clip_id, "path": one.path, "tags": "; ".join(map(str, tags))}
        row = {**own, **one.credit.to_json(), **facts, **ids}
        found.append({name: row[name] for name in COLUMNS})
    return found


def as_csv(selection: Selection, file_of: FileOf, delimiter: str = ",") -> bytes:
    """A table in UTF-8, with a header. Texts that a spreadsheet would run as formulas begin with an apostrophe.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
        delimiter: Between the fields; a tab for TSV.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=delimiter, lineterminator="\r\n" if delimiter == "," else "\n")
    table.writerow(COLUMNS)
    table.writerows([_cell(value) for value in row.values()] for row in rows(selection, file_of))
    return text.getvalue().encode("utf-8", "surrogateescape")


def as_tsv(selection: Selection, file_of: FileOf) -> bytes:
    """The table of ``as_csv`` with tabs between the fields."""
    return as_csv(selection, file_of, "\t")


def as_json(selection: Selection, file_of: FileOf) -> bytes:
    """An object with the rows, and what was left out with the reasons."""
    value = {"sounds": rows(selection, file_of), "left_out": [one.to_json() for one in selection.left]}
    return (json.dumps(value, indent=2) + "\n").encode()  # ASCII: names that are not UTF-8 are escapes


def as_m3u(selection: Selection, file_of: FileOf) -> bytes:
    """An extended playlist (M3U8). Players that know VLC's options play only the part of a sound that was taken."""
    lines = ["#EXTM3U"]
    for one in selection.taken:
        file, credit = file_of(one), one.credit
        name = f"{credit.author} - {credit.title}" if credit.author else credit.title
        lines.append(f"#EXTINF:{max(1, round(one.length_s))},{_line(name)}")
        if one.start_s is not None and one.end_s is not None and file == one.path:
            lines.append(f"#EXTVLCOPT:start-time={one.start_s:.3f}")
            lines.append(f"#EXTVLCOPT:stop-time={one.end_s:.3f}")
        lines.append(_playable(file))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def credits_text(selection: Selection) -> str:
    """The credits as people read them: one line a work, grouped by what is known of its licence."""
    known = [one for one in selection.taken if one.credit.licence.name]
    unknown = [one for one in selection.taken if not one.credit.licence.name]
    blocks = ["Credits", "\n".join(dict.fromkeys(map(_credit_line, known)))]
    if unknown:
        blocks += ["No licence is known for:", "\n".join(dict.fromkeys(map(_credit_line, unknown)))]
    warnings = [
        f"{one.credit.title}: {one.credit.licence.name} does not allow changes, such as cutting and mixing"
        for one in known
        if not one.credit.licence.derivatives
    ] + [
        f"{one.credit.title}: {one.credit.licence.name} does not allow commercial use"
        for one in known
        if one.credit.licence.commercial is False
    ]
    if warnings:
        blocks += ["Note:", "\n".join(dict.fromkeys(shown(line) for line in warnings))]
    if selection.left:
        left = [f"{shown(os.path.basename(one.path) or one.clip_id)}: {shown(one.reason)}" for one in selection.left]
        blocks += ["Left out:", "\n".join(dict.fromkeys(left))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _credit_line(one: Taken) -> str:
    credit = one.credit
    text = f'"{credit.title}"' + (f" by {credit.author}" if credit.author else "")
    if credit.licence.name:
        text += f", {credit.licence.name}" + (f" ({credit.licence.url})" if credit.licence.url else "")
    if credit.source:
        text += f". Source: {credit.source}"
    if one.is_part:
        text += f". Changed: cut to {one.start_s:.2f}-{one.end_s:.2f} s"
    return shown(text)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        text = " ".join(value.split("\n")).replace("\r", " ")
        return f"'{text}" if _FORMULA.match(text) else text
    return value


def _line(text: str) -> str:
    return " ".join(shown(text).split())


def _playable(file: str) -> str:
    """A line that a player takes for a path, whatever is in the name."""
    if file.startswith("#") or not file.isprintable():
        raw = file.encode("utf-8", "surrogateescape")
        return f"file://{quote(raw)}" if os.path.isabs(file) else quote(raw)
    return file
