"""LanceDB on object storage: the same table as the default store, in a bucket, for any number of readers and writers.

Credentials and endpoint come from the environment, as all tools for that storage read them (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP=true for a plain http endpoint).
Costs: no local cache, so a search reads every vector over the network: some 10 ms for 10,000 entries nearby. To search
a large one fast, copy it down: ``askaudio copy s3://bucket/sounds ~/collections/sounds``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from askaudio.core.errors import CollectionNotFoundError, IndexStoreError
from askaudio.core.types import FloatArray
from askaudio.engines.lance import PLAIN, LanceTable, entries_of_batch
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, match_of
from askaudio.index.filters import Filter
from askaudio.index.ranking import MARGIN_F32, exact_scores, rank
from askaudio.index.sql import lance_sql
from askaudio.index.store import VectorStore

_PAGE = 2000
_OPTIONS = {
    "AWS_ENDPOINT_URL": "aws_endpoint",
    "AWS_ALLOW_HTTP": "allow_http",
    "AWS_REGION": "aws_region",
}  # what the storage layer does not look up by itself under these names


class ObjectStore(VectorStore):
    """A collection in a bucket.

    Args:
        url: Such as ``s3://bucket/prefix``.
        table: Opened.
        identity: Of the encoder.
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
        return [self._rank(query, top_k, where) for query in vectors]

    def _rank(self, query: FloatArray, top_k: int, where: Filter | None) -> list[Match]:
        """Fetch until the last candidate lies clearly below the k-th: then no tie was cut off."""
        count = 2 * top_k + 20
        while True:
            entries = self._table.nearest(query, count, where)
            if not entries:
                return []
            scores = exact_scores(query, np.stack([e.vector for e in entries]))
            order = rank(scores, [e.entry_id for e in entries], top_k)
            if len(entries) < count or scores.min() < scores[order[-1]] - 2 * MARGIN_F32:
                return [match_of(entries[i], float(scores[i])) for i in order]
            count *= 4

    def _delete(self, where: Filter) -> int:
        return self._table.delete(where)

    def get(self, entry_ids: Sequence[str]) -> list[Entry]:
        """Entries of these ids in this order; unknown ids are left out."""
        with self.lock:
            found = self._table.entries(list(entry_ids))
        return [found[key] for key in entry_ids if key in found]

    def _count(self, where: Filter | None) -> int:
        return self._table.count(where)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        condition = lance_sql(where) if where is not None else None
        if not vectors:
            found = [e for batch in self._table.scan(PLAIN, condition) for e in entries_of_batch(batch)]
            yield from sorted(found, key=lambda e: e.entry_id)
            return
        ids = sorted(key for batch in self._table.scan(["entry_id"], condition) for key in batch.column(0).to_pylist())
        for start in range(0, len(ids), _PAGE):
            yield from self.get(ids[start : start + _PAGE])

    def version(self) -> str:
        """Number of the newest commit."""
        return str(self._table.version())

    def save(self) -> None:
        """Merge small files."""
        self._must_write()
        self._table.optimize()

    def snapshot(self, name: str) -> None:
        """Keep the present content under a name."""
        self._must_write()
        self._table.snapshot(name)

    def snapshots(self) -> list[str]:
        """Names of the kept snapshots."""
        return self._table.snapshots()

    def restore(self, name: str) -> None:
        """Go back to a snapshot."""
        self._must_write()
        if name not in self.snapshots():
            have = ", ".join(self.snapshots()) or "none"
            raise IndexStoreError(f"{self.url} has no snapshot {name!r}; it has: {have}")
        self._table.restore(name)

    def close(self) -> None:
        """Nothing is held open."""


def open_objects(url: str, mode: Mode, identity: Identity | None) -> tuple[ObjectStore, bool]:
    """Open a bucket's collection; with mode "w" and an identity, make it when there is none.

    Returns:
        The store and whether it stood there already.

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
