"""What a store accepts: entries and query vectors are checked once, before any engine sees them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import FloatArray, Json
from askaudio.index.entries import Entry
from askaudio.index.ranking import unit_rows

SURROGATE = re.compile("[\ud800-\udfff]")  # half of a UTF-16 pair: no Unicode text, databases refuse it


def accept_entries(entries: list[Entry], dim: int) -> list[Entry]:
    """Entries as engines store them: vectors of length 1, times as floats, metadata as JSON returns it.

    Args:
        entries: What a caller adds, at least one.
        dim: D of the store.

    Raises:
        IndexStoreError: An id twice or empty, a wrong dimension, NaN or infinity, metadata that is not JSON.
    """
    if len({e.entry_id for e in entries}) != len(entries):
        raise IndexStoreError("an entry_id occurs twice in one add; ids must be unique")
    for entry in entries:
        if not entry.entry_id or not entry.clip_id:
            raise IndexStoreError(f"an entry has an empty id (clip {entry.clip_id!r}, path {entry.path!r})")
        if "\0" in (ids := entry.entry_id + entry.clip_id) or SURROGATE.search(ids):
            raise IndexStoreError(f"the id {entry.entry_id!r} of {entry.clip_id!r} holds NUL or half a surrogate pair")
        if np.shape(entry.vector) != (dim,):
            raise IndexStoreError(
                f"entry {entry.entry_id} has a vector of the shape {np.shape(entry.vector)}; expected ({dim},)"
            )
    vectors = unit_rows(np.stack([e.vector for e in entries]))
    if not np.isfinite(vectors).all():
        raise IndexStoreError("a vector holds NaN or infinity; check the encoder")
    return [
        replace(e, vector=v, start_s=float(e.start_s), end_s=float(e.end_s), metadata=_plain(e))
        for e, v in zip(entries, vectors, strict=True)
    ]


def accept_queries(vectors: FloatArray, dim: int, url: str) -> FloatArray:
    """Query vectors (D,) or (Q, D) as rows (Q, D) of length 1.

    Args:
        vectors: What a caller searches with.
        dim: D of the store.
        url: Address of the store, for the message.

    Raises:
        IndexStoreError: A wrong shape, NaN or infinity.
    """
    queries = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise IndexStoreError(f"query vectors have the shape {np.shape(vectors)}; {url} holds {dim}-d vectors")
    if not np.isfinite(queries).all():
        raise IndexStoreError("query vectors hold NaN or infinity; check the encoder")
    return unit_rows(queries)


def _plain(entry: Entry) -> Json:
    """Metadata after a round trip through JSON, so that every engine returns the same (tuples become lists)."""
    try:
        text = json.dumps(dict(entry.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise IndexStoreError(f"metadata of {entry.entry_id} is not JSON: {error}") from error
    if "\\u0000" in text or "\0" in entry.path:  # PostgreSQL cannot store this character in a text
        raise IndexStoreError(f"metadata or path of {entry.entry_id} holds a NUL character; remove it first")
    value: Json = json.loads(text)
    return value
