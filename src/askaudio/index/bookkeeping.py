"""What indexing notes in the metadata of every entry for its own use, apart from the facts that users search and see.

Four keys of the stored metadata are bookkeeping: ``windows``, ``stamp``, ``content_hash`` and ``measured``. They are
stored beside the facts, so that every engine keeps them without columns of their own; ``public_metadata`` removes them
for readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from askaudio.core.types import Json

_KEYS = ("windows", "stamp", "content_hash", "measured")


@dataclass(frozen=True, slots=True)
class Stamp:
    """State of a sound file and its texts when it was indexed; an equal stamp means that nothing has changed.

    Stored as ``SIZE:TIME/SIDECAR|CAPTIONS``. Reading it costs one or two calls of ``stat`` and no read of the file.

    Attributes:
        size_bytes: Size of the file.
        modified_ns: Modification time of the file in nanoseconds.
        sidecar_ns: Modification time of the text file beside it; None without one.
        captions: Fingerprint of the captions that a manifest has for it; empty without any.
    """

    size_bytes: int
    modified_ns: int
    sidecar_ns: int | None = None
    captions: str = ""

    @property
    def texts(self) -> tuple[int | None, str]:
        """The part that changes with the texts about the file, while the sound stays the same."""
        return self.sidecar_ns, self.captions

    def __str__(self) -> str:
        sidecar = "" if self.sidecar_ns is None else str(self.sidecar_ns)
        return f"{self.size_bytes}:{self.modified_ns}/{sidecar}" + (f"|{self.captions}" if self.captions else "")

    @classmethod
    def parse(cls, text: object) -> Stamp | None:
        """Read what ``str`` wrote; None for anything else."""
        file, _, texts = str(text).partition("/")
        size, _, modified = file.partition(":")
        sidecar, _, captions = texts.partition("|")
        try:
            return cls(int(size), int(modified), int(sidecar) if sidecar else None, captions)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """The bookkeeping of one recording.

    Attributes:
        windows: Entries that the recording has when it is complete; None when unknown (not made by ``askaudio index``).
        stamp: State of its file; None when unknown.
        content_hash: Hex SHA-256 of the file's bytes; empty when unknown.
        measured: Rules by which its samples were measured (``measurements.meter.RULES``); 0 if they were not.
    """

    windows: int | None = None
    stamp: Stamp | None = None
    content_hash: str = ""
    measured: int = 0

    def to_metadata(self) -> Json:
        """The keys as they are stored; ``measured`` is missing in collections of older versions."""
        kept = {"windows": self.windows, "stamp": str(self.stamp or ""), "content_hash": self.content_hash}
        return {**kept, "measured": self.measured} if self.measured else kept

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Bookkeeping:
        """The bookkeeping in the stored metadata of an entry."""
        windows = metadata.get("windows")
        stamp = Stamp.parse(metadata.get("stamp", ""))
        measured = metadata.get("measured")
        return cls(
            windows if isinstance(windows, int) else None,
            stamp,
            str(metadata.get("content_hash", "")),
            measured if isinstance(measured, int) else 0,
        )


def public_metadata(metadata: Mapping[str, Any]) -> Json:
    """The stored metadata without bookkeeping: what users see."""
    return {key: value for key, value in metadata.items() if key not in _KEYS}
