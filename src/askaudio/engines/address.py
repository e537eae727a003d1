"""The address of a collection: one text that says which engine opens it and where it is.

memory:                       exact search, nothing is stored on disk
exact:FOLDER                  exact search in a folder: slow, and the reference for all other engines
FOLDER or lance:FOLDER        the default: LanceDB with a search cache
s3://BUCKET/PREFIX            LanceDB on object storage (also gs://, az://, abfss://)
postgresql://USER@HOST/DB     PostgreSQL with pgvector; ?collection=NAME picks one of several in a database
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from askaudio.core.errors import IndexStoreError

Kind = Literal["memory", "folder", "objects", "postgres"]
_SCHEMES: dict[str, Kind] = {
    "s3": "objects", "gs": "objects", "az": "objects", "abfss": "objects",
    "postgresql": "postgres", "postgres": "postgres",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address.

    Attributes:
        text: As it was written.
        kind: Which family of engines opens it.
        folder: Where the collection is on this machine; None for all kinds but "folder".
        engine: "exact" or "lance" where the text names one, else None: the engine that made the folder.
    """

    text: str
    kind: Kind
    folder: Path | None = None
    engine: str | None = None

    @property
    def key(self) -> str:
        """16 hex digits that name the collection in file names; all spellings of one folder have the same."""
        place = self.text if self.folder is None else os.path.realpath(self.folder)
        return hashlib.sha256(os.fsencode(place)).hexdigest()[:16]


def parse_address(url: str | Path) -> Address:
    """Read the address of a collection; nothing is opened.

    Raises:
        IndexStoreError: No engine opens this kind of address.
    """
    text = str(url)
    scheme, colon, rest = text.partition(":")
    if text.startswith("memory:"):
        return Address(text, "memory")
    if rest.startswith("//"):
        if scheme not in _SCHEMES:
            raise IndexStoreError(f"{text}: no engine opens this kind of address. Known addresses:\n{__doc__}")
        return Address(text, _SCHEMES[scheme])
    if colon and scheme in ("exact", "lance"):
        return Address(text, "folder", Path(rest).expanduser(), scheme)
    return Address(text, "folder", Path(text).expanduser())


def default_collection() -> str:
    """The collection that is used when none is named: ``$ASKAUDIO_COLLECTION``, else a folder in the home directory."""
    return os.environ.get("ASKAUDIO_COLLECTION") or str(Path.home() / ".askaudio" / "collections" / "default")
