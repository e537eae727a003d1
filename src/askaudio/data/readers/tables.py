"""Caption tables (CSV, TSV, JSON lines) as rows with line numbers; rows that do not fit their header become faults.

Every line of a table is in a row or in a fault. The encoding is found by ``core.text``. The whole table is held in
memory: 50,000 rows of captions take about 20 MB.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.text import read_text, split_lines
from askaudio.core.types import Split
from askaudio.data.readers.audio_files import is_audio
from askaudio.data.summary import Fault

OPEN_QUOTE = "quote not closed"
_SHOWN = 80  # characters of a line in a message


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


@dataclass(frozen=True, slots=True)
class _Record:
    """One record of a CSV file: the number of its first line, its fields, and its lines as they are in the file."""

    number: int
    fields: list[str]
    lines: tuple[str, ...]


def read_csv(path: Path | str, split: Split | None = None) -> Table:
    """Read a CSV or TSV file with a header.

    A row with too few or too many fields is left out and becomes a fault. So does a row with a quote that is not
    closed, and every line that this quote swallows. A row of one field is taken as the end of a caption with an
    unquoted line break (three rows of the first AudioCaps 2.0 train.csv): it is appended to the last field of the row
    before it, and counted as a "broken line".

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
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: not a text table: it contains NUL bytes; expected a CSV file in UTF-8")
    delimiter = _delimiter(path, text.split("\n", 1)[0])
    records = list(_records(path, text, delimiter))
    if not records:
        raise DataError(f"{path} is empty; expected a header line and rows")
    columns = tuple(name.strip() for name in records[0].fields)
    if fault := _quote_fault(path, records[0], delimiter, len(columns), None):
        raise DataError(f"{fault.where}: {fault.what}; expected the names of the columns")
    if len(set(columns)) < len(columns):
        raise DataError(f"{path}:1: a column name occurs twice in the header: {', '.join(columns)}")
    return _fit_rows(path, columns, records[1:], delimiter, split)


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t", key=header.count)


def _records(path: Path, text: str, delimiter: str) -> Iterator[_Record]:
    """The records of a CSV; a record has several lines where a quoted field contains line ends."""
    lines: list[str] = []

    def recorded() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):  # ends at "\n", "\r\n" and "\r", as CSV does
            lines.append(line)
            yield line

    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # an open quote makes a field of the rest of the file
    reader = csv.reader(recorded(), delimiter=delimiter)
    number = 1
    try:
        for fields in reader:
            yield _Record(number, fields, tuple(lines))
            number += len(lines)
            lines.clear()
    except csv.Error as error:
        raise DataError(f"{path}:{number}: not valid CSV ({error})") from error


def _quote_fault(path: Path, record: _Record, delimiter: str, n_columns: int, split: Split | None) -> Fault | None:
    """The fault of a record whose quotes are wrong.

    The reader is not strict: after a quote that is never closed it takes the rest of the file as one field, and after
    one that the opening quote of a later row closes it takes the rows between them. The strict reader refuses both.
    Where the last quote of a later caption closes it, the record is valid, and only its lines give it away.
    """
    if not any('"' in line for line in record.lines):
        return None
    where, n_lost = f"{path}:{record.number}", len(record.lines) - 1
    try:
        list(csv.reader(record.lines, delimiter=delimiter, strict=True))
        if not any(_is_row(line, delimiter, n_columns) for line in record.lines[1:]):
            return None
    except csv.Error:
        if not n_lost and record.lines[0].count('"') % 2 == 0:
            what = f"text after a closing quote: {record.lines[0].strip()[:_SHOWN]!r}"
            return Fault("text after a quote", where, what, "warning", split)
    what = f"the quote that opens there is not closed, {n_lost} {'line' if n_lost == 1 else 'lines'} swallowed"
    return Fault(OPEN_QUOTE, where, what, split=split)


def _is_row(line: str, delimiter: str, n_columns: int) -> bool:
    """Whether a line inside a quoted field is a row itself: as many fields as the header, one of them an audio file."""
    fields = next(csv.reader([line], delimiter=delimiter), [])
    return len(fields) == n_columns and any(is_audio(field.strip()) for field in fields)


def _fit_rows(
    path: Path, columns: tuple[str, ...], records: list[_Record], delimiter: str, split: Split | None
) -> Table:
    rows: list[Row] = []
    faults: list[Fault] = []
    for record in records:
        where, fields = f"{path}:{record.number}", record.fields
        if not any(field.strip() for field in fields):
            continue
        fault = _quote_fault(path, record, delimiter, len(columns), split)
        if fault is not None:
            faults.append(fault)
        if fault is not None and fault.level == "error":
            faults += _swallowed(path, record, split)
        elif len(fields) == 1 < len(columns) and rows and not is_audio(fields[0].strip()):
            last = rows[-1].values
            last[columns[-1]] = f"{last[columns[-1]].rstrip()} {fields[0].strip()}"
            faults.append(Fault("broken line", where, f"joined to the one before it: {fields[0]!r}", "warning", split))
        elif len(fields) != len(columns):
            n = len(fields)
            what = f"{n} {'field' if n == 1 else 'fields'} where the header has {len(columns)}"
            faults.append(Fault("wrong number of fields", where, what, split=split))
        else:
            rows.append(Row(where, dict(zip(columns, fields, strict=True))))
    return Table(columns, tuple(rows), tuple(faults))


def _swallowed(path: Path, record: _Record, split: Split | None) -> Iterator[Fault]:
    for number, line in enumerate(record.lines[1:], start=record.number + 1):
        if line.strip():
            what = f"swallowed by the quote that opens in line {record.number}: {line.strip()[:_SHOWN]!r}"
            yield Fault("inside an open quote", f"{path}:{number}", what, split=split)


def read_jsonl(path: Path | str) -> Table:
    """Read JSON lines, one object a line; any other line becomes a fault.

    Raises:
        DataError: The file is missing or no line of it is a JSON object.
    """
    path = Path(path)
    rows: list[Row] = []
    faults: list[Fault] = []
    for number, line in enumerate(split_lines(read_text(path)), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
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
