"""Recordings as wav files that every browser plays, for formats that it does not: AIFF, W64, CAF, ADPCM, ALAC.

The decoder process writes the whole recording once, at its own sample rate, to a folder of this service; after that,
byte ranges are answered from the file. The least recently played files are removed first, the folder at the end.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from askaudio.server.clip_files import ClipFile
from askaudio.server.decoder import Decoder

LONGEST_S = 3600.0  # 0.7 GB in stereo at 48 kHz


class PlayableCache:
    """Decoded recordings on disk.

    Args:
        decoder: Reads the files.
        max_bytes: How much of the disk they may take; one recording may take more while it is played.
    """

    def __init__(self, decoder: Decoder, max_bytes: int) -> None:
        self._decoder, self._max_bytes = decoder, max_bytes
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sizes: OrderedDict[str, int] = OrderedDict()  # name of the file -> bytes
        self._lock = threading.Lock()
        self._writing: dict[str, threading.Lock] = {}

    def get(self, file: ClipFile) -> ClipFile | None:
        """The decoded recording, open; None when it has to be decoded. The caller closes it."""
        name = _name_of(file)
        with self._lock:
            if self._folder is None or name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
            handle = open(Path(self._folder.name) / name, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
        shown = f"{os.path.splitext(file.name)[0]}.wav"
        return replace(file, handle=handle, path=handle.name, name=shown, media_type="audio/wav",
                       status=os.fstat(handle.fileno()))  # fmt: skip

    def decode(self, file: ClipFile) -> ClipFile:
        """Decode a recording, unless another thread has done it meanwhile, and open it.

        Raises:
            AudioDecodeError: The file cannot be decoded in time, or is too long.
        """
        name = _name_of(file)
        with self._lock:
            mine = self._writing.setdefault(name, threading.Lock())
        with mine:
            found = self.get(file)
            if found is None:
                self._write(name, file)
                found = self.get(file)
        with self._lock:
            self._writing.pop(name, None)
        if found is None:
            raise RuntimeError("a decoded recording was removed before it was opened")
        return found

    def _write(self, name: str, file: ClipFile) -> None:
        with self._lock:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="askaudio-play-")
            target = Path(self._folder.name) / name
        try:
            self._decoder.run("to_pcm", file.path_for_children, target=str(target), max_s=LONGEST_S)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        with self._lock:
            self._sizes[name] = target.stat().st_size
            while len(self._sizes) > 1 and sum(self._sizes.values()) > self._max_bytes:
                oldest, _ = self._sizes.popitem(last=False)
                with contextlib.suppress(OSError):  # Windows: it is being sent
                    (target.parent / oldest).unlink()

    def close(self) -> None:
        """Remove all files."""
        with self._lock:
            folder, self._folder = self._folder, None
            self._sizes.clear()
        if folder is not None:
            folder.cleanup()


def _name_of(file: ClipFile) -> str:
    return f"{file.status.st_dev:x}-{file.status.st_ino:x}-{file.version}.wav"
