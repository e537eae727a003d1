"""Fingerprints of the sounds of a collection, cached by content hash in one SQLite file beside it.

A killed run loses at most the sounds of the last seconds, and the sounds are never all in memory. Cost: 500 bytes and
about 3 ms of CPU time a second of sound, decoding not included.
"""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from askaudio.audio import reading
from askaudio.checks.fingerprints import RATE_HZ, SETTINGS, WEAK, Fingerprint, fingerprint_of
from askaudio.core.errors import AudioDecodeError
from askaudio.core.files import fingerprint
from askaudio.core.types import FloatArray, Progress, silent

LONGEST_S = 120.0  # longer sounds are compared by this much from their start
_VERSION = fingerprint({**SETTINGS, "longest_s": LONGEST_S})
_AT_ONCE = 32  # sounds decoded between two looks at the clock
_COMMIT_S = 2.0
_KEPT = 2048  # fingerprints held in memory


def read_start(path: Path | str) -> FloatArray | None:
    """Mono samples (S,) of the first ``LONGEST_S`` at ``RATE_HZ``; None if the file cannot be decoded."""
    try:
        return reading.read(path, RATE_HZ, lambda blocks: np.concatenate(list(blocks)), LONGEST_S, partial=True)[0]
    except (AudioDecodeError, OSError, ValueError, RuntimeError, MemoryError):
        return None


def _read_print(path: Path | str) -> Fingerprint | None:
    samples = read_start(path)
    return None if samples is None else fingerprint_of(samples)


class PrintCache:
    """Fingerprints by content hash, in one SQLite file.

    Args:
        path: The file; made if it does not exist. None, or a folder that cannot be written, keeps nothing on disk.
    """

    def __init__(self, path: Path | None) -> None:
        self._db = _open(path)
        self._near: OrderedDict[str, Fingerprint | None] = OrderedDict()

    def add_missing(self, wanted: Sequence[tuple[str, str]], progress: Progress = silent) -> None:
        """Compute the fingerprints that the cache lacks.

        Args:
            wanted: (content hash, path) of each sound; each hash once.
            progress: Called with sounds done and to do.
        """
        known = {row[0] for row in self._db.execute("SELECT hash FROM prints")}
        todo = [(key, path) for key, path in wanted if key not in known]
        saved_at = time.monotonic()
        with ThreadPoolExecutor() as pool:  # decoding and FFT release the interpreter's lock
            for start in range(0, len(todo), _AT_ONCE):
                some = todo[start : start + _AT_ONCE]
                made = pool.map(_read_print, [path for _, path in some])
                rows = [(key, _packed(one)) for (key, _), one in zip(some, made, strict=True)]
                self._db.executemany("INSERT OR REPLACE INTO prints VALUES (?, ?)", rows)
                if time.monotonic() - saved_at > _COMMIT_S:
                    self._db.commit()
                    saved_at = time.monotonic()
                progress(start + len(some), len(todo), "fingerprints")
        self._db.commit()

    def has(self, key: str) -> bool:
        """Whether the sound could be decoded."""
        row = self._db.execute("SELECT length(data) FROM prints WHERE hash = ?", (key,)).fetchone()
        return row is not None and row[0] != 1

    def get(self, key: str) -> Fingerprint | None:
        """One fingerprint; None if the sound cannot be decoded or was never added."""
        if key in self._near:
            self._near.move_to_end(key)
            return self._near[key]
        row = self._db.execute("SELECT data FROM prints WHERE hash = ?", (key,)).fetchone()
        found = _unpacked(row[0]) if row else None
        self._near[key] = found
        if len(self._near) > _KEPT:
            self._near.popitem(last=False)
        return found

    def each(self, keys: Sequence[str]) -> Iterator[Fingerprint | None]:
        """The fingerprints of ``keys`` in order, read one by one and not kept in memory."""
        for key in keys:
            row = self._db.execute("SELECT data FROM prints WHERE hash = ?", (key,)).fetchone()
            yield _unpacked(row[0]) if row else None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> PrintCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path | None) -> sqlite3.Connection:
    """The file, with the table of this version; an older or damaged file is only a cache and is made again."""
    if path is not None:
        for _ in range(2):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                return _with_table(sqlite3.connect(path, timeout=60))
            except sqlite3.OperationalError:  # a folder that is read-only, or a file that another process holds
                break
            except sqlite3.DatabaseError:
                path.unlink(missing_ok=True)
            except OSError:
                break
    return _with_table(sqlite3.connect(":memory:"))


def _with_table(db: sqlite3.Connection) -> sqlite3.Connection:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE IF NOT EXISTS settings (version TEXT)")
    versions = [row[0] for row in db.execute("SELECT version FROM settings")]
    if versions != [_VERSION]:
        db.executescript("DROP TABLE IF EXISTS prints; DELETE FROM settings")
        db.execute("INSERT INTO settings VALUES (?)", (_VERSION,))
    db.execute("CREATE TABLE IF NOT EXISTS prints (hash TEXT PRIMARY KEY, data BLOB)")
    db.commit()
    return db


def _packed(one: Fingerprint | None) -> bytes:
    """The words, then the weak bits; one byte for a sound that cannot be decoded."""
    return b"-" if one is None else one.words.astype("<u4").tobytes() + one.weak.tobytes()


def _unpacked(data: bytes) -> Fingerprint | None:
    if len(data) == 1:
        return None
    n = len(data) // (4 + WEAK)
    weak = np.frombuffer(data, np.uint8, n * WEAK, 4 * n).reshape(n, WEAK)
    return Fingerprint(np.frombuffer(data, "<u4", n), weak)
