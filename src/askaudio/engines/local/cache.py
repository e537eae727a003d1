"""The files beside a LanceDB table that make searching fast: a pure function of one version of the table.

    COLLECTION/cache/current.json    {"version": newest manifest of the table, "base": folder, "delta": folder or null}
    COLLECTION/cache/base-3/         a Table, vectors.npy and, when large, accelerator.faiss
    COLLECTION/cache/delta-7/        a small Table of what changed since, and dead.npy

Whether the cache is fresh is seen from a directory listing, so a fresh one is opened without importing lancedb. A stale
one (a writer was killed before it could save) is completed from the table: only what differs is read.
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
from askaudio.engines.lance import TABLE, LanceTable, vectors_of_batch
from askaudio.engines.local import accelerator
from askaudio.engines.local.accelerator import Accelerator
from askaudio.engines.local.table import IN_MEMORY, Float64Array, Table, VectorFile, VectorWriter, make_table
from askaudio.engines.local.view import View


def newest_version(folder: Path) -> str:
    """Name of the newest manifest of the table in a folder: LanceDB counts them downwards, so it is the smallest."""
    try:
        names = [name for name in os.listdir(folder / f"{TABLE}.lance" / "_versions") if name.endswith(".manifest")]
    except OSError:
        return ""
    return min(names, default="")


def empty_view(dim: int) -> View:
    """A view of nothing."""
    nothing = Table.of([], [], dim)
    return View(nothing, nothing, np.zeros(0, np.bool_))


_NUMBERS_ASKED = 100  # so many write numbers are named in a question to the table; with more, all of it is looked at


class Cache:
    """The cache folder of one collection.

    Args:
        folder: Of the collection.
        dim: D.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._folder = folder
        self._root = folder / "cache"
        self._dim = dim

    # --- reading ----------------------------------------------------------------------------------------------
    def load(self) -> tuple[str, View]:
        """(version it stands for, view); ("", empty view) when there is none or it is damaged."""
        for _ in range(3):  # a writer may replace the folders between our reading the pointer and opening them
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
        """The version of the table that was published last; empty when there is none."""
        return str(self._current().get("version", ""))

    def _load(self) -> tuple[str, View]:
        if not (self._root / "current.json").exists():
            return "", empty_view(self._dim)
        current = read_json(self._root / "current.json")
        base_folder = self._root / str(current["base"])
        base = Table.load(base_folder)
        index = base_folder / "accelerator.faiss"
        fast = Accelerator(index) if len(base) > IN_MEMORY else None
        if fast is not None and len(fast) != len(base):
            raise ValueError(f"{index} holds {len(fast)} rows, its table {len(base)}")
        view = View(base, Table.of([], [], self._dim), np.zeros(len(base), np.bool_), fast)
        if current["delta"]:
            delta_folder = self._root / str(current["delta"])
            dead = np.load(delta_folder / "dead.npy", allow_pickle=False)
            if dead.shape != (len(base),):
                raise ValueError(f"{delta_folder} does not fit {base_folder}")
            view = View(base, Table.load(delta_folder), dead, fast)
        return str(current["version"]), view

    def complete(self, view: View, lance: LanceTable) -> View:
        """Bring a view up to date: only what differs from the table is read."""
        return _changed(view, lance, *_differences(view, lance, self._went_back()))

    def complete_small(self, view: View, lance: LanceTable) -> View | None:
        """The same; None when so much differs that the base is built anew: in memory an entry takes 8 kB."""
        wanted, gone = _differences(view, lance, self._went_back())
        return None if len(wanted) + len(gone) > _most_changes(view) else _changed(view, lance, wanted, gone)

    def _went_back(self) -> bool:
        return bool(self._current().get("went_back"))

    # --- writing (only under the writer's lock) ---------------------------------------------------------------
    def publish(self, view: View | None, lance: LanceTable) -> View:
        """Write what a fresh open needs; a delta that has grown is built into a new base.

        Args:
            view: The newest content; None builds the base from the table without having it in memory.
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
        self._forget({base, delta, current.get("base"), current.get("delta")})  # the last ones may be being opened
        return view if view is not None and base == current.get("base") else self._load()[1]

    def will_go_back(self) -> None:
        """Say that the table is about to be set to an old version: nothing is taken as known until it is published."""
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
        """A new base straight from the table, vectors streamed to disk in the order of their ids."""
        with self._fresh("base") as folder:
            ids, texts, text_of, numbers, seq = self._columns(lance)
            self._stream_vectors(lance, ids, folder / "vectors.npy")
            vectors = VectorFile(folder / "vectors.npy")
            make_table(ids, texts, text_of, numbers, seq, vectors).save(folder)
            if len(ids) > IN_MEMORY:
                accelerator.build(vectors, folder / "accelerator.faiss")
        return folder.name

    @staticmethod
    def _columns(lance: LanceTable) -> tuple[list[str], list[str], IntArray, Float64Array, IntArray]:
        """All but the vectors, sorted by id: ids, distinct docs, doc of each row, (2, N) times, write numbers."""
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
        return [ids[i] for i in order], list(texts), column("doc", np.int64), numbers, column("seq", np.int64)

    def _stream_vectors(self, lance: LanceTable, ids: list[str], target: Path) -> None:
        place = {key: row for row, key in enumerate(ids)}
        with atomic_path(target) as temporary:
            out = VectorWriter(temporary, len(ids), self._dim)
            for batch in lance.scan(["entry_id", "vector"]):
                rows = np.array([place[key] for key in batch.column("entry_id").to_pylist()], np.int64)
                order = np.argsort(rows)
                if len(rows):
                    out.write(rows[order], vectors_of_batch(batch)[order])
            out.close()

    @contextlib.contextmanager
    def _fresh(self, kind: str) -> Iterator[Path]:
        """A new folder under the next free number; removed again when writing it fails."""
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

    def _forget(self, keep: set[str | None]) -> None:
        for path in self._root.glob("*-*"):
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def _most_changes(view: View) -> int:
    """So many changes go into a delta; with more, the base is built anew."""
    return max(1_000, len(view.base) // 50)


def _differences(view: View, lance: LanceTable, went_back: bool) -> tuple[dict[str, int], list[str]]:
    """What the table has that the view has not (id -> write number), and what is gone.

    One write gives all its entries one number, and later they only leave it, be it by a delete or by being replaced.
    So a number that both have equally often stands for the same entries in both, and only the others are looked at:
    of a million entries and a small change, one column of numbers is read. Not so when the table went back to an old
    version: entries may have come back in the place of as many others.
    """
    alive = np.flatnonzero(~view.dead)
    ours = np.concatenate([view.base.seq[alive], view.delta.seq])
    batches = [batch.column("seq").to_numpy() for batch in lance.scan(["seq"])]
    theirs = np.concatenate([np.zeros(0, np.int64), *batches])
    changed = np.union1d(ours, theirs) if went_back else _numbers_that_differ(ours, theirs)
    if not len(changed):
        return {}, []
    in_base, in_delta = alive[np.isin(view.base.seq[alive], changed)], np.flatnonzero(np.isin(view.delta.seq, changed))
    have = {view.base.ids[row]: int(view.base.seq[row]) for row in in_base.tolist()}
    have.update((view.delta.ids[row], int(view.delta.seq[row])) for row in in_delta.tolist())
    asked = f"seq IN ({', '.join(map(str, changed.tolist()))})" if len(changed) <= _NUMBERS_ASKED else None
    wanted = {}
    for batch in lance.scan(["entry_id", "seq"], asked):
        some = batch.column("seq").to_numpy()
        rows = np.flatnonzero(np.isin(some, changed))
        for key, seq in zip(batch.column("entry_id").take(rows).to_pylist(), some[rows].tolist(), strict=True):
            if have.pop(key, None) != seq:
                wanted[key] = seq
    return wanted, list(have)


def _numbers_that_differ(ours: IntArray, theirs: IntArray) -> IntArray:
    """Numbers that one side has more often than the other."""
    (a, a_counts), (b, b_counts) = (np.unique(numbers, return_counts=True) for numbers in (ours, theirs))
    numbers = np.union1d(a, b)
    counts = np.zeros((2, len(numbers)), np.int64)
    counts[0, np.searchsorted(numbers, a)] = a_counts
    counts[1, np.searchsorted(numbers, b)] = b_counts
    return numbers[counts[0] != counts[1]]


def _changed(view: View, lance: LanceTable, wanted: dict[str, int], gone: list[str]) -> View:
    if not wanted and not gone:
        return view
    entries = lance.entries(list(wanted))
    return view.changed(list(entries.values()), [wanted[key] for key in entries], gone)


def _flush(folder: Path) -> None:
    """Make all files of a folder safe on disk before a pointer names them."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
