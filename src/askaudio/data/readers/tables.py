"""Caption tables (CSV, TSV, JSON lines) as rows with line numbers; rows that do not fit their header become faults.

Text is UTF-8, with or without a byte order mark; a file that is not falls back to ISO-8859-1, which Clotho's metadata
needs. The whole table is held in memory: 50,000 rows of captions take about 20 MB.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.types import Split
from askaudio.data.summary import Fault

# names of the three splits in different corpora
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "development": "train", "dev": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "evaluation": "test", "eval": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``where`` is file:line, ``values`` maps column to value."""

    where: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows that fit the header, and the faults of those that do not."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()


def split_of(name: str, where: str) -> Split:
    """Translate a corpus's name of a split ("development", "valid", "eval" ...) to train, val or test.

    Raises:
        DataError: Unknown name.
    """
    try:
        return SPLIT_NAMES[name.strip().lower()]
    except KeyError:
        raise DataError(f"{where}: split {name!r} is none of {', '.join(SPLIT_NAMES)}") from None


def read_text(path: Path) -> str:
    """Read a text file as UTF-8, else as ISO-8859-1.

    Raises:
        DataError: The file does not exist or cannot be opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("iso-8859-1")


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t", key=header.count)


def read_csv(path: Path | str, split: Split | None = None) -> Table:
    """Read a CSV or TSV file with a header.

    A row with too few or too many fields is left out and becomes a fault. A row of one field is taken as the end of a
    caption with an unquoted line break (three rows of the first AudioCaps 2.0 train.csv): it is appended to the last
    field of the row before it, and counted as a "broken line".

    Args:
        path: The file; the separator (comma, semicolon, tab) is taken from its first line.
        split: Split of the rows, recorded in the faults.

    Returns:
        The table.

    Raises:
        DataError: The file is missing, empty, or not a CSV at all.
    """
    path = Path(path)
    text = read_text(path)
    if "\0" in text:
        raise DataError(f"{path} is not a text table: it contains NUL bytes; expected a CSV file in UTF-8")
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(path, header))
    try:
        lines = [(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV ({error})") from error
    if not lines:
        raise DataError(f"{path} is empty; expected a header line and rows")
    columns = tuple(name.strip() for name in lines[0][1])
    if len(set(columns)) < len(columns):
        raise DataError(f"{path}:1: a column name occurs twice in the header: {', '.join(columns)}")
    return _fit_rows(path, columns, lines[1:], split)


def _fit_rows(path: Path, columns: tuple[str, ...], lines: list[tuple[int, list[str]]], split: Split | None) -> Table:
    rows: list[Row] = []
    faults: list[Fault] = []
    for number, fields in lines:
        where = f"{path}:{number}"
        if not any(field.strip() for field in fields):
            continue
        if len(fields) == 1 < len(columns) and rows:
            last = rows[-1].values
            last[columns[-1]] = f"{last[columns[-1]].rstrip()} {fields[0].strip()}"
            faults.append(Fault("broken line", where, f"joined to the one before it: {fields[0]!r}", "warning", split))
        elif len(fields) != len(columns):
            what = f"{len(fields)} fields where the header has {len(columns)}"
            faults.append(Fault("wrong number of fields", where, what, split=split))
        else:
            rows.append(Row(where, dict(zip(columns, fields, strict=True))))
    return Table(columns, tuple(rows), tuple(faults))


def read_jsonl(path: Path | str) -> Table:
    """Read JSON lines, one object a line; any other line becomes a fault.

    Raises:
        DataError: The file is missing or no line of it is a JSON object.
    """
    path = Path(path)
    rows: list[Row] = []
    faults: list[Fault] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            faults.append(Fault("not JSON", where, str(error)))
            continue
        if isinstance(value, dict):
            rows.append(Row(where, value))
        else:
            faults.append(Fault("not an object", where, f"expected a JSON object, got {type(value).__name__}"))
    if not rows:
        raise DataError(f"{path}: no line is a JSON object; expected one clip a line")
    columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return Table(columns, tuple(rows), tuple(faults))
