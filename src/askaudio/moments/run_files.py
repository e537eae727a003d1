"""Run files of moments: what any system found, one query a line, in the form of the DCASE task.

    {"qid": 7, "query": "a dog barks", "vid": "yard-3", "pred_relevant_windows": [[12.1, 15.0, 0.83], [3.0, 4.0, 0.2]]}

Only ``qid`` and ``pred_relevant_windows`` are read. Moments are ranked by their score; equal scores keep their order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path
from askaudio.moments.moment import Moment
from askaudio.moments.truth import MomentQuery, read_rows, stretch

MomentRun = dict[str, tuple[Moment, ...]]  # query id -> moments, best first


def read_moment_run(path: Path | str, queries: Sequence[MomentQuery] | None = None) -> MomentRun:
    """Read a run file.

    Args:
        path: A JSON lines file.
        queries: Queries whose ids are allowed.

    Returns:
        Query id -> moments, best first. Queries that the file does not contain are absent.

    Raises:
        DataError: A field is missing, a time or score is not a finite number, a query id is unknown or occurs twice;
            with file and line.
    """
    known = None if queries is None else {query.query_id for query in queries}
    run: MomentRun = {}
    for where, row in read_rows(Path(path)):
        if "qid" not in row or not isinstance(row.get("pred_relevant_windows"), list):
            raise DataError(f"{where}: expected qid and pred_relevant_windows, a list of [start, end, score]")
        query_id = str(row["qid"])
        if query_id in run:
            raise DataError(f"{where}: the query id {query_id!r} occurs twice")
        if known is not None and query_id not in known:
            raise DataError(f"{where}: the query id {query_id!r} is not among the {len(known)} queries to be scored")
        moments = [_moment(value, where) for value in row["pred_relevant_windows"]]
        run[query_id] = tuple(sorted(moments, key=lambda moment: -moment.score))
    return run


def write_moment_run(run: Mapping[str, Sequence[Moment]], queries: Sequence[MomentQuery], path: Path | str) -> None:
    """Write a run in one atomic step.

    Args:
        run: Query id -> moments.
        queries: The queries, in the order of the lines.
        path: File to write.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query in queries:
            windows = [[round(m.start_s, 3), round(m.end_s, 3), float(m.score)] for m in run.get(query.query_id, ())]
            row = {"qid": query.query_id, "query": query.text, "vid": query.recording, "pred_relevant_windows": windows}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _moment(value: object, where: str) -> Moment:
    start_s, end_s = stretch(value, where)
    try:
        score = float(value[2])  # type: ignore[index]
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{where}: a moment is {value!r}; expected [start, end, score]") from error
    if not math.isfinite(score):
        raise DataError(f"{where}: the score of {value!r} is not finite")
    return Moment(start_s, end_s, score)
