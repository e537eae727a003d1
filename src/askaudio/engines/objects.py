"""LanceDB on object storage: the table of the default engine in a bucket, for any number of readers and writers.

Credentials and endpoint come from the environment variables that all tools for S3 read (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP=true for an endpoint without TLS).
Costs: there is no local cache, so a search reads every vector over the network: some 10 ms for 10,000 entries in the
same network. For fast search of a large collection, copy it to disk:
``askaudio copy s3://bucket/sounds ~/collections/sounds``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from askaudio.core.errors import CollectionNotFoundError
from askaudio.core.types import FloatArray
from askaudio.engines.lance_table import PLAIN, LanceTable
from askaudio.index.checksum import AuditedRow
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode
from askaudio.index.filters import Filter
from askaudio.index.ranking import rank_fetched
from askaudio.index.store import VectorStore

_PAGE = 2000
_OPTIONS = {
    "AWS_ENDPOINT_URL": "aws_endpoint",
    "AWS_ALLOW_HTTP": "allow_http",
    "AWS_REGION": "aws_region",
}  # variables that LanceDB does not read by itself under these names


class ObjectStore(VectorStore):
    """A collection in a bucket.

    Args:
        url: Such as ``s3://bucket/prefix``.
        table: The open table.
        identity: Identity of the encoder.
        mode: "r" or "w".
    """

    def __init__(self, url: str, table: LanceTable, identity: Identity, mode: Mode) -> None:
        super().__init__(url, identity, mode)
        self.capabilities = Capabilities(
            durable_add=True, snapshots=True, readers_while_writing=True, writers=0, approximate=False
        )
        self._table = table

    def _upsert(self, entries: list[Entry]) -> None:
        self._table.upsert(entries, time.time_ns(), self.identity.embed_dim)

    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        def best(query: FloatArray) -> list[Match]:
            return rank_fetched(query, top_k, lambda n: self._table.nearest(query, n, where))

        return [best(query) for query in vectors]

    def _delete(self, where: Filter) -> int:
        return self._table.delete(where)

    def _get(self, entry_ids: Sequence[str]) -> list[Entry]:
        found = self._table.entries(list(entry_ids))
        return [found[key] for key in entry_ids if key in found]

    def _count(self, where: Filter | None) -> int:
        return self._table.count(where)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        if not vectors:
            yield from sorted(self._table.read(PLAIN, where), key=lambda e: e.entry_id)
            return
        ids = sorted(key for batch in self._table.scan(["entry_id"], where) for key in batch.column(0).to_pylist())
        for start in range(0, len(ids), _PAGE):
            with self.lock:  # per page: a reader of the iterator may take its time between two entries
                page = self._get(ids[start : start + _PAGE])
            yield from page

    def _audit(self) -> Iterator[AuditedRow]:
        return self._table.audit()

    def version(self) -> str:
        """Number of the newest commit, by any writer."""
        return str(self._table.version())

    def save(self) -> None:
        """Merge small files; added entries are durable already."""
        self._must_write()
        self._table.optimize()

    def _snapshot(self, name: str) -> None:
        self._table.snapshot(name)

    def snapshots(self) -> list[str]:
        """Names of the snapshots, sorted."""
        return self._table.snapshots()

    def _restore(self, name: str) -> None:
        self._table.restore(name)


def open_objects(url: str, mode: Mode, identity: Identity | None) -> tuple[ObjectStore, bool]:
    """Open the collection in a bucket; with mode "w" and an identity, create it if it does not exist.

    Args:
        url: Such as ``s3://bucket/prefix``.
        mode: "r" or "w".
        identity: Identity of the encoder in use.

    Returns:
        The store, and whether the collection existed before.

    Raises:
        IndexStoreError: Not reachable, or no collection there.
    """
    options = {key: os.environ[name] for name, key in _OPTIONS.items() if os.environ.get(name)}
    table = LanceTable(url, options)
    if table.exists():
        return ObjectStore(url, table, table.open(), mode), True
    if mode == "r" or identity is None:
        raise CollectionNotFoundError(url)
    table.create(identity)
    return ObjectStore(url, table, identity, mode), False
