"""Checksums of stored rows. A store keeps one number beside every entry and compares it when it reads the entry.

The number holds two CRC-32: the upper half of the facts (ids, times, path, metadata), the lower half of the vector. So
either half can be verified without the other. CRC-32 finds every single flipped bit, and other damage with a
probability of 1 - 2**-32, at 1.5 GB/s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import FloatArray, IntArray
from askaudio.index.entries import Entry, doc_text


@dataclass(frozen=True, slots=True)
class AuditedRow:
    """One row as it is stored, and what is wrong with it.

    Attributes:
        entry: The entry, as far as it can be read.
        fault: Why the row is damaged; empty if it is not.
        verified: Whether a checksum was stored beside it. Rows written by older versions have none.
    """

    entry: Entry
    fault: str = ""
    verified: bool = True


def facts_sum(entry_id: str, doc: str, start_s: float, end_s: float) -> int:
    """CRC-32 of everything except the vector.

    Args:
        entry_id: Id of the entry.
        doc: Its ``entries.doc_text``, which contains clip id, path and metadata.
        start_s: Start of the window, in seconds.
        end_s: End of the window, in seconds.
    """
    return crc32(f"{entry_id}\n{start_s!r}\n{end_s!r}\n{doc}".encode("utf-8", "surrogatepass"))


def vector_sums(vectors: FloatArray) -> IntArray:
    """CRC-32 of each row (N, D) -> (N,)."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    size, data = rows.shape[1] * 4, rows.data.cast("B") if rows.size else memoryview(b"")
    return np.array([crc32(data[row * size : (row + 1) * size]) for row in range(len(rows))], np.int64)


def combined(facts: Sequence[int] | IntArray, vectors: IntArray) -> IntArray:
    """Checksums (N,) as signed 64-bit numbers, which every engine can store, from both halves (N,)."""
    upper = np.asarray(facts, np.uint64) << np.uint64(32)
    return (upper | vectors.astype(np.uint64)).view(np.int64)


def upper_half(checksum: int) -> int:
    """The CRC-32 of the facts in a checksum."""
    return (checksum >> 32) & 0xFFFFFFFF


def lower_half(checksums: IntArray) -> IntArray:
    """The CRC-32 of the vectors in checksums (N,)."""
    return checksums & 0xFFFFFFFF


def checksums_of(entries: Sequence[Entry], dim: int) -> IntArray:
    """Checksums (N,) of entries.

    Args:
        entries: N entries with vectors.
        dim: D, for the case that there are no entries.
    """
    facts = [facts_sum(e.entry_id, doc_text(e.clip_id, e.path, e.metadata), e.start_s, e.end_s) for e in entries]
    vectors = np.stack([e.vector for e in entries]) if entries else np.zeros((0, dim), np.float32)
    return combined(facts, vector_sums(vectors))


def fault_of(entry: Entry, checksum: int | None, doc: str | None = None) -> str:
    """Why an entry does not agree with the checksum that was stored beside it; empty if it does, or without one.

    Args:
        entry: The entry; a vector of shape (0,) is not verified.
        checksum: The stored number; None if there is none.
        doc: Its ``entries.doc_text`` as stored; None to make it from the entry.
    """
    if checksum is None:
        return ""
    doc = doc_text(entry.clip_id, entry.path, entry.metadata) if doc is None else doc
    facts = facts_sum(entry.entry_id, doc, entry.start_s, entry.end_s)
    if facts != upper_half(checksum):
        return "ids, times, path or metadata do not match their checksum"
    if len(entry.vector) and int(vector_sums(entry.vector[None])[0]) != checksum & 0xFFFFFFFF:
        return "the vector does not match its checksum"
    return ""


def checked(entry: Entry, checksum: int | None, url: str) -> Entry:
    """The entry, if it agrees with its checksum.

    Args:
        entry: The entry as it was read.
        checksum: The stored number; None if there is none.
        url: Address of the collection, for the message.

    Raises:
        IndexStoreError: It does not agree.
    """
    if fault := fault_of(entry, checksum):
        raise IndexStoreError(
            f"{url} is damaged: {entry.entry_id} ({entry.path}): {fault}. "
            f"Fix: askaudio collection repair --collection {url}"
        )
    return entry
