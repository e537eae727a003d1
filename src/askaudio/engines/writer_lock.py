"""One writer per folder: a lock file that the operating system releases when its holder ends, even if it is killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

from askaudio.core.errors import IndexStoreError

try:
    import fcntl
except ImportError:  # no flock on Windows: msvcrt locks the first byte instead
    fcntl = None  # type: ignore[assignment]


class WriterLock:
    """An exclusive lock, held from construction to ``release``.

    The file stays after release: if it were deleted, a second process could lock the deleted file while a third locks
    a new one of the same name.

    Args:
        path: Lock file, made if it does not exist; it contains the process id of the holder.

    Raises:
        IndexStoreError: Another process (or another store of this one) holds the lock, or the folder is read-only.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8")  # "a+": opening must not erase the holder's process id
        except OSError as error:
            raise IndexStoreError(
                f"cannot write in {path.parent}: {error.strerror}. Fix: choose a folder that you may write to"
            ) from error
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise IndexStoreError(
                f"{path.parent} is being written by another process (pid {holder}); only one may write at a time. "
                "Fix: wait until it has ended, or stop it; reading is possible meanwhile"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Allow others to write."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.truncate(0)
            self._file.close()  # closing the descriptor releases the lock

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _lock(descriptor: int) -> None:
    """Lock without waiting; OSError if someone else holds the lock."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
