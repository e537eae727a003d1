"""Queries with the true moments of their recordings: CASTELLA's files, and JSON lines as the DCASE task has them.

JSON lines, one query a line (DCASE challenge, audio moment retrieval; the same fields as QVHighlights)::

    {"qid": 7, "query": "a dog barks", "vid": "yard-3", "duration": 240.0, "relevant_windows": [[12.0, 15.5]]}

Other fields are kept in ``MomentQuery.facts``, such as the ``level_db`` of generated recordings. CASTELLA's own JSON is
a list of recordings; its queries have no ids, so a query is named ``YID#N`` by its position in the recording.

Source: Munakata et al., "CASTELLA: Long Audio Dataset with Captions and Temporal Boundaries", 2025.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path, read_json
from askaudio.core.text import parse_json, read_text
from askaudio.core.types import Json
from askaudio.moments.moment import Moment

_FIELDS = ("qid", "query", "vid", "duration", "relevant_windows")


@dataclass(frozen=True, slots=True)
class MomentQuery:
    """A query about one recording, with its answer.

    Attributes:
        query_id: Unique id.
        text: Description of the sound.
        recording: Name of the recording.
        duration_s: Length of the recording, in seconds.
        moments: The true moments, in order of time; at least one.
        facts: Other fields of the row.
    """

    query_id: str
    text: str
    recording: str
    duration_s: float
    moments: tuple[Moment, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """The row of a JSON lines file."""
        windows = [[m.start_s, m.end_s] for m in self.moments]
        row = {"qid": self.query_id, "query": self.text, "vid": self.recording, "duration": self.duration_s}
        return {**row, "relevant_windows": windows, **self.facts}


def read_truth(path: Path | str) -> tuple[MomentQuery, ...]:
    """Read queries and their moments: ``.jsonl`` as the DCASE task has them, ``.json`` as CASTELLA has them.

    Raises:
        DataError: The file is missing or has other fields, a query id occurs twice, or a moment is outside of its
            recording; with file and row.
    """
    path = Path(path)
    queries = _castella(path) if path.suffix.lower() == ".json" else _dcase(path)
    seen: set[str] = set()
    for query in queries:
        if query.query_id in seen:
            raise DataError(f"{path}: the query id {query.query_id!r} occurs twice; ids must be unique")
        seen.add(query.query_id)
    if not queries:
        raise DataError(f"{path} contains no queries; expected JSON lines with {', '.join(_FIELDS)}")
    return tuple(queries)


def write_truth(queries: Iterable[MomentQuery], path: Path | str) -> None:
    """Write queries as JSON lines in one atomic step."""
    with atomic_path(path) as temporary:
        lines = (json.dumps(query.to_json(), ensure_ascii=False) for query in queries)
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_rows(path: Path) -> list[tuple[str, Json]]:
    """Objects of a JSON lines file, each with its place ("FILE:LINE") for messages.

    Raises:
        DataError: The file is missing, or a line is no JSON object.
    """
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        value = parse_json(line, where := f"{path}:{number}")
        if not isinstance(value, dict):
            raise DataError(f"{where}: expected a JSON object, got {type(value).__name__}")
        rows.append((where, value))
    return rows


def stretch(value: Any, where: str) -> tuple[float, float]:
    """Start and end from a list that begins with two numbers.

    Raises:
        DataError: It does not, or the end is before the start.
    """
    try:
        start_s, end_s = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise DataError(f"{where}: a moment is {value!r}; expected [start, end] in seconds") from error
    if not (math.isfinite(start_s) and math.isfinite(end_s) and end_s >= start_s):
        raise DataError(f"{where}: a moment is {value!r}; expected finite times, the end after the start")
    return start_s, end_s


def _dcase(path: Path) -> list[MomentQuery]:
    queries = []
    for where, row in read_rows(path):
        missing = [name for name in _FIELDS if name not in row]
        if missing:
            raise DataError(f"{where}: {', '.join(missing)} missing; expected the fields {', '.join(_FIELDS)}")
        duration_s = _number(row["duration"], where)
        moments = _moments(row["relevant_windows"], duration_s, where)
        facts = {name: value for name, value in row.items() if name not in _FIELDS}
        queries.append(MomentQuery(str(row["qid"]), str(row["query"]), str(row["vid"]), duration_s, moments, facts))
    return queries


def _castella(path: Path) -> list[MomentQuery]:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of recordings with yid, duration and moments, as CASTELLA has")
    queries = []
    for number, row in enumerate(rows):
        where = f"{path}: recording {number}"
        try:
            name, duration_s, moments = str(row["yid"]), _number(row["duration"], where), list(row["moments"])
            texts = [str(moment["local_caption"]) for moment in moments]
            windows = [moment["timestamps"] for moment in moments]
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}: {error!r}; expected yid, duration and moments, as CASTELLA has") from error
        queries += [
            MomentQuery(f"{name}#{n}", text, name, duration_s, _moments(own, duration_s, where))
            for n, (text, own) in enumerate(zip(texts, windows, strict=True))
        ]
    return queries


def _moments(values: Any, duration_s: float, where: str) -> tuple[Moment, ...]:
    if not isinstance(values, list) or not values:
        raise DataError(f"{where}: no moments; expected a list of [start, end] in seconds")
    return tuple(_inside(*found, duration_s, where) for found in sorted(stretch(value, where) for value in values))


def _inside(start_s: float, end_s: float, duration_s: float, where: str) -> Moment:
    """A moment with the corrections that CASTELLA's published files need, which are annotated in whole seconds.

    Nine moments have a length of 0 and are read as one second. An end that is more than a second behind the end of the
    recording (one is at 4800 s) becomes the end of the recording.
    """
    if not 0 <= start_s < duration_s + 1:
        raise DataError(f"{where}: the moment {start_s:g}-{end_s:g} s is outside of 0-{duration_s:g} s")
    end_s = duration_s if end_s > duration_s + 1 else end_s
    return Moment(start_s, end_s if end_s > start_s else start_s + 1)


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise DataError(f"{where}: the duration is {value!r}; expected a number of seconds")
    return number
