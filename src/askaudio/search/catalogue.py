"""The recordings of a collection as columns: sorted lists, and how many recordings have which format, rate or folder.

A page that lists 100,000 recordings by name, or counts them by folder, must not read 100,000 documents a request. The
columns are made once for each version of the store; after that a sorted page or all
counts take some 10 ms.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from askaudio.core.types import BoolArray, FloatArray, IntArray
from askaudio.index.entries import StoredClip
from askaudio.index.filters import Filter, number_of
from askaudio.index.store import VectorStore

Sort = Literal["name", "duration", "date", "loudness", "brightness"]
# fields whose values are counted, as filters name them
COUNTED = ("format", "rate", "channels", "category", "tag", "licence", "library")
_STORED = {"rate": "sample_rate_hz", "tag": "tags"}
_NUMBERS: dict[Sort, str] = {
    "duration": "duration_s", "date": "modified_s", "loudness": "loudness_lufs", "brightness": "brightness_hz",
}  # fmt: skip
_SAME_FORMAT = {"wavex": "wav", "aifc": "aiff", "aif": "aiff"}
_READ_AT_ONCE = 20_000  # recordings
_FILTERS_KEPT = 16
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class _Counted:
    """Values of one field: recording ``rows[k]`` has ``values[codes[k]]``."""

    values: list[str]
    rows: IntArray
    codes: IntArray

    def counts(self, keep: BoolArray, most: int) -> list[tuple[str, int]]:
        """The most frequent values among some recordings."""
        counts = np.bincount(self.codes[keep[self.rows]], minlength=len(self.values))
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], self.values[code]))
        return [(self.values[code], int(counts[code])) for code in order[:most]]


@dataclass(frozen=True, slots=True)
class _Columns:
    """All recordings, in the order of their ids."""

    version: str
    ids: list[str]
    row_of: dict[str, int]
    by_name: IntArray  # rows in the order of names
    numbers: dict[str, FloatArray]
    counted: dict[str, _Counted]
    folders: list[str]  # sorted
    folder_of: IntArray


class Catalogue:
    """Sorted lists and counts over one store; safe to use by several threads.

    Args:
        store: Open store.
    """

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._columns: _Columns | None = None
        self._passing: OrderedDict[tuple[str, Filter], list[str]] = OrderedDict()
        self._reading = threading.Lock()  # held while the columns are made
        self._lock = threading.Lock()

    def sorted_ids(self, sort: Sort, descending: bool = False, where: Filter | None = None) -> list[str]:
        """Ids of the recordings that pass a filter, by name, duration, date, loudness or brightness.

        Recordings without the fact come last; ties are in the order of names.

        Args:
            sort: What to sort by.
            descending: Largest, or last in the alphabet, first.
            where: A filter.
        """
        columns, keep = self._kept(where)
        rows = columns.by_name[keep[columns.by_name]]
        if sort == "name":
            rows = rows[::-1] if descending else rows
        else:
            values = columns.numbers[_NUMBERS[sort]][rows]
            rows = rows[np.argsort(-values if descending else values, kind="stable")]  # NaN comes last
        return [columns.ids[row] for row in rows.tolist()]

    def count(self, where: Filter | None = None) -> int:
        """Number of recordings that pass a filter; does not need the columns."""
        return self._store.count_clips() if where is None else len(self._ids(where))

    def counts(self, where: Filter | None = None, most: int = 100) -> dict[str, list[tuple[str, int]]]:
        """Values of the fields ``COUNTED`` among the recordings that pass a filter, most frequent first.

        Args:
            where: A filter.
            most: Values of each field at most.
        """
        columns, keep = self._kept(where)
        found = {name: columns.counted[name].counts(keep, most) for name in COUNTED}
        return {name: values for name, values in found.items() if values}

    def folders(self, parent: str = "", where: Filter | None = None) -> tuple[str, list[tuple[str, int]]]:
        """Folders below a folder with the number of recordings anywhere below each, in the order of names.

        Args:
            parent: Path of a folder; "" for the deepest one that holds all recordings.
            where: A filter.

        Returns:
            The parent, and (path, recordings) of each folder in it.
        """
        columns, keep = self._kept(where)
        parent = parent or _common(columns.folders)
        per_folder = np.bincount(columns.folder_of[keep], minlength=len(columns.folders))
        found: Counter[str] = Counter()
        for folder, count in zip(columns.folders, per_folder.tolist(), strict=True):
            if count and (child := _child(parent, folder)):
                found[child] += count
        return parent, sorted(found.items())

    # --- inside -----------------------------------------------------------------------------------------------
    def _kept(self, where: Filter | None) -> tuple[_Columns, BoolArray]:
        """The columns, and which recordings pass a filter."""
        with self._reading:
            version = self._store.version()
            columns = self._columns
            if columns is None or columns.version != version:
                columns = self._columns = _read(self._store, version)
        if where is None:
            return columns, np.ones(len(columns.ids), np.bool_)
        keep = np.zeros(len(columns.ids), np.bool_)
        keep[[columns.row_of[key] for key in self._ids(where) if key in columns.row_of]] = True
        return columns, keep

    def _ids(self, where: Filter) -> list[str]:
        """Ids of the recordings that pass a filter; those of the last filters are kept."""
        key = (self._store.version(), where)
        with self._lock:
            found = self._passing.get(key)
        found = self._store.clip_ids(where) if found is None else found
        with self._lock:
            self._passing[key] = found
            self._passing.move_to_end(key)
            while len(self._passing) > _FILTERS_KEPT:
                self._passing.popitem(last=False)
        return found


def _read(store: VectorStore, version: str) -> _Columns:
    ids: list[str] = []
    names: list[list[tuple[int, int, str]]] = []
    folders: list[str] = []
    numbers: dict[str, list[float]] = {name: [] for name in _NUMBERS.values()}
    pairs: dict[str, list[tuple[int, str]]] = {name: [] for name in COUNTED}
    for clip in _clips(store):
        row = len(ids)
        ids.append(clip.clip_id)
        folder, name = split_path(clip.path)
        folders.append(folder)
        names.append(name_key(name))
        for field, column in numbers.items():
            value = number_of(clip.metadata, field)
            column.append(np.nan if value is None else value)
        for field, found in pairs.items():
            found += [(row, value) for value in _values(field, clip.metadata)]
    unique = sorted(set(folders))
    place = {folder: n for n, folder in enumerate(unique)}
    return _Columns(
        version, ids, {key: row for row, key in enumerate(ids)},
        np.array(sorted(range(len(ids)), key=lambda row: (names[row], ids[row])), np.int64),
        {name: np.array(column, np.float64) for name, column in numbers.items()},
        {name: _counted(found) for name, found in pairs.items()},
        unique, np.array([place[folder] for folder in folders], np.int64),
    )  # fmt: skip


def _clips(store: VectorStore) -> Iterable[StoredClip]:
    """All recordings, each once, without keeping all of their documents in memory."""
    offset, last = 0, None
    while page := store.clips(None, offset, _READ_AT_ONCE):
        for clip in page:
            if clip.clip_id != last:  # entries of one recording may differ in their facts: the first count
                yield clip
            last = clip.clip_id
        offset += len(page)


def _values(field: str, metadata: Mapping[str, Any]) -> list[str]:
    value = metadata.get(_STORED.get(field, field))
    if value is None or value == "":
        return []
    if isinstance(value, list | tuple):
        return list(dict.fromkeys(str(member).strip() for member in value))
    text = f"{value:g}" if isinstance(value, float) else str(value).strip()
    return [_SAME_FORMAT.get(text, text)] if field == "format" else [text]


def _counted(pairs: list[tuple[int, str]]) -> _Counted:
    values = sorted({value for _, value in pairs})
    code = {value: n for n, value in enumerate(values)}
    rows: npt.NDArray[np.int64] = np.array([row for row, _ in pairs], np.int64)
    return _Counted(values, rows, np.array([code[value] for _, value in pairs], np.int64))


def split_path(path: str) -> tuple[str, str]:
    r"""Folder and name of a file, of this system's paths and of Windows'.

    Example:
        >>> split_path("/a/b/rain.wav"), split_path("C:\\a\\rain.wav")
        (('/a/b', 'rain.wav'), ('C:\\a', 'rain.wav'))
    """
    cut = max(path.rfind("/"), path.rfind("\\"))
    return (path[:cut] or path[: cut + 1], path[cut + 1 :]) if cut >= 0 else ("", path)


def name_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key of a name: without capitals, numbers by size.

    Example:
        >>> sorted(["take 10.wav", "Take 2.wav"], key=name_key)
        ['Take 2.wav', 'take 10.wav']
    """
    parts = _DIGITS.split(name.casefold())
    return [(0, int(part[:18]), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _common(folders: Sequence[str]) -> str:
    """The deepest folder that holds all folders; they are sorted."""
    if not folders:
        return ""
    first, last = folders[0], folders[-1]
    parts = _split(first)
    while parts and not _holds("".join(parts), last):
        parts.pop()
    return "".join(parts).rstrip("/\\") or "".join(parts)


def _split(folder: str) -> list[str]:
    return re.findall(r"[^/\\]*[/\\]|[^/\\]+$", folder)


def _holds(parent: str, folder: str) -> bool:
    bare = parent.rstrip("/\\")
    return not bare or folder == bare or folder.startswith((bare + "/", bare + "\\"))


def _child(parent: str, folder: str) -> str:
    """The folder directly below ``parent`` that holds ``folder``; "" if there is none."""
    bare = parent.rstrip("/\\")
    if not _holds(parent, folder) or folder == bare:
        return ""
    below = folder[len(bare) + 1 :] if bare or folder[:1] in "/\\" else folder
    first = re.split(r"[/\\]", below, maxsplit=1)[0]
    return folder[: len(folder) - len(below)] + first if first else ""
