"""Export a collection as a parquet file or a data set of Hugging Face `datasets`; import the parquet file again.

One row per entry: ``entry_id``, ``clip_id``, ``path``, ``start_s``, ``end_s``, ``vector`` (D float32, length 1) and
``metadata`` (JSON). The file's schema records the identity of the encoder. Memory: one batch of rows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.extras import require
from askaudio.core.files import atomic_path
from askaudio.core.types import Progress, silent
from askaudio.index.entries import Entry, Identity
from askaudio.index.store import VectorStore

_KEY = b"askaudio"
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
    schema = arrow.schema(
        [
            ("entry_id", arrow.string()),
            ("clip_id", arrow.string()),
            ("path", arrow.string()),
            ("start_s", arrow.float64()),
            ("end_s", arrow.float64()),
            ("vector", arrow.list_(arrow.float32(), store.identity.embed_dim)),
            ("metadata", arrow.string()),
        ],
        metadata={_KEY: json.dumps(store.identity.to_json())},
    )
    entries, total, done = store.iterate(), store.count(), 0
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(entries, _ROWS)):
            writer.write_table(arrow.Table.from_pylist([_row(entry) for entry in batch], schema))
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
        identity = Identity.from_json(json.loads((file.schema_arrow.metadata or {})[_KEY]), str(path))
    except (OSError, KeyError, ValueError, arrow.ArrowException) as error:
        raise IndexStoreError(
            f"{path} is not a collection in parquet form ({error!r}); write one with: askaudio copy COLLECTION {path}"
        ) from error
    return identity, file.metadata.num_rows, _entries(file)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "clip_id": entry.clip_id,
        "path": entry.path,
        "start_s": entry.start_s,
        "end_s": entry.end_s,
        "vector": entry.vector,
        "metadata": json.dumps(dict(entry.metadata), ensure_ascii=False),
    }


def _entries(file: Any) -> Iterator[Entry]:
    for batch in file.iter_batches(batch_size=_ROWS):
        for row in batch.to_pylist():
            vector = np.asarray(row.pop("vector"), dtype=np.float32)
            yield Entry(**{**row, "vector": vector, "metadata": json.loads(row["metadata"])})
