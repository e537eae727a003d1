"""The reference engine: every entry in a dict, every search a full scan. All other engines are tested against it.

Costs: 4 D bytes of memory per entry; a search reads all vectors; ``save`` writes everything again. So a store on disk
suits some ten thousand entries. ``memory:`` keeps nothing; ``exact:FOLDER`` writes vectors (part-N.npy) and entries
(part-N.jsonl) under new names and then replaces collection.json, so a ``save`` that is killed leaves the old content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import IndexStoreError
from askaudio.core.files import atomic_path
from askaudio.core.types import FloatArray
from askaudio.engines.sealed import read_sealed, write_sealed
from askaudio.engines.writer_lock import WriterLock
from askaudio.index.checksum import AuditedRow, checksums_of, fault_of
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, match_of
from askaudio.index.filters import Filter, holds
from askaudio.index.ranking import MARGIN_F32, best_rows, exact_scores, rank
from askaudio.index.store import VectorStore

_NO_VECTOR = np.zeros(0, np.float32)


class ExactStore(VectorStore):
    """A collection in memory, optionally saved in a folder.

    Args:
        identity: Identity of the encoder.
        folder: Where it is saved; None for a store that is lost when it is closed.
        mode: "r" or "w"; "w" takes the writer's lock of the folder.
    """

    def __init__(self, identity: Identity, folder: Path | None = None, mode: Mode = "w") -> None:
        super().__init__(f"exact:{folder}" if folder else "memory:", identity, mode)
        self.capabilities = Capabilities(
            durable_add=False, snapshots=True, readers_while_writing=folder is not None, writers=1, approximate=False
        )
        self._folder = folder
        self._lock = WriterLock(folder / ".writer.lock") if folder and mode == "w" else None
        self._entries: dict[str, Entry] = {}
        self._snapshots: dict[str, dict[str, Entry]] = {}
        self._sorted: tuple[list[Entry], FloatArray] | None = None
        self._changes = 0
        self._faults: dict[str, str] = {}  # of entries read from the folder; an empty text: no checksum was stored
        if folder is not None and (folder / "collection.json").exists():
            self._read(folder, read_sealed(folder / "collection.json", ("engine", "identity", "files"))[0])

    # --- methods of an engine ---------------------------------------------------------------------------------
    def _upsert(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._entries[entry.entry_id] = entry
            self._faults.pop(entry.entry_id, None)
        self._changed()

    def _delete(self, where: Filter) -> int:
        gone = [key for key, entry in self._entries.items() if holds(where, entry)]
        for key in gone:
            del self._entries[key]
            self._faults.pop(key, None)
        if gone:
            self._changed()
        return len(gone)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        for entry in self._in_order()[0]:
            if holds(where, entry):
                yield entry if vectors else replace(entry, vector=_NO_VECTOR)

    def _audit(self) -> Iterator[AuditedRow]:
        for entry in self._in_order()[0]:
            fault = self._faults.get(entry.entry_id)
            yield AuditedRow(entry, fault or "", verified=fault != "")

    def version(self) -> str:
        """Number of changes since it was opened."""
        return str(self._changes)

    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        entries, matrix = self._in_order()
        if where is not None:
            kept = [i for i, entry in enumerate(entries) if holds(where, entry)]
            entries, matrix = [entries[i] for i in kept], matrix[kept]
        found = []
        for query in vectors:  # one at a time: a product with a batch differs in its last bits
            rows = best_rows(matrix @ query, top_k, MARGIN_F32)
            scores = exact_scores(query, matrix[rows])
            order = rank(scores, [entries[r].entry_id for r in rows], top_k)
            found.append([match_of(entries[rows[i]], float(scores[i])) for i in order])
        return found

    def _get(self, entry_ids: Sequence[str]) -> list[Entry]:
        return [self._entries[key] for key in entry_ids if key in self._entries]

    def _snapshot(self, name: str) -> None:
        self._snapshots[name] = dict(self._entries)

    def snapshots(self) -> list[str]:
        """Names of the snapshots, sorted."""
        return sorted(self._snapshots)

    def _restore(self, name: str) -> None:
        self._entries = dict(self._snapshots[name])
        self._faults.clear()
        self._changed()

    def save(self) -> None:
        """Write everything to the folder; nothing to do for ``memory:``."""
        folder = self._folder
        if folder is None:
            return
        self._must_write()
        contents = {"": self._entries, **self._snapshots}  # the current content has no name
        try:
            files = {name: self._write_part(folder, entries) for name, entries in contents.items()}
            description = {"engine": "exact", "identity": self.identity.to_json(), "files": files}
            write_sealed(folder / "collection.json", description)
        except OSError as error:
            raise IndexStoreError(f"cannot save {self.url}: {error}; the old content is intact") from error
        for path in folder.glob("part-*"):
            if path.name.rsplit(".", 1)[0] not in files.values():
                path.unlink()

    def close(self) -> None:
        """Release the lock; changes that were not saved are lost."""
        if self._lock is not None:
            self._lock.release()

    # --- internals --------------------------------------------------------------------------------------------
    def _changed(self) -> None:
        self._changes += 1
        self._sorted = None

    def _in_order(self) -> tuple[list[Entry], FloatArray]:
        """Entries sorted by id and their vectors (N, D); kept until the next change."""
        if self._sorted is None:
            self._sorted = self._columns(self._entries)
        return self._sorted

    def _columns(self, entries: dict[str, Entry]) -> tuple[list[Entry], FloatArray]:
        ordered = [entries[key] for key in sorted(entries)]
        empty = np.zeros((0, self.identity.embed_dim), np.float32)
        return ordered, np.stack([e.vector for e in ordered]) if ordered else empty

    def _write_part(self, folder: Path, entries: dict[str, Entry]) -> str:
        """Write one content under a number that no part has yet; returns ``part-N``."""
        number = 1 + max((int(p.name[5:].split(".")[0]) for p in folder.glob("part-*.npy")), default=0)
        name = f"part-{number}"
        ordered, matrix = self._columns(entries)
        with atomic_path(folder / f"{name}.jsonl") as temporary, temporary.open("w", encoding="utf-8") as file:
            for e, checksum in zip(ordered, checksums_of(ordered, self.identity.embed_dim).tolist(), strict=True):
                row = [e.entry_id, e.clip_id, e.start_s, e.end_s, e.path, dict(e.metadata), checksum]
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        with atomic_path(folder / f"{name}.npy") as temporary, temporary.open("wb") as binary:
            np.save(binary, matrix)
        return name

    def _read(self, folder: Path, description: Any) -> None:
        try:
            files = dict(description["files"])
            read = {label: self._read_part(folder, str(name), faults={}) for label, name in files.items() if label}
            self._entries = self._read_part(folder, str(files[""]), self._faults) if "" in files else {}
        except Exception as error:  # damaged bytes raise any error of JSON and numpy
            raise IndexStoreError(
                f"{self.url} is damaged: {error!r}. Fix: run askaudio index again into a new collection"
            ) from error
        self._snapshots = read

    def _read_part(self, folder: Path, name: str, faults: dict[str, str]) -> dict[str, Entry]:
        """Read what ``_write_part`` wrote; entries that do not agree with their checksums are noted in ``faults``."""
        rows, matrix = _rows_of_part(folder, name)
        if matrix.dtype != np.float32 or matrix.shape != (len(rows), self.identity.embed_dim):
            raise ValueError(f"{name}.npy holds {matrix.dtype} of shape {matrix.shape} for {len(rows)} entries")
        found = {}
        for (key, clip, start, end, path, metadata, *checksum), vector in zip(rows, matrix, strict=True):
            entry = Entry(key, clip, vector, start, end, path, dict(metadata))
            fault = fault_of(entry, checksum[0]) if checksum else ""
            if fault or not checksum:
                faults[key] = fault
            found[key] = entry
        return found


def _rows_of_part(folder: Path, name: str) -> tuple[list[Any], FloatArray]:
    matrix = np.load(folder / f"{name}.npy", allow_pickle=False)
    # iterating over the file splits at "\n" only; str.splitlines would also split at U+2028 inside a text
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows, matrix
