"""The files beside a LanceDB table that make search fast. They contain nothing that the table does not.

    COLLECTION/cache/current.json    {"version": newest manifest of the table, "base": folder, "delta": folder or null,
                                      "rules": number of the rules by which texts became words, ``words.RULES``}
    COLLECTION/cache/base-3/         Columns, with vectors.npy and, if large, accelerator.faiss; files.json
    COLLECTION/cache/delta-7/        Columns of what changed since the base was built, and dead.npy; files.json
    COLLECTION/cache/table.json      checksums of the table's own files

Folders never change after they were written. A writer makes new ones and then replaces ``current.json``, the only file
that is replaced, in one atomic step. So a reader, or a crash, sees the old cache or the new one.

A directory listing tells whether the cache is up to date, so an up-to-date one is opened without importing lancedb. A
stale one (a writer was killed before it saved) is completed from the table: only what differs is read. A damaged one is
ignored by readers and built again by writers. One with words by older rules is indexed again: by readers in memory, by
writers on disk. The cache can always be deleted; that costs time, never content.

``files.json`` has the size and CRC-32 of every other file of its folder. A reader verifies files of up to AT_OPEN bytes
when it opens them, and each vector when it first reads it; what is larger (the accelerator, and some columns from a
million entries on) is verified by ``check`` and when reading it fails. A writer verifies everything but the accelerator
before it uses the cache, because ``index`` decides by it what to encode and what to remove.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from askaudio.core.errors import DataError, IndexStoreError
from askaudio.core.files import atomic_path
from askaudio.core.types import BoolArray, IntArray
from askaudio.engines.lance_table import CHECKSUM, TABLE, LanceTable, read_guarded, vectors_of_batch
from askaudio.engines.local import accelerator
from askaudio.engines.local.accelerator import Accelerator
from askaudio.engines.local.columns import IN_MEMORY, Columns, build_columns
from askaudio.engines.local.vector_file import VectorFile, VectorWriter
from askaudio.engines.local.view import View
from askaudio.engines.sealed import Sums, damaged_files, read_sealed, sums_of, write_sealed
from askaudio.index.checksum import combined, facts_sum, vector_sums
from askaudio.index.words import RULES


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


AT_OPEN = 16_000_000  # bytes; all columns of a million entries are some 100 MB, read in 0.1 s
_SEAL, _VECTORS, _ACCELERATOR = "files.json", "vectors.npy", "accelerator.faiss"
_TABLE = "table.json"
_OLDER = ("version", "base", "delta", "went_back")  # keys of current.json before it had a checksum
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
    def load(self, thorough: bool = False) -> tuple[str, View]:
        """(version of the table it was made from, view); ("", empty view) if there is none or it is damaged.

        Args:
            thorough: Verify all columns, and refuse a cache without checksums.
        """
        for _ in range(3):  # a writer may delete the folders after this reader read current.json
            try:
                return self._load(thorough)
            except Exception:
                continue
        return "", empty_view(self._dim)

    def exists(self) -> bool:
        """Whether there is a cache, damaged or not."""
        return (self._root / "current.json").exists()

    def drop(self) -> None:
        """Make the present cache unreachable; the next ``publish`` writes a new one."""
        (self._root / "current.json").unlink(missing_ok=True)

    def stamp(self) -> str:
        """A text that changes with every publication."""
        try:
            return (self._root / "current.json").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def version(self) -> str:
        """The version of the table that the cache was made from; "" if there is none or its words are by old rules."""
        return "" if self.has_old_words() else str(self._current().get("version", ""))

    def has_old_words(self) -> bool:
        """Whether there is a cache whose words were indexed by other rules than the present ones."""
        return (current := self._current()).get("rules") != RULES and "base" in current

    def faults(self) -> list[str]:
        """Damaged files of the cache, as sentences; every byte is read."""
        if not self.exists():
            return []
        try:
            current, sealed = read_sealed(self._root / "current.json", _OLDER)
            if not sealed:
                return [f"{self._root}: the search cache has no checksums (an older version wrote it)"]
            for name in filter(None, (current["base"], current["delta"])):
                self._verify(self._root / str(name), None, None)
                Columns.load(self._root / str(name)).verify_vectors()
            if (self._root / _TABLE).exists():
                read_sealed(self._root / _TABLE, ())
        except Exception as error:
            return [f"the search cache is damaged: {error}"]
        return []

    def _load(self, thorough: bool) -> tuple[str, View]:
        if not self.exists():
            return "", empty_view(self._dim)
        current, sealed = read_sealed(self._root / "current.json", _OLDER)
        if thorough and not sealed:
            raise ValueError(f"{self._root} has no checksums")
        base_folder = self._root / str(current["base"])
        if sealed:
            self._verify(base_folder, None if thorough else AT_OPEN)
        present = current.get("rules") == RULES
        base = _loaded(base_folder, present)
        index = base_folder / _ACCELERATOR
        fast = Accelerator(index) if len(base) > IN_MEMORY else None
        if fast is not None and len(fast) != len(base):
            raise ValueError(f"{index} holds {len(fast)} rows, its base {len(base)}")
        view = View(base, Columns.of([], [], self._dim), np.zeros(len(base), np.bool_), fast)
        if current["delta"]:
            delta_folder = self._root / str(current["delta"])
            if sealed:
                self._verify(delta_folder, None if thorough else AT_OPEN)
            dead = np.load(delta_folder / "dead.npy", allow_pickle=False)
            if dead.shape != (len(base),):
                raise ValueError(f"{delta_folder} does not fit {base_folder}")
            view = View(base, _loaded(delta_folder, present), dead, fast)
        return str(current["version"]), view

    @staticmethod
    def _verify(folder: Path, columns_up_to: int | None, accelerator_up_to: int | None = AT_OPEN) -> None:
        """Compare the files of a folder with their checksums.

        Args:
            folder: Base or delta.
            columns_up_to: Only the sizes of larger files are compared; None reads all.
            accelerator_up_to: The same for the accelerator.

        Raises:
            ValueError: A file is damaged.
            DataError: The checksums are.
        """
        sums, _ = read_sealed(folder / _SEAL, ())
        accelerator = {name: sums.pop(name) for name in (_ACCELERATOR,) if name in sums}
        damaged = damaged_files(folder, sums, columns_up_to) + damaged_files(folder, accelerator, accelerator_up_to)
        if damaged:
            raise ValueError(f"{', '.join(str(folder / name) for name in damaged)} does not match its checksum")

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
        current, usable = self._current(), self._is_sealed() and not self.has_old_words()
        changes = None if view is None or not usable else len(view.delta) + int(view.dead.sum())
        if view is None or changes is None or changes > _most_changes(view):
            base = self._build(lance)
            delta = None
        else:
            base = str(current["base"])
            delta = self._write_delta(view) if changes else None
        pointer = {"version": newest_version(self._folder), "base": base, "delta": delta, "rules": RULES}
        self._note_table_files()
        write_sealed(self._root / "current.json", pointer)
        # keep the folders of the previous pointer too: a reader may have read it and be about to open them
        self._delete_all_but({base, delta, current.get("base"), current.get("delta")})
        return view if view is not None and base == current.get("base") else self._load(thorough=False)[1]

    def will_go_back(self) -> None:
        """Record that the table is about to return to a snapshot; the mark is gone after the next ``publish``.

        Until then, readers compare the cache with the table entry by entry, see ``_differences``.
        """
        if current := self._current():
            write_sealed(self._root / "current.json", {**current, "went_back": True})

    def _current(self) -> dict[str, Any]:
        with contextlib.suppress(DataError):
            return read_sealed(self._root / "current.json", _OLDER)[0]
        return {}

    def _is_sealed(self) -> bool:
        with contextlib.suppress(DataError):
            return read_sealed(self._root / "current.json", _OLDER)[1]
        return False

    # --- checksums of the table's files -----------------------------------------------------------------------
    def _note_table_files(self) -> None:
        """Add the checksums of new files of the table. LanceDB never changes a file, so known ones are not read."""
        root, known = self._folder / f"{TABLE}.lance", self._table_sums()
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if _is_content(path, root)]
        fresh = sums_of(root, [name for name in names if name not in known])
        write_sealed(self._root / _TABLE, {**{name: known[name] for name in names if name in known}, **fresh})

    def _table_sums(self) -> Sums:
        with contextlib.suppress(DataError):
            return read_sealed(self._root / _TABLE, ())[0]
        return {}

    def table_faults(self) -> list[str]:
        """Files of the table that are not as they were at the last ``publish``, as sentences."""
        root = self._folder / f"{TABLE}.lance"
        # LanceDB deletes files of old versions, so a missing one is no fault by itself
        sums = {name: sums for name, sums in self._table_sums().items() if (root / name).exists()}
        return [f"{root / name} does not match its checksum" for name in damaged_files(root, sums)]

    def forget_table_files(self) -> None:
        """Drop the checksums of the table's files, after the table was replaced."""
        (self._root / _TABLE).unlink(missing_ok=True)

    def _write_delta(self, view: View) -> str:
        with self._fresh("delta") as folder:
            view.delta.save(folder)
            np.save(folder / "dead.npy", view.dead)
            _seal(folder)
        return folder.name

    def _build(self, lance: LanceTable) -> str:
        """Build a new base from the table; vectors go to disk in batches, in the order of their ids."""
        with self._fresh("base") as folder:
            columns, stored = self._columns(lance)
            sums = self._stream_vectors(lance, columns["ids"], folder / _VECTORS)
            vectors = VectorFile(folder / _VECTORS, sums)
            docs = [columns["texts"][text] for text in columns["text_of"].tolist()]
            facts = [
                facts_sum(key, doc, start, end)
                for key, doc, start, end in zip(columns["ids"], docs, *columns["numbers"].tolist(), strict=True)
            ]
            checksums = combined(facts, sums)
            wrong = np.flatnonzero(stored.valid & (stored.values != checksums))
            if len(wrong):
                raise IndexStoreError(
                    f"{self._folder}: {len(wrong)} damaged entries, first {columns['ids'][int(wrong[0])]}: they do not "
                    f"match their checksums. Fix: askaudio collection repair --collection {self._folder}"
                )
            build_columns(**columns, vectors=vectors, checksums=checksums).save(folder)
            if len(vectors) > IN_MEMORY:
                accelerator.build(vectors, folder / _ACCELERATOR)
            _seal(folder)
        return folder.name

    def _columns(self, lance: LanceTable) -> tuple[dict[str, Any], _Stored]:
        """Arguments of ``build_columns`` except vectors and checksums, and the checksums that the table has."""
        ids: list[str] = []
        texts: dict[str, int] = {}
        pieces: dict[str, list[Any]] = {name: [] for name in ("doc", "start_s", "end_s", "seq")}
        sums, valid = [], []
        for batch in lance.scan(["entry_id", *pieces]):
            ids += read_guarded(lance.uri, batch.column("entry_id").to_pylist)
            docs = read_guarded(lance.uri, batch.column("doc").to_pylist)
            pieces["doc"].append(np.array([texts.setdefault(text, len(texts)) for text in docs], np.int64))
            for name in ("start_s", "end_s", "seq"):
                pieces[name].append(batch.column(name).to_numpy(zero_copy_only=False))
            stored = batch.column(CHECKSUM) if CHECKSUM in batch.schema.names else None
            sums.append(np.zeros(len(docs), np.int64) if stored is None else stored.fill_null(0).to_numpy())
            valid.append(np.zeros(len(docs), np.bool_) if stored is None else ~np.asarray(stored.is_null()))
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

        def column(arrays: list[Any], kind: type) -> Any:
            return np.concatenate([np.zeros(0, kind), *arrays])[order]

        numbers = np.stack([column(pieces["start_s"], np.float64), column(pieces["end_s"], np.float64)])
        columns = {
            "ids": [ids[i] for i in order],
            "texts": list(texts),
            "text_of": column(pieces["doc"], np.int64),
            "numbers": numbers,
            "seq": column(pieces["seq"], np.int64),
        }
        return columns, _Stored(column(sums, np.int64), column(valid, np.bool_))

    def _stream_vectors(self, lance: LanceTable, ids: list[str], target: Path) -> IntArray:
        """Copy the vectors of the table into a file, in the order of ``ids``; memory: one batch.

        Returns:
            CRC-32 of each row (N,), from the bytes that the table returned and not from those that were written.
        """
        place = {key: row for row, key in enumerate(ids)}
        sums = np.zeros(len(ids), np.int64)
        with atomic_path(target) as temporary:
            out = VectorWriter(temporary, len(ids), self._dim)
            for batch in lance.scan(["entry_id", "vector"]):
                rows = np.array([place[key] for key in batch.column("entry_id").to_pylist()], np.int64)
                order = np.argsort(rows)  # consecutive rows are written by one call
                if len(rows):
                    vectors = vectors_of_batch(batch)[order]
                    sums[rows[order]] = vector_sums(vectors)
                    out.write(rows[order], vectors)
            out.close()
        return sums

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


def _loaded(folder: Path, present: bool) -> Columns:
    """The columns in a folder; their words are indexed again if that was done by older rules."""
    columns = Columns.load(folder)
    return columns if present else columns.reindexed()


class _Stored(NamedTuple):
    """Checksums that a table has: values (N,) int64, and whether each is there (N,) bool."""

    values: IntArray
    valid: BoolArray


def _seal(folder: Path) -> None:
    """Write the checksums of the files of a folder; those of the vectors are a column, one for each row."""
    names = [path.name for path in folder.iterdir() if path.name != _VECTORS]
    write_sealed(folder / _SEAL, dict(sums_of(folder, sorted(names))))


def _is_content(path: Path, root: Path) -> bool:
    """Whether a file of a table is read for its content and never changes."""
    return path.is_file() and (
        path.suffix == ".manifest" or path.relative_to(root).parts[0] in ("data", "_deletions", "_indices")
    )


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
