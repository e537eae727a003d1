"""Export a collection as a parquet file or a data set of Hugging Face `datasets`; import the parquet file again.

One row per entry: ``entry_id``, ``clip_id``, ``path``, ``start_s``, ``end_s``, ``vector`` (D float32, length 1) and
``metadata`` (JSON), and ``checksum`` (``index/checksum.py``), which ``read_parquet`` verifies. The file's schema
records the identity of the encoder. Memory: one batch of rows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.extras import require
from askaudio.core.files import atomic_path
from askaudio.core.text import bad_character, json_line
from askaudio.core.types import Progress, silent
from askaudio.index.checksum import checksums_of, fault_of
from askaudio.index.entries import Entry, Identity
from askaudio.index.store import VectorStore

_KEY, _SUM = b"askaudio", b"askaudio.crc32"
_ESCAPED = "json:"  # before a path that is not UTF-8, written as a JSON string; stored paths are absolute
_ROWS = 1000


def write_parquet(store: VectorStore, path: Path | str, progress: Progress = silent) -> int:
    """Write all entries ordered by id. An existing file is replaced when the new one is complete.

    Args:
        store: The collection.
        path: Target file.
        progress: Called with the number of entries written, and of all.

    Returns:
        Number of entries.

    Raises:
        MissingExtraError: ``pyarrow`` is not installed.
    """
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    identity = json.dumps(store.identity.to_json()).encode()
    schema = arrow.schema(
        [
            ("entry_id", arrow.string()),
            ("clip_id", arrow.string()),
            ("path", arrow.string()),
            ("start_s", arrow.float64()),
            ("end_s", arrow.float64()),
            ("vector", arrow.list_(arrow.float32(), store.identity.embed_dim)),
            ("metadata", arrow.string()),
            ("checksum", arrow.int64()),
        ],
        metadata={_KEY: identity, _SUM: str(crc32(identity))},
    )
    entries, total, done = store.iterate(), store.count(), 0
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(entries, _ROWS)):
            sums = checksums_of(batch, store.identity.embed_dim).tolist()
            rows = [{**_row(entry), "checksum": checksum} for entry, checksum in zip(batch, sums, strict=True)]
            writer.write_table(arrow.Table.from_pylist(rows, schema))
            done += len(batch)
            progress(done, total)
    return done


def write_dataset(store: VectorStore, folder: Path | str, progress: Progress = silent) -> int:
    """Write a folder that ``datasets.load_from_disk`` opens.

    Args:
        store: The collection.
        folder: Target; it must not exist.
        progress: Called with the number of entries written, and of all.

    Returns:
        Number of entries.

    Raises:
        IndexStoreError: The folder exists.
        MissingExtraError: ``datasets`` is not installed.
    """
    datasets = require("datasets", "hf")
    folder = Path(folder)
    if folder.exists():
        raise IndexStoreError(f"{folder} exists; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        done = write_parquet(store, Path(work) / "rows.parquet", progress)
        rows = datasets.Dataset.from_parquet(str(Path(work) / "rows.parquet"), cache_dir=str(Path(work) / "cache"))
        rows.info.description = json.dumps(store.identity.to_json())
        rows.save_to_disk(str(folder))
    return done


def read_parquet(path: Path | str) -> tuple[Identity, int, Iterator[Entry]]:
    """Read what ``write_parquet`` wrote.

    Returns:
        Identity of the encoder, number of entries, and the entries, read in batches.

    Raises:
        IndexStoreError: Not a file that ``write_parquet`` wrote.
        MissingExtraError: ``pyarrow`` is not installed.
    """
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    try:
        file = parquet.ParquetFile(path)
        facts = file.schema_arrow.metadata or {}
        expected = str(crc32(facts[_KEY])).encode()
        if facts.get(_SUM, expected) != expected:  # files of older versions have no checksum
            raise ValueError("its identity does not match its checksum")
        identity = Identity.from_json(json.loads(facts[_KEY]), str(path))
    except (OSError, KeyError, ValueError, arrow.ArrowException) as error:
        raise IndexStoreError(
            f"{path} is not a collection in parquet form ({error!r}); write one with: askaudio copy COLLECTION {path}"
        ) from error
    return identity, file.metadata.num_rows, _entries(file, str(path))


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "clip_id": entry.clip_id,
        "path": _ESCAPED + json.dumps(entry.path) if bad_character(entry.path) else entry.path,
        "start_s": entry.start_s,
        "end_s": entry.end_s,
        "vector": entry.vector,
        "metadata": json_line(dict(entry.metadata)).rstrip("\n"),
    }


def _entries(file: Any, path: str) -> Iterator[Entry]:
    batches = file.iter_batches(batch_size=_ROWS)
    while True:
        try:
            batch = next(batches, None)
            entries = [] if batch is None else [_entry(row, path) for row in batch.to_pylist()]
        except IndexStoreError:
            raise
        except Exception as error:  # damaged bytes raise many types of pyarrow, without a common base
            raise IndexStoreError(f"{path} is damaged ({error}). Fix: export the collection again") from error
        if batch is None:
            return
        yield from entries


def _entry(row: dict[str, Any], path: str) -> Entry:
    checksum = row.pop("checksum", None)  # files of older versions have none
    vector = np.asarray(row.pop("vector"), dtype=np.float32)
    if row["path"].startswith(_ESCAPED):
        row["path"] = json.loads(row["path"][len(_ESCAPED) :])
    entry = Entry(**{**row, "vector": vector, "metadata": json.loads(row["metadata"])})
    if fault := fault_of(entry, checksum):
        raise IndexStoreError(f"{path} is damaged: {entry.entry_id}: {fault}. Fix: export the collection again")
    return entry
