"""The bytes of a selection: each sound or its part, and a ZIP archive of them that is made while it is sent."""

from __future__ import annotations

import contextlib
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from askaudio.audio.stretch import read_stretch, write_stretch
from askaudio.core.errors import AudioDecodeError, ConfigError
from askaudio.delivery.items import CREDITS_FILE, Left, Selection, Taken
from askaudio.delivery.kinds import LISTS
from askaudio.delivery.lists import credits_text
from askaudio.ingest.sound_file import SoundFileError, open_sound

PIECE_BYTES = 1 << 18
Cutter: TypeAlias = Callable[[str, str, float, float], Any]
Opener: TypeAlias = Callable[[Taken], contextlib.AbstractContextManager[BinaryIO]]
# what may be wrong with one sound; the others are taken all the same
SOUND_ERRORS = (SoundFileError, AudioDecodeError, ConfigError, OSError)


def cut_file(source: str, target: str, start_s: float, end_s: float) -> None:
    """Write a part of a recording to a WAV file, with the rate and depth of the recording.

    Args:
        source: The recording.
        target: The WAV file.
        start_s: Start of the part, in seconds.
        end_s: Its end.

    Raises:
        AudioDecodeError: The recording cannot be decoded, or ends before the part begins.
        ConfigError: The part is too long.
    """
    write_stretch(read_stretch(source, start_s, end_s), target)


def opener(folders: Sequence[str], cutter: Cutter = cut_file) -> Opener:
    """A function that opens a sound of a selection: the file as it is, or its part as a WAV file.

    Args:
        folders: Real paths of the folders that may be read.
        cutter: Cuts a part, as ``cut_file`` does.
    """

    @contextlib.contextmanager
    def opened(one: Taken) -> Iterator[BinaryIO]:
        file = open_sound(one.path, one.stamp, folders)
        with file.handle:
            if not one.is_part:
                yield file.handle
                return
            with tempfile.TemporaryDirectory(prefix="askaudio-cut-") as folder:
                target = Path(folder) / "part.wav"
                cutter(file.path_for_children, str(target), one.cut_start_s, one.cut_end_s)
                with target.open("rb") as part:
                    yield part

    return opened


def reason_of(error: Exception) -> str:
    """Why a sound could not be taken, in a sentence that names no other file."""
    if isinstance(error, AudioDecodeError):
        return f"it cannot be decoded: {error.reason}"
    return (
        str(error) if isinstance(error, SoundFileError | ConfigError) else f"it cannot be read ({type(error).__name__})"
    )


def extra_files(selection: Selection, title: str, lists: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The text files that belong to copies of a selection: lists that refer to the copies, and the credits.

    Args:
        selection: The sounds.
        title: Name of the lists, without suffix.
        lists: Names of kinds of ``LISTS``.
    """
    for kind in dict.fromkeys(lists):
        name = f"{title} regions" if kind == "regions" else title
        yield f"{name}{LISTS[kind].suffix}", LISTS[kind].write(selection, lambda one: one.name)
    yield CREDITS_FILE, credits_text(selection).encode("utf-8", "backslashreplace")


def zip_pieces(
    selection: Selection, open_taken: Opener, title: str, lists: Sequence[str] = (), left: list[Left] | None = None
) -> Iterator[bytes]:
    """The bytes of a ZIP archive, piece by piece; sound is not compressed.

    A sound that cannot be read is left out and named in the credits.

    Args:
        selection: The sounds.
        open_taken: Opens one of them.
        title: Name of the lists, without suffix.
        lists: Names of kinds of ``LISTS`` to add.
        left: Gets the sounds that were left out.
    """
    out = _Pieces()
    left = [] if left is None else left
    # zipfile writes to what cannot seek, with the sizes behind each file
    with zipfile.ZipFile(cast(BinaryIO, out), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for one in selection.taken:
            try:
                with open_taken(one) as source:
                    yield from _added(archive, out, one.name, source)
            except SOUND_ERRORS as error:
                left.append(Left(one.clip_id, one.path, reason_of(error)))
        for name, data in extra_files(selection.without(left), title, lists):
            archive.writestr(_entry(name, len(data)), data, zipfile.ZIP_DEFLATED)
            yield out.take()
    yield out.take()


class _Pieces:
    """Collects what the archive writes until it is sent."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def write(self, data: bytes) -> int:
        self._kept += data
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        data, self._kept = bytes(self._kept), bytearray()
        return data


def _added(archive: zipfile.ZipFile, out: _Pieces, name: str, source: BinaryIO) -> Iterator[bytes]:
    size = source.seek(0, 2)
    source.seek(0)
    with archive.open(_entry(name, size), "w", force_zip64=size > 1 << 31) as target:
        while piece := source.read(PIECE_BYTES):
            target.write(piece)
            yield out.take()
    yield out.take()


def _entry(name: str, size: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.file_size = size
    entry.external_attr = 0o644 << 16
    return entry
