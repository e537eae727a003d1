"""Rows of run and judgement files: (line, query_id, clip_id, value) from TREC, JSON lines, CSV, TSV and parquet.

The readers are strict, because a file that is read only in part gives wrong numbers. Every error names file and line
and the expected form.
"""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.extras import require
from askaudio.core.types import IntArray

# clip_id None: a query with an empty list
Row: TypeAlias = tuple[int, str, str | None, float]
SUFFIXES = {
    ".trec": "trec", ".run": "trec", ".txt": "trec", ".qrels": "trec",
    ".jsonl": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet",
}  # fmt: skip
TREC = {"score": "query_id Q0 clip_id rank score tag", "grade": "query_id 0 clip_id grade"}
NESTED = {"score": "scores", "grade": "relevant"}


def file_format(path: Path) -> str:
    """``trec``, ``jsonl``, ``csv`` or ``parquet`` by the file's suffix.

    Raises:
        DataError: Another suffix.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise DataError(f"{path}: unknown format; the file name must end in one of {', '.join(SUFFIXES)}") from None


def read_rows(path: Path, value: str) -> Iterator[Row]:
    """Rows of a file.

    Args:
        path: File; its suffix determines the format.
        value: Name of the number column: ``score`` in a run, ``grade`` in judgements.

    Raises:
        DataError: The file is missing, or a row is malformed (with its line).
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist (or is a folder)")
    reader = {"trec": _trec, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[file_format(path)]
    try:
        yield from reader(path, value)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error}); convert it with: iconv -t UTF-8") from error


def _trec(path: Path, value: str) -> Iterator[Row]:
    expected = TREC[value].split()
    clip, number = expected.index("clip_id"), expected.index(value)
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            parts = text.split()
            if not parts:
                continue
            if len(parts) != len(expected):
                raise DataError(
                    f"{path}:{line}: expected {len(expected)} columns '{TREC[value]}', got {len(parts)}; "
                    "ids with spaces cannot be written as TREC; use JSON lines or CSV"
                )
            yield line, parts[0], parts[clip], _number(parts[number], value, path, line)


def _csv(path: Path, value: str) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        header = next(rows, [])
        _check_columns(header, value, f"{path}:1")
        query, clip, number = (header.index(c) for c in ("query_id", "clip_id", value))
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(f"{path}:{rows.line_num}: expected {len(header)} columns, got {len(row)}")
            yield rows.line_num, row[query], row[clip], _number(row[number], value, path, rows.line_num)


def _jsonl(path: Path, value: str) -> Iterator[Row]:
    nested = NESTED[value]
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text, object_pairs_hook=_no_repeats)
            except (json.JSONDecodeError, DataError) as error:
                raise DataError(f"{path}:{line}: not valid JSON ({error})") from error
            if isinstance(row, dict) and isinstance(row.get("query_id"), str):
                if isinstance(row.get(nested), dict | list):
                    yield from _nested(row, row[nested], value, path, line)
                    continue
                if isinstance(row.get("clip_id"), str) and value in row:
                    yield line, row["query_id"], row["clip_id"], _number(row[value], value, path, line)
                    continue
            raise DataError(
                f'{path}:{line}: expected {{"query_id": "...", "{nested}": {{"clip_id": {value}, ...}}}} '
                f"or the fields query_id, clip_id and {value}, got {text.strip()[:80]}"
            )


def _nested(row: dict[str, Any], listed: Any, value: str, path: Path, line: int) -> Iterator[Row]:
    if isinstance(listed, list):
        if value == "score" or not all(isinstance(c, str) for c in listed):
            raise DataError(f"{path}:{line}: a list of ids is read in judgements only; a run needs a {value} each")
        listed = (
            dict.fromkeys(listed, 1.0) if len(set(listed)) == len(listed) else _no_repeats([(c, 1) for c in listed])
        )
    if not listed:
        yield line, row["query_id"], None, 0.0
    for clip, number in listed.items():
        yield line, row["query_id"], clip, _number(number, value, path, line)


def _parquet(path: Path, value: str) -> Iterator[Row]:
    parquet, arrow = require("pyarrow.parquet", "parquet"), require("pyarrow", "parquet")
    try:
        table = parquet.read_table(path)
    except arrow.ArrowException as error:
        raise DataError(f"{path} is not a parquet file ({error})") from error
    _check_columns(table.column_names, value, str(path))
    columns = [table.column(c).to_pylist() for c in ("query_id", "clip_id", value)]
    for line, (query, clip, number) in enumerate(zip(*columns, strict=True), start=1):
        if not isinstance(query, str) or not isinstance(clip, str):
            raise DataError(f"{path}:{line} (row): ids must be text, got {query!r} and {clip!r}")
        yield line, query, clip, _number(number, value, path, line)


def _check_columns(header: Iterable[str], value: str, where: str) -> None:
    missing = [c for c in ("query_id", "clip_id", value) if c not in list(header)]
    if missing:
        raise DataError(
            f"{where}: column {missing[0]!r} is missing; the columns must be query_id, clip_id, {value}, "
            f"got {', '.join(header) or 'none'}"
        )


def _number(text: Any, value: str, path: Path, line: int) -> float:
    try:
        number = float(text) if not isinstance(text, bool) else float("nan")
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise DataError(
            f"{path}:{line}: {value} must be a finite number, got {text!r}; leave out pairs without a score"
        )
    return number


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in pairs:
        if key in found:
            raise DataError(f"{key!r} occurs twice in one object")
        found[key] = item
    return found


@dataclass
class Rows:
    """Rows as arrays of 32 bytes a row: a full 5,225 x 1,045 run takes 175 MB instead of gigabytes of dicts."""

    path: Path
    query_of: dict[str, int] = field(default_factory=dict)
    clip_of: dict[str, int] = field(default_factory=dict)
    lines: array[int] = field(default_factory=lambda: array("q"))
    queries: array[int] = field(default_factory=lambda: array("q"))
    clips: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    @classmethod
    def read(cls, path: Path, value: str) -> Rows:
        """Read a file.

        Raises:
            DataError: The file has no rows, or a pair occurs twice.
        """
        self = cls(path)
        for line, query, clip, number in read_rows(path, value):
            row = self.query_of.setdefault(query, len(self.query_of))
            if clip is not None:
                self.lines.append(line)
                self.queries.append(row)
                self.clips.append(self.clip_of.setdefault(clip, len(self.clip_of)))
                self.values.append(number)
        if not self.query_of:
            raise DataError(f"{path} has no rows")
        self._refuse_repeats()
        return self

    def _refuse_repeats(self) -> None:
        pair = np.asarray(self.queries) * max(len(self.clip_of), 1) + np.asarray(self.clips)
        order = np.argsort(pair, kind="stable")
        again = np.flatnonzero(pair[order][1:] == pair[order][:-1])
        if not len(again):
            return
        second = int(order[again + 1].min())
        first = int(np.flatnonzero(pair == pair[second])[0])
        query, clip = list(self.query_of)[self.queries[second]], list(self.clip_of)[self.clips[second]]
        raise DataError(
            f"{self.path}:{self.lines[second]}: query {query!r} has clip {clip!r} already in line {self.lines[first]} "
            f"({len(again)} repeated rows); keep one row for each pair"
        )

    def refuse_unknown(self, known_queries: Iterable[str], known_clips: Iterable[str]) -> None:
        """Check that all ids belong to the data.

        Raises:
            DataError: An unknown id, with the first line that has one.
        """
        for ids, column, known, what in (
            (self.query_of, self.queries, set(known_queries), "query"),
            (self.clip_of, self.clips, set(known_clips), "clip"),
        ):
            unknown = {place: name for name, place in ids.items() if name not in known}
            if unknown:
                row = next((i for i, place in enumerate(column) if place in unknown), None)
                where = f":{self.lines[row]}" if row is not None else ""
                name = unknown[column[row]] if row is not None else next(iter(unknown.values()))
                raise DataError(
                    f"{self.path}{where}: {what} {name!r} is not in the data ({len(unknown)} such ids of "
                    f"{len(ids)}); is it a run of another split, another version or another gallery?"
                )

    def sorted(self) -> tuple[IntArray, IntArray, npt.NDArray[np.float64]]:
        """Compressed rows: indptr (Q + 1,), clip rows (L,), values (L,)."""
        queries = np.asarray(self.queries, dtype=np.int64)
        order = np.argsort(queries, kind="stable")
        counts = np.bincount(queries, minlength=len(self.query_of))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return indptr, np.asarray(self.clips, dtype=np.int64)[order], np.asarray(self.values)[order]
