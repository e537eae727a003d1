"""The files beside a LanceDB table that make search fast. They contain nothing that the table does not.

    COLLECTION/cache/current.json    {"version": newest manifest of the table, "base": folder, "delta": folder or null}
    COLLECTION/cache/base-3/         Columns, with vectors.npy and, if large, accelerator.faiss
    COLLECTION/cache/delta-7/        Columns of what changed since the base was built, and dead.npy

Folders never change after they were written. A writer makes new ones and then replaces ``current.json``, the only file
that is replaced, in one atomic step. So a reader, or a crash, sees the old cache or the new one.

A directory listing tells whether the cache is up to date, so an up-to-date one is opened without importing lancedb. A
stale one (a writer was killed before it saved) is completed from the table: only what differs is read. A damaged one is
ignored. The cache can always be deleted; that costs time, never content.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.core.types import IntArray
from askaudio.engines.lance_table import TABLE, LanceTable, vectors_of_batch
from askaudio.engines.local import accelerator
from askaudio.engines.local.accelerator import Accelerator
from askaudio.engines.local.columns import IN_MEMORY, Columns, build_columns
from askaudio.engines.local.vector_file import VectorFile, VectorWriter
from askaudio.engines.local.view import View


def newest_version(folder: Path) -> str:
    """Name of the newest manifest of the table in a folder, "" without a table.

    LanceDB writes one manifest per commit and numbers them downwards, so the newest has the smallest name.
    """
    try:
        names = [name for name in os.listdir(folder / f"{TABLE}.lance" / "_versions") if name.endswith(".manifest")]
    except OSError:
        return ""
    return min(names, default="")


def empty_view(dim: int) -> View:
    """A view without entries."""
    nothing = Columns.of([], [], dim)
    return View(nothing, nothing, np.zeros(0, np.bool_))


_MOST_NAMED = 100  # write numbers in one condition of a query; for more, reading the whole column is faster


class Cache:
    """The cache folder of one collection.

    Args:
        folder: Folder of the collection.
        dim: D of the vectors.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._folder = folder
        self._root = folder / "cache"
        self._dim = dim

    # --- reading ----------------------------------------------------------------------------------------------
    def load(self) -> tuple[str, View]:
        """(version of the table it was made from, view); ("", empty view) if there is none or it is damaged."""
        for _ in range(3):  # a writer may delete the folders after this reader read current.json
            try:
                return self._load()
            except (OSError, ValueError, KeyError, TypeError, DataError, RuntimeError):
                continue
        return "", empty_view(self._dim)

    def stamp(self) -> str:
        """A text that changes with every publication."""
        try:
            return (self._root / "current.json").read_text(encoding="utf-8")
        except OSError:
            return ""

    def version(self) -> str:
        """The version of the table that the cache was made from; "" if there is none."""
        return str(self._current().get("version", ""))

    def _load(self) -> tuple[str, View]:
        if not (self._root / "current.json").exists():
            return "", empty_view(self._dim)
        current = read_json(self._root / "current.json")
        base_folder = self._root / str(current["base"])
        base = Columns.load(base_folder)
        index = base_folder / "accelerator.faiss"
        fast = Accelerator(index) if len(base) > IN_MEMORY else None
        if fast is not None and len(fast) != len(base):
            raise ValueError(f"{index} holds {len(fast)} rows, its base {len(base)}")
        view = View(base, Columns.of([], [], self._dim), np.zeros(len(base), np.bool_), fast)
        if current["delta"]:
            delta_folder = self._root / str(current["delta"])
            dead = np.load(delta_folder / "dead.npy", allow_pickle=False)
            if dead.shape != (len(base),):
                raise ValueError(f"{delta_folder} does not fit {base_folder}")
            view = View(base, Columns.load(delta_folder), dead, fast)
        return str(current["version"]), view

    def complete(self, view: View, lance: LanceTable) -> View:
        """The view of the newest version of the table; only entries that differ are read."""
        return _changed(view, lance, *_differences(view, lance, self._went_back()))

    def complete_small(self, view: View, lance: LanceTable) -> View | None:
        """The same; None if so much differs that ``publish`` builds a new base from the table anyway.

        Reading the changes first would only cost memory: 8 kB per entry.
        """
        newer, gone = _differences(view, lance, self._went_back())
        return None if len(newer) + len(gone) > _most_changes(view) else _changed(view, lance, newer, gone)

    def _went_back(self) -> bool:
        return bool(self._current().get("went_back"))

    # --- writing (only under the writer's lock) ---------------------------------------------------------------
    def publish(self, view: View | None, lance: LanceTable) -> View:
        """Write the cache for the newest version of the table: a delta, or a new base if much has changed.

        Args:
            view: The newest content; None builds a new base from the table, without holding the entries in memory.
            lance: The table.

        Returns:
            The view as it is now on disk.
        """
        current = self._current()
        changes = None if view is None or "base" not in current else len(view.delta) + int(view.dead.sum())
        if view is None or changes is None or changes > _most_changes(view):
            base = self._build(lance)
            delta = None
        else:
            base = str(current["base"])
            delta = self._write_delta(view) if changes else None
        pointer = {"version": newest_version(self._folder), "base": base, "delta": delta}
        write_json(self._root / "current.json", pointer)
        # keep the folders of the previous pointer too: a reader may have read it and be about to open them
        self._delete_all_but({base, delta, current.get("base"), current.get("delta")})
        return view if view is not None and base == current.get("base") else self._load()[1]

    def will_go_back(self) -> None:
        """Record that the table is about to return to a snapshot; the mark is gone after the next ``publish``.

        Until then, readers compare the cache with the table entry by entry, see ``_differences``.
        """
        if current := self._current():
            write_json(self._root / "current.json", {**current, "went_back": True})

    def _current(self) -> dict[str, Any]:
        with contextlib.suppress(DataError):
            value = read_json(self._root / "current.json")
            return dict(value) if isinstance(value, dict) else {}
        return {}

    def _write_delta(self, view: View) -> str:
        with self._fresh("delta") as folder:
            view.delta.save(folder)
            np.save(folder / "dead.npy", view.dead)
        return folder.name

    def _build(self, lance: LanceTable) -> str:
        """Build a new base from the table; vectors go to disk in batches, in the order of their ids."""
        with self._fresh("base") as folder:
            columns = self._columns(lance)
            self._stream_vectors(lance, columns["ids"], folder / "vectors.npy")
            vectors = VectorFile(folder / "vectors.npy")
            build_columns(**columns, vectors=vectors).save(folder)
            if len(vectors) > IN_MEMORY:
                accelerator.build(vectors, folder / "accelerator.faiss")
        return folder.name

    @staticmethod
    def _columns(lance: LanceTable) -> dict[str, Any]:
        """Arguments of ``build_columns``, except the vectors: everything of the table that fits into memory."""
        ids: list[str] = []
        texts: dict[str, int] = {}
        pieces: dict[str, list[Any]] = {name: [] for name in ("doc", "start_s", "end_s", "seq")}
        for batch in lance.scan(["entry_id", *pieces]):
            ids += batch.column("entry_id").to_pylist()
            docs = batch.column("doc").to_pylist()
            pieces["doc"].append(np.array([texts.setdefault(text, len(texts)) for text in docs], np.int64))
            for name in ("start_s", "end_s", "seq"):
                pieces[name].append(batch.column(name).to_numpy())
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

        def column(name: str, kind: type) -> Any:
            return np.concatenate([np.zeros(0, kind), *pieces[name]])[order]

        numbers = np.stack([column("start_s", np.float64), column("end_s", np.float64)])
        return {
            "ids": [ids[i] for i in order],
            "texts": list(texts),
            "text_of": column("doc", np.int64),
            "numbers": numbers,
            "seq": column("seq", np.int64),
        }

    def _stream_vectors(self, lance: LanceTable, ids: list[str], target: Path) -> None:
        """Copy the vectors of the table into a file, in the order of ``ids``; memory: one batch."""
        place = {key: row for row, key in enumerate(ids)}
        with atomic_path(target) as temporary:
            out = VectorWriter(temporary, len(ids), self._dim)
            for batch in lance.scan(["entry_id", "vector"]):
                rows = np.array([place[key] for key in batch.column("entry_id").to_pylist()], np.int64)
                order = np.argsort(rows)  # consecutive rows are written by one call
                if len(rows):
                    out.write(rows[order], vectors_of_batch(batch)[order])
            out.close()

    @contextlib.contextmanager
    def _fresh(self, kind: str) -> Iterator[Path]:
        """A new folder with the next free number, flushed to disk at the end, removed if writing fails."""
        self._root.mkdir(parents=True, exist_ok=True)
        numbers = [int(p.name.split("-")[1]) for p in self._root.glob("*-*") if p.name.split("-")[1].isdigit()]
        folder = self._root / f"{kind}-{max(numbers, default=0) + 1}"
        folder.mkdir()
        try:
            yield folder
            _flush(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _delete_all_but(self, keep: set[str | None]) -> None:
        for path in self._root.glob("*-*"):
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def _most_changes(view: View) -> int:
    """Largest number of changes kept in the delta; beyond it, the base is rebuilt."""
    return max(1_000, len(view.base) // 50)


def _differences(view: View, lance: LanceTable, restored: bool) -> tuple[dict[str, int], list[str]]:
    """What differs between a view and the table, found without reading the ids of all entries.

    Every call of ``add`` gives all its entries one write number. Afterwards an entry can only lose this number: it is
    deleted, or replaced and gets a newer one. So if view and table have the same count of entries with a number, these
    are the same entries, and they need no closer look. For a million entries and a small change, this reads one column
    of integers and the ids behind the few numbers whose counts differ.

    A restored snapshot breaks the argument: entries with an old number can come back while others with the same number
    disappear, and the count stays. Then all numbers are compared entry by entry.

    Args:
        view: A state of the collection, probably an older one.
        lance: The table.
        restored: Whether the table returned to a snapshot since the cache was published.

    Returns:
        Entries to read from the table (id -> write number), and ids to remove from the view.
    """
    alive = np.flatnonzero(~view.dead)
    ours = np.concatenate([view.base.seq[alive], view.delta.seq])
    batches = [batch.column("seq").to_numpy() for batch in lance.scan(["seq"])]
    theirs = np.concatenate([np.zeros(0, np.int64), *batches])
    suspect = np.union1d(ours, theirs) if restored else _numbers_that_differ(ours, theirs)
    if not len(suspect):
        return {}, []
    in_base, in_delta = alive[np.isin(view.base.seq[alive], suspect)], np.flatnonzero(np.isin(view.delta.seq, suspect))
    have = {view.base.ids[row]: int(view.base.seq[row]) for row in in_base.tolist()}
    have.update((view.delta.ids[row], int(view.delta.seq[row])) for row in in_delta.tolist())
    condition = f"seq IN ({', '.join(map(str, suspect.tolist()))})" if len(suspect) <= _MOST_NAMED else None
    newer = {}
    for batch in lance.scan(["entry_id", "seq"], condition):
        seqs = batch.column("seq").to_numpy()
        rows = np.flatnonzero(np.isin(seqs, suspect))
        for key, seq in zip(batch.column("entry_id").take(rows).to_pylist(), seqs[rows].tolist(), strict=True):
            # an entry with the same id and the same number is the same entry
            if have.pop(key, None) != seq:
                newer[key] = seq
    return newer, list(have)  # what is left in ``have`` is not in the table


def _numbers_that_differ(ours: IntArray, theirs: IntArray) -> IntArray:
    """Numbers that occur more often in one array than in the other."""
    (a, a_counts), (b, b_counts) = (np.unique(numbers, return_counts=True) for numbers in (ours, theirs))
    numbers = np.union1d(a, b)
    counts = np.zeros((2, len(numbers)), np.int64)
    counts[0, np.searchsorted(numbers, a)] = a_counts
    counts[1, np.searchsorted(numbers, b)] = b_counts
    return numbers[counts[0] != counts[1]]


def _changed(view: View, lance: LanceTable, newer: dict[str, int], gone: list[str]) -> View:
    if not newer and not gone:
        return view
    entries = lance.entries(list(newer))
    return view.changed(list(entries.values()), [newer[key] for key in entries], gone)


def _flush(folder: Path) -> None:
    """Write all files of a folder to disk before a pointer names them: a power cut must not leave empty files."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the names of the files
        finally:
            os.close(descriptor)
