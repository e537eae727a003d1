"""Run, judgement and embedding files, so that any system can be scored without code.

| suffix | a run holds | judgements hold |
|---|---|---|
| .trec .run .txt .qrels | ``query_id Q0 clip_id rank score tag`` | ``query_id 0 clip_id grade`` |
| .jsonl | ``{"query_id": "q", "scores": {"clip": 0.9}}`` | ``{"query_id": "q", "relevant": {"clip": 100}}`` or a list |
| .csv .tsv .parquet | columns query_id, clip_id, score | columns query_id, clip_id, grade |

Embeddings are an ``.npz`` with ``ids`` (N,) strings and ``embeddings`` (N, D) numbers.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.extras import require
from askaudio.core.files import atomic_path
from askaudio.core.types import FloatArray
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run import Run
from askaudio.evaluation.run_rows import Rows, file_format
from askaudio.evaluation.scores import SparseScores


def read_run(path: Path | str, relevance: Relevance | None = None, name: str | None = None) -> Run:
    """Read a run file. The rank column of TREC files is ignored; items are ranked by score.

    Args:
        path: File; its suffix determines the format.
        relevance: Relevance whose ids are allowed; unknown ids are refused with their line.
        name: Name of the system; default the file's name.

    Raises:
        DataError: Wrong columns, a score that is not finite, a repeated pair, an unknown id; with file and line.
    """
    path = Path(path)
    rows = Rows.read(path, "score")
    if relevance is not None:
        rows.refuse_unknown(relevance.query_ids, relevance.gallery_ids)
    indptr, items, values = rows.sorted()
    scores = SparseScores(len(rows.clip_of), indptr, items, values.astype(np.float32))
    return Run(tuple(rows.query_of), tuple(rows.clip_of), scores, name or path.stem)


def read_qrels(path: Path | str, gallery_ids: Iterable[str] | None = None) -> Relevance:
    """Read judgements. Grades of 0 and 1 only are binary relevance, else grades go up to 100; 0 equals no row.

    Args:
        path: File; its suffix determines the format.
        gallery_ids: Ids of the gallery; default the judged clips only.

    Raises:
        DataError: As ``read_run``; a grade outside 0..100; a query without a relevant clip.
    """
    path = Path(path)
    rows = Rows.read(path, "grade")
    indptr, items, grades = rows.sorted()
    outside = np.flatnonzero((np.asarray(rows.values) < 0) | (np.asarray(rows.values) > 100))
    if len(outside):
        line, grade = rows.lines[int(outside[0])], rows.values[int(outside[0])]
        raise DataError(f"{path}:{line}: a grade must be between 0 and 100, got {grade:g}")
    clips = list(rows.clip_of)
    if gallery_ids is not None:
        gallery_ids = list(gallery_ids)
        rows.refuse_unknown(rows.query_of, gallery_ids)
    judged = {
        query: {clips[i]: float(g) for i, g in zip(items[a:b], grades[a:b], strict=True)}
        for query, a, b in zip(rows.query_of, indptr[:-1], indptr[1:], strict=True)
    }
    kind = "given" if np.isin(grades, (0, 1)).all() else "graded"
    return Relevance.from_dict(judged, gallery_ids if gallery_ids is not None else clips, kind)


def write_run(run: Run, path: Path | str, depth: int = 100) -> None:
    """Write the best ``depth`` items of every query in one atomic step; scores keep all float32 digits.

    Args:
        run: The run.
        path: File; its suffix determines the format.
        depth: Largest number of items a query.

    Raises:
        DataError: Unknown suffix; an id with a space in a TREC file.
    """
    path = Path(path)
    style = file_format(path)
    lists = run.top(depth)
    with atomic_path(path) as temporary:
        if style == "parquet":
            _write_parquet(lists, temporary)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            if style == "trec":
                _write_trec(lists, run.name, file, path)
            elif style == "jsonl":
                for query, scores in lists.items():
                    file.write(json.dumps({"query_id": query, "scores": scores}, ensure_ascii=False) + "\n")
            else:
                writer = csv.writer(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\n")
                writer.writerow(("query_id", "clip_id", "score"))
                writer.writerows((q, c, f"{s:.9g}") for q, row in lists.items() for c, s in row.items())


def _write_trec(lists: dict[str, dict[str, float]], name: str, file: TextIO, path: Path) -> None:
    tag = "-".join(name.split()) or "run"
    for query, scores in lists.items():
        for rank, (clip, score) in enumerate(scores.items(), start=1):
            if len(f"{query} {clip}".split()) != 2:
                raise DataError(
                    f"{path}: ids with spaces ({query!r}, {clip!r}) cannot be written as TREC; use .jsonl or .csv"
                )
            file.write(f"{query} Q0 {clip} {rank} {score:.9g} {tag}\n")


def _write_parquet(lists: dict[str, dict[str, float]], path: Path) -> None:
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    rows = [(q, c, s) for q, row in lists.items() for c, s in row.items()]
    columns = {
        "query_id": arrow.array([r[0] for r in rows], arrow.string()),
        "clip_id": arrow.array([r[1] for r in rows], arrow.string()),
        "score": arrow.array([r[2] for r in rows], arrow.float32()),
    }
    parquet.write_table(arrow.table(columns), path)


def read_embeddings(path: Path | str) -> tuple[tuple[str, ...], FloatArray]:
    """Read ids and embeddings (N, D) from an ``.npz``.

    Raises:
        DataError: Missing arrays, pickled objects, lengths that differ, an id twice, values that are not finite.
    """
    path = Path(path)
    fix = "write it with numpy.savez(path, ids=array of N texts, embeddings=array (N, D))"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ids, table = arrays["ids"], arrays["embeddings"]
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (KeyError, ValueError, OSError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} does not contain plain arrays 'ids' and 'embeddings' ({error}); {fix}") from error
    if ids.dtype.kind != "U" or ids.ndim != 1 or table.dtype.kind != "f" or table.shape[:-1] != ids.shape:
        raise DataError(f"{path}: got ids {ids.dtype}{ids.shape}, embeddings {table.dtype}{table.shape}; {fix}")
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{path}: id {str(names[counts > 1][0])!r} occurs twice; ids must be unique")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: the embedding of {str(ids[bad[0]])!r} is not finite ({len(bad)} such rows)")
    return tuple(ids.tolist()), table.astype(np.float32)


def write_embeddings(path: Path | str, ids: Iterable[str], embeddings: npt.ArrayLike) -> None:
    """Write ids and embeddings as an ``.npz`` in one atomic step.

    Args:
        path: File to write.
        ids: N ids.
        embeddings: (N, D) numbers.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, ids=np.array(list(ids), dtype=str), embeddings=np.asarray(embeddings, dtype=np.float32))
