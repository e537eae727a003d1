"""A LanceDB table of entries, in a folder or on object storage. Two engines are built on it: local and objects.

Every change is one atomic commit, and readers see complete versions. Importing lancedb takes seconds, so it is imported
only when a table is opened. Search in a folder with an up-to-date cache never opens the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import FloatArray
from askaudio.index.checksum import AuditedRow, checksums_of, fault_of
from askaudio.index.entries import Entry, Identity, doc_text
from askaudio.index.filters import DOC_NUMBERS, ENTRY_NUMBERS, MEASURED, Compare, Filter, number_of, terms_of
from askaudio.index.sql import lance_sql

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "entries"
PLAIN = ["entry_id", "clip_id", "start_s", "end_s", "doc", "seq"]
CHECKSUM = "checksum"  # tables of older versions have no such column until something is written
_WRITING = "The earlier content is intact. Fix: check free disk space and permissions, then: askaudio collection check"
_READING = "The table may be damaged. Fix: askaudio collection repair"
T = TypeVar("T")


def guarded(url: str, work: Callable[[], T], advice: str = _WRITING) -> T:
    """Run a LanceDB call and raise its many error types as IndexStoreError.

    Args:
        url: Address of the collection, for the message.
        work: The call.
        advice: What the message says after the reason.
    """
    try:
        return work()
    except (StopIteration, KeyboardInterrupt, SystemExit, IndexStoreError):
        raise
    except BaseException as error:
        # a panic of LanceDB's Rust code on damaged data arrives as a PanicException, which is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise IndexStoreError(f"{url}: {reason}. {advice} --collection {url}") from error


def read_guarded(url: str, work: Callable[[], T]) -> T:
    """``guarded`` for a call that only reads."""
    return guarded(url, work, _READING)


class LanceTable:
    """The entries of one collection.

    Args:
        uri: A folder, or ``s3://bucket/prefix`` and the like.
        options: ``storage_options`` of LanceDB, for object storage; None for a folder.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        import lancedb
        import pyarrow

        self._pa = pyarrow
        self.uri = uri
        # interval zero: every read sees the newest version, also those of other processes
        self._db = guarded(
            uri,
            lambda: lancedb.connect(
                uri, storage_options=dict(options) if options else None, read_consistency_interval=timedelta(0)
            ),
        )
        self._table: Any = None

    def exists(self) -> bool:
        """Whether the table exists."""
        return TABLE in guarded(self.uri, lambda: list(self._db.list_tables().tables))

    def create(self, identity: Identity) -> None:
        """Make an empty table whose schema records the identity of the encoder."""
        schema = self._schema(identity.embed_dim).with_metadata({"askaudio": json.dumps(identity.to_json())})
        self._table = guarded(self.uri, lambda: self._db.create_table(TABLE, schema=schema))

    def open(self) -> Identity:
        """Open the table; returns the identity of its encoder."""
        self._table = read_guarded(self.uri, lambda: self._db.open_table(TABLE))
        stored = read_guarded(self.uri, lambda: (self._table.schema.metadata or {}).get(b"askaudio"))
        if stored is None:
            raise IndexStoreError(f"{self.uri} is a LanceDB table, but not an askaudio collection")
        return Identity.from_json(read_guarded(self.uri, lambda: json.loads(stored)), self.uri)

    def has_checksums(self) -> bool:
        """Whether the table has a column for checksums; a snapshot of an older version has none."""
        return CHECKSUM in read_guarded(self.uri, lambda: self._table.schema.names)

    def _absent(self) -> tuple[str, ...]:
        """Columns of measured facts that a table of an older version does not have."""
        names = set(read_guarded(self.uri, lambda: self._table.schema.names))
        return tuple(name for name in MEASURED if name not in names)

    def _sql(self, where: Filter) -> str:
        return lance_sql(where, self._absent())

    def _schema(self, dim: int) -> pa.Schema:
        pa = self._pa
        numbers = [pa.field(name, pa.float64()) for name in (*ENTRY_NUMBERS, *DOC_NUMBERS)]
        texts = [pa.field(name, pa.string()) for name in ("entry_id", "clip_id", "doc")]
        terms = pa.field("terms", pa.list_(pa.string()))
        return pa.schema(
            [
                *texts,
                *numbers,
                terms,
                pa.field("seq", pa.int64()),
                pa.field("vector", pa.list_(pa.float32(), dim)),
                pa.field(CHECKSUM, pa.int64()),
            ]
        )

    # --- changes and queries ----------------------------------------------------------------------------------
    def upsert(self, entries: Sequence[Entry], seq: int, dim: int) -> None:
        """Insert or replace entries in one commit.

        Args:
            entries: At least one.
            seq: Write number of this call, larger than all before. The local cache finds changes by it.
            dim: D of the vectors.
        """
        pa = self._pa
        if not self.has_checksums():
            guarded(self.uri, lambda: self._table.add_columns({CHECKSUM: "CAST(NULL AS BIGINT)"}))
        if absent := self._absent():
            guarded(self.uri, lambda: self._table.add_columns(dict.fromkeys(absent, "CAST(NULL AS DOUBLE)")))
        columns: dict[str, Any] = {
            "entry_id": [e.entry_id for e in entries],
            "clip_id": [e.clip_id for e in entries],
            "doc": [doc_text(e.clip_id, e.path, e.metadata) for e in entries],
            "start_s": [e.start_s for e in entries],
            "end_s": [e.end_s for e in entries],
            **{name: [number_of(e.metadata, name) for e in entries] for name in DOC_NUMBERS},
            "terms": [sorted(terms_of(e.path, e.metadata)) for e in entries],
            "seq": [seq] * len(entries),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate([e.vector for e in entries])), dim),
            CHECKSUM: checksums_of(entries, dim),
        }
        batch = guarded(self.uri, lambda: pa.table(columns, schema=self._schema(dim)))
        merge = self._table.merge_insert("entry_id").when_matched_update_all().when_not_matched_insert_all()
        guarded(self.uri, lambda: merge.execute(batch))

    def delete(self, where: Filter) -> int:
        """Remove the entries that match a filter; returns their number."""
        return int(guarded(self.uri, lambda: self._table.delete(self._sql(where))).num_deleted_rows)

    def count(self, where: Filter | None) -> int:
        """Number of entries that match a filter."""
        return int(read_guarded(self.uri, lambda: self._table.count_rows(self._sql(where) if where else None)))

    def scan(self, columns: Sequence[str], where: str | Filter | None = None) -> Iterator[pa.RecordBatch]:
        """Record batches of some columns, in no order, with their checksums if the table has any.

        Args:
            columns: Names of columns.
            where: A filter, or a condition in SQL; None for all rows.
        """
        query = self._table.search().select([*columns, *([CHECKSUM] if self.has_checksums() else [])])
        if where is not None:
            query = query.where(where if isinstance(where, str) else self._sql(where))
        batches = read_guarded(self.uri, lambda: iter(query.to_batches()))
        while (batch := read_guarded(self.uri, lambda: next(batches, None))) is not None:
            yield batch

    def audit(self) -> Iterator[AuditedRow]:
        """Every row and what is wrong with it, in no order."""
        absent = self._absent()
        numbers = [name for name in DOC_NUMBERS if name not in absent]
        for batch in self.scan([*PLAIN, *numbers, "terms", "vector"]):
            yield from read_guarded(self.uri, lambda batch=batch: rows_of_batch(batch))  # type: ignore[misc]

    def read(self, columns: Sequence[str], where: str | Filter | None = None) -> Iterator[Entry]:
        """Verified entries, in no order; ``columns`` are PLAIN and, for their vectors, "vector".

        Raises:
            IndexStoreError: A row does not agree with its checksum.
        """
        for batch in self.scan(columns, where):
            yield from self._sound(batch)

    def _sound(self, batch: pa.RecordBatch) -> list[Entry]:
        rows = read_guarded(self.uri, lambda: rows_of_batch(batch))
        for row in rows:
            if row.fault:
                raise IndexStoreError(
                    f"{self.uri} is damaged: {row.entry.entry_id} ({row.entry.path}): {row.fault}. "
                    f"Fix: askaudio collection repair --collection {self.uri}"
                )
        return [row.entry for row in rows]

    def entries(self, entry_ids: Sequence[str]) -> dict[str, Entry]:
        """Entries by id; unknown ids are left out."""
        found: dict[str, Entry] = {}
        for start in range(0, len(entry_ids), 2000):
            some = Compare("entry_id", "in", tuple(entry_ids[start : start + 2000]))
            found.update((e.entry_id, e) for e in self.read([*PLAIN, "vector"], some))
        return found

    def nearest(self, query: FloatArray, count: int, where: Filter | None) -> list[Entry]:
        """The ``count`` entries nearest to a query (D,), by a full scan (or a vector index, if a user made one).

        Args:
            query: (D,) of length 1.
            count: Largest number of entries.
            where: Entries that may match; None admits all.
        """
        columns = [*PLAIN, "vector", "_distance", *([CHECKSUM] if self.has_checksums() else [])]
        search = self._table.search(query).distance_type("dot").limit(count).select(columns)
        if where is not None:
            search = search.where(self._sql(where), prefilter=True)
        found = read_guarded(self.uri, search.to_arrow)
        return [entry for batch in found.to_batches() for entry in self._sound(batch)]

    def version(self) -> int:
        """Number of the newest commit."""
        return int(read_guarded(self.uri, lambda: self._table.version))

    def optimize(self) -> None:
        """Merge small files, update the id index and delete versions that no snapshot keeps."""
        from lancedb.index import BTree

        if not any(index.columns == ["entry_id"] for index in self._table.list_indices()) and self.count(None) > 10_000:
            guarded(self.uri, lambda: self._table.create_index("entry_id", config=BTree()))
        # readers of other processes may still be reading a version that was the newest some seconds ago
        guarded(self.uri, lambda: self._table.optimize(cleanup_older_than=timedelta(minutes=10)))

    # --- snapshots --------------------------------------------------------------------------------------------
    def snapshot(self, name: str) -> None:
        """Give the newest version a name; LanceDB calls it a tag."""
        if name in self.snapshots():
            guarded(self.uri, lambda: self._table.tags.update(name, self.version()))
        else:
            guarded(self.uri, lambda: self._table.tags.create(name, self.version()))

    def snapshots(self) -> list[str]:
        """Names of the snapshots, sorted."""
        return sorted(guarded(self.uri, self._table.tags.list))

    def restore(self, name: str) -> None:
        """Make the content of a snapshot the newest version."""

        def work() -> None:
            self._table.checkout(name)
            self._table.restore()
            self._table.checkout_latest()

        guarded(self.uri, work)


def vectors_of_batch(batch: pa.RecordBatch) -> FloatArray:
    """The vector column of a batch -> (R, D)."""
    column = batch.column("vector")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(column), -1)


def rows_of_batch(batch: pa.RecordBatch) -> list[AuditedRow]:
    """The rows of a batch, each compared with its checksum; vectors have shape (0,) if the batch has no such column."""
    names = batch.schema.names
    vectors = vectors_of_batch(batch) if "vector" in names else np.zeros((batch.num_rows, 0), np.float32)
    columns = {name: _values(batch.column(name)) for name in names if name not in ("vector", "_distance")}
    sums = columns.get(CHECKSUM, [None] * batch.num_rows)
    return [
        _row({name: values[row] for name, values in columns.items()}, vectors[row], sums[row])
        for row in range(batch.num_rows)
    ]


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; texts that are not UTF-8 any more are kept in an escaped form, to be named in faults."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        import pyarrow

        if pyarrow.types.is_list(column.type):
            return [None] * len(column)
        return [value if value is None else value.decode("utf-8", "backslashreplace") for value in
                column.view(pyarrow.binary()).to_pylist()]  # fmt: skip


def _row(values: dict[str, Any], vector: FloatArray, checksum: int | None) -> AuditedRow:
    try:
        clip, path, metadata, numbers, terms = _derived(values["doc"])
        entry = Entry(values["entry_id"], clip, vector, values["start_s"], values["end_s"], path, metadata)
    except (ValueError, TypeError, AttributeError) as error:
        entry = Entry(str(values["entry_id"]), str(values["clip_id"]), vector)
        return AuditedRow(entry, f"its facts cannot be read ({error})", checksum is not None)
    fault = fault_of(entry, checksum, values["doc"])
    # columns that only repeat the facts, for filters in SQL
    # a row without checksum is of an older version, which made terms by other rules (``words.RULES``)
    other_terms = checksum is not None and "terms" in values and values["terms"] != terms
    if not fault and (values.get("clip_id", clip) != clip or other_terms):
        fault = "clip_id or terms differ from the facts they repeat"
    if not fault and any(name in values and values[name] != number for name, number in numbers.items()):
        fault = "numbers differ from the facts they repeat"
    return AuditedRow(entry, fault, checksum is not None)


@lru_cache(2048)  # windows of one recording follow each other and share their doc
def _derived(doc: str) -> tuple[str, str, dict[str, Any], dict[str, float | None], list[str]]:
    """Clip id, path, metadata, numbers and terms of a doc."""
    clip, path, metadata = json.loads(doc)
    numbers = {name: number_of(metadata, name) for name in DOC_NUMBERS}
    return clip, path, metadata, numbers, sorted(terms_of(path, metadata))
