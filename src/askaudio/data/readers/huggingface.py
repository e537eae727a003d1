"""Data sets saved by Hugging Face `datasets`: a folder of ``save_to_disk``, or parquet files. Nothing is downloaded.

To use a data set of the Hub, download it first (``datasets.load_dataset(NAME).save_to_disk(FOLDER)``) and open
``hf:FOLDER``. Audio inside the files is extracted once (see extract.py); audio files that rows refer to by path are not
copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.extras import require
from askaudio.core.types import Json, Progress, silent
from askaudio.data.manifest import Manifest
from askaudio.data.readers.audio_files import stem
from askaudio.data.readers.extract import Sample, extract, split_in_name
from askaudio.data.readers.rows import ID_COLUMNS, PATH_COLUMNS, manifest_from_rows
from askaudio.data.readers.splits import SPLIT_NAMES
from askaudio.data.summary import About

_ROWS_AT_ONCE = 32


def read_huggingface(
    place: Path | str,
    *,
    cache: Path | str | None = None,
    path_column: str | None = None,
    text_column: str | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Read a saved data set or parquet files.

    Args:
        place: Folder of ``save_to_disk`` (needs the package ``datasets``), a parquet file, or a folder of them
            (needs ``pyarrow``; ``train-00000-of-00002.parquet`` or ``train/`` give the split).
        cache: Folder for sounds extracted from the files; default ``~/.cache/askaudio/sounds``.
        path_column: Column of the audio; default: the first of ``rows.PATH_COLUMNS`` that exists.
        text_column: Column of the caption; default as in ``rows.manifest_from_rows``.
        progress: Called after every row.

    Returns:
        The manifest; rows with the same audio are one clip.

    Raises:
        DataError: No data set at that place, or no column of audio.
        MissingExtraError: ``datasets`` or ``pyarrow`` is not installed.
    """
    place = Path(place)
    saved = [place / name for name in ("dataset_dict.json", "dataset_info.json") if (place / name).is_file()]
    if saved:
        sources = sorted(p for p in place.rglob("*") if p.is_file())
        rows = _saved_rows(place)
    else:
        sources = _parquet_files(place)
        rows = _parquet_rows(sources, place)
    settings = {"kind": "huggingface", "path_column": path_column}
    table, folder = extract(sources, settings, _samples(rows, path_column, place), cache, progress)
    return manifest_from_rows(
        table.rows,
        table.columns,
        place.resolve().stem,
        folder,
        where=str(place),
        path_column="path",
        text_column=text_column,
        faults=table.faults,
        about=About(source=str(place)),
    )


def _parquet_files(place: Path) -> list[Path]:
    files = [place] if place.is_file() else sorted(place.rglob("*.parquet"))
    if not files:
        raise DataError(
            f"no data set at {place}; expected a folder of save_to_disk, a .parquet file or a folder of them"
        )
    return files


def _saved_rows(place: Path) -> Iterator[tuple[str, Json]]:
    datasets = require("datasets", "hf")
    try:
        loaded = datasets.load_from_disk(str(place))
    except (OSError, ValueError) as error:
        raise DataError(f"{place} cannot be read as a saved data set: {error}") from error
    parts = loaded.items() if isinstance(loaded, Mapping) else [("", loaded)]
    for name, part in parts:
        for column, feature in part.features.items():
            if isinstance(feature, datasets.Audio):
                part = part.cast_column(column, datasets.Audio(decode=False))
        split = {"split": name} if name.lower() in SPLIT_NAMES else {}
        for number, row in enumerate(part):
            yield f"{place}/{name}:{number}", {**row, **split}


def _parquet_rows(files: Iterable[Path], place: Path) -> Iterator[tuple[str, Json]]:
    parquet = require("pyarrow.parquet", "parquet")
    arrow = require("pyarrow", "parquet")
    for path in files:
        split = split_in_name(path.relative_to(place) if place.is_dir() else path.name)
        number = 0
        try:
            for batch in parquet.ParquetFile(path).iter_batches(batch_size=_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield f"{path}:{number}", {**({"split": split} if split else {}), **row}
                    number += 1
        except arrow.ArrowException as error:
            raise DataError(f"{path} cannot be read as parquet: {error}") from error


def _samples(rows: Iterable[tuple[str, Json]], path_column: str | None, place: Path) -> Iterator[Sample]:
    base = place if place.is_dir() else place.parent
    for where, row in rows:
        column = path_column or next((name for name in PATH_COLUMNS if name in row), "")
        if column not in row:
            expected = repr(path_column) if path_column else ", ".join(PATH_COLUMNS)
            raise DataError(f"{where}: no column of audio: got {', '.join(row)}; expected {expected}")
        audio, name = _audio(row[column], base)
        values = {key: value for key, value in row.items() if key != column and not isinstance(value, (bytes, dict))}
        if name and not any(values.get(key) not in (None, "") for key in ID_COLUMNS):
            values["clip_id"] = stem(name)
        yield Sample(where, values, audio, name)


def _audio(value: Any, base: Path) -> tuple[bytes | Path | None, str]:
    """The bytes or the existing file of the audio, and its name in the data set."""
    if isinstance(value, Mapping):
        data, name = value.get("bytes"), str(value.get("path") or "")
        if isinstance(data, bytes):
            return data, name
        value = name
    if isinstance(value, str) and value:
        path = base / value
        return (path if path.is_file() else None), value
    return None, ""
