"""The SQLite file that holds what people keep: where it is, opening, migration, transactions.

It is ``projects.sqlite`` in the folder of the collection. A collection that is no folder of this machine (object
storage, PostgreSQL) has one in ``~/.askaudio/projects`` (or ``$ASKAUDIO_STATE/projects``). The first write makes the
file, so reading a collection leaves no trace.

Threads share one connection and take turns, which costs nothing: a call takes well under a millisecond. Processes work
side by side: write-ahead logging lets them read while one writes, and writers wait for each other.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from askaudio.core.errors import AskAudioError
from askaudio.core.state import state_folder
from askaudio.engines.address import parse_address
from askaudio.projects.schema import STEPS

FILE_NAME = "projects.sqlite"
_WAIT_S = 10.0  # for another process that writes


class KeepError(AskAudioError):
    """What people keep of a collection cannot be read or written."""


class ReadOnlyError(KeepError):
    """The file cannot be written by this user, or there is no place for one."""


class UnknownItemError(KeepError):
    """There is no project, saved search or item of this name or id."""


class NameTakenError(KeepError):
    """There is already a project or a saved search of this name."""


def file_of(collection: str | Path) -> Path:
    """Where the kept things of a collection are stored.

    Raises:
        ReadOnlyError: The collection is in memory only.
    """
    address = parse_address(collection)
    if address.kind == "memory":
        raise ReadOnlyError(
            "a collection in memory ends with its process, so nothing can be kept of it. "
            "Fix: index into a folder: askaudio index FOLDER --collection DIR"
        )
    if address.folder is not None:
        return address.folder / FILE_NAME
    return state_folder() / "projects" / f"{address.key}.sqlite"


class Database:
    """One file of kept things; safe to use by several threads.

    Args:
        file: The file; made by the first write.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._is_transient = False  # opened again by the next call: there is no file yet, or it is read-only here

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; several statements see one state.

        Raises:
            KeepError: The file is damaged, or a newer version of askaudio made it.
        """
        with self._lock, self._transaction(self._open(create=False), "BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection for writing; all statements take effect, or none.

        Raises:
            KeepError: The file cannot be written.
        """
        with self._lock, self._transaction(self._open(create=True), "BEGIN IMMEDIATE") as connection:
            yield connection

    @property
    def is_writable(self) -> bool:
        """Whether the system lets this process write the file, or make it."""
        return is_writable(self.file)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    # --- inside -------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
        with self._explained():
            connection.execute(begin)
        try:
            with self._explained():
                yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        with self._explained():
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of SQLite into errors with a fix."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise KeepError(f"{self.file} is in use by another program; try again") from error
            raise KeepError(f"{self.file}: {error}. Fix: see that there is room on the disk and that the file "
                            "and its folder can be written") from error  # fmt: skip
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise KeepError(
                f"{self.file} is damaged or is no SQLite file ({error}). Fix: move it away, then: "
                "askaudio keep import FILE.json, if there is an export of it"
            ) from error

    def _open(self, create: bool) -> sqlite3.Connection:
        if self._connection is not None and not (self._is_transient and (create or self.file.exists())):
            return self._connection
        self.close()
        if create and not self.is_writable:
            raise ReadOnlyError(
                f"{self.file} cannot be written: the collection is read-only for this user. Fix: change the rights of "
                "its folder, or make a copy: askaudio copy COLLECTION NEW_FOLDER"
            )
        exists = create or self.file.exists()
        self._is_transient = not (exists and self.is_writable)
        with self._explained():
            if not exists:
                self._connection = _connection(":memory:")
                _migrate(self._connection, self.file)
            else:
                self._connection = self._writable() if self.is_writable else self._read_only()
        return self._connection

    def _writable(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        connection = _connection(str(self.file))
        try:
            _use_write_ahead_log(connection)
            _migrate(connection, self.file)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_only(self) -> sqlite3.Connection:
        address = self.file.absolute().as_uri()
        try:
            connection = _connection(address + "?mode=ro", uri=True)
            version = _version(connection, self.file)
        except sqlite3.OperationalError:  # SQLite may not make the files of its log beside it
            connection = _connection(address + "?immutable=1", uri=True)
            version = _version(connection, self.file)
        if version < len(STEPS):
            connection.close()
            raise ReadOnlyError(f"{self.file} is of an older version and read-only. Fix: change its rights")
        return connection


def is_writable(file: Path) -> bool:
    """Whether a file can be written and its folder can take the files of the log; or be made where it is missing."""
    if file.exists() and not os.access(file, os.W_OK):
        return False
    folder = file.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _connection(target: str, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(target, timeout=_WAIT_S, isolation_level=None, check_same_thread=False, uri=uri)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text  # names of files may hold bytes that are not UTF-8
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA trusted_schema = OFF")  # the file may come from anyone
    return connection


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the log on; SQLite does not wait for its lock here, so the wait is ours."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _version(connection: sqlite3.Connection, file: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(STEPS):
        raise KeepError(
            f"{file} is of version {version}; this askaudio knows up to {len(STEPS)}. Fix: pip install -U askaudio"
        )
    return version


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    """Take the steps that the file lacks, in one transaction; of several processes one does it, the others wait."""
    if _version(connection, file) == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[_version(connection, file) :]:
            for statement in step.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
