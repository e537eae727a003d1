"""Results of the fine pass, kept on disk, so that a second query about the same sounds decodes nothing.

A file of the cache is named by the hash of the sound file's bytes, the fingerprint of the encoder and the stretch, so
it can never belong to another sound or model. Collections with the same sounds share it. Values are stored as 16-bit
floats: about 280 kB for a minute at D = 512. When the cache exceeds its size, the files that were unused for longest
are removed. A file that cannot be read or written is no error: the results are computed again.

Folder: ``~/.askaudio/moments`` (or ``$ASKAUDIO_STATE/moments``).
"""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from askaudio.core.files import atomic_path, fingerprint
from askaudio.core.state import state_folder
from askaudio.core.types import FloatArray

MAX_BYTES = 256 << 20
_FORMAT = 2  # changes when the arrays, or how they are computed, change
_TRIM_EVERY = 50  # writes between two looks at the size


class PartsCache:
    """A folder of arrays.

    Args:
        folder: Made when something is first written; None is the folder of this user.
        max_bytes: Size from which old files are removed.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = state_folder() / "moments" if folder is None else folder
        self.max_bytes = max_bytes
        self._writes = 0

    def key(self, content_hash: str, encoder: str, stretch: tuple[float, float]) -> str:
        """Name of the cached results.

        Args:
            content_hash: Hash of the bytes of the sound file.
            encoder: Fingerprint of the encoder.
            stretch: Start and end in seconds.
        """
        return fingerprint([_FORMAT, content_hash, encoder, [round(t, 3) for t in stretch]]) + content_hash[:16]

    def get(self, key: str, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, FloatArray] | None:
        """Cached arrays; None when there are none, or when the file is damaged.

        Args:
            key: From ``key``.
            shapes: Name -> expected shape; None is any length of at least 1.
        """
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name].astype(np.float32) for name in shapes}
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        if not all(_fits(found[name], shape) for name, shape in shapes.items()):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of the last use
        return found

    def put(self, key: str, arrays: Mapping[str, FloatArray]) -> None:
        """Store arrays as 16-bit floats, times as 32-bit ones. Nothing happens where the folder cannot be written.

        Args:
            key: From ``key``.
            arrays: Name -> values.
        """
        stored = {name: values.astype(np.float32 if name == "times" else np.float16) for name, values in arrays.items()}
        with contextlib.suppress(OSError):
            with atomic_path(self._path(key)) as temporary, temporary.open("wb") as file:
                np.savez(file, **stored)  # type: ignore[arg-type]
            self._writes += 1
            if self._writes % _TRIM_EVERY == 1:
                self._trim()

    def _trim(self) -> None:
        """Remove the files that were unused for longest until the rest takes at most 90 % of the allowed size."""
        found = [(entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(self.folder)]
        total = sum(size for _, size, _ in found)
        if total <= self.max_bytes:
            return
        for _, size, path in sorted(found):
            Path(path).unlink(missing_ok=True)
            total -= size
            if total <= 0.9 * self.max_bytes:
                return

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def _fits(values: FloatArray, shape: tuple[int | None, ...]) -> bool:
    if values.ndim != len(shape) or not values.size or not np.isfinite(values).all():
        return False
    return all(want is None or have == want for have, want in zip(values.shape, shape, strict=True))
