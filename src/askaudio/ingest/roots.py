"""Which folders were indexed on this machine into which collection: the server serves sounds from these folders only.

A collection can come from anyone, and the paths in it can name any file. The folders are therefore recorded outside of
the collection: one small JSON file a collection in ``~/.askaudio/indexed`` (or in ``$ASKAUDIO_STATE/indexed``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from askaudio.core.errors import DataError
from askaudio.core.files import read_json, write_json
from askaudio.core.state import state_folder
from askaudio.engines.address import parse_address

_LOG = logging.getLogger("askaudio.ingest")


def record_roots(collection: str, roots: Sequence[Path]) -> None:
    """Add folders to the recorded ones of a collection. Indexing continues if they cannot be written.

    Args:
        collection: Address of the collection.
        roots: Absolute folders or files that are indexed into it.
    """
    if parse_address(collection).kind == "memory":  # there may be many of one address, and none outlives the process
        return
    known = recorded_roots(collection)
    if set(roots) <= set(known):
        return
    folders = sorted({quote(os.fsencode(path)) for path in [*known, *roots]})  # names of folders may not be UTF-8
    try:
        write_json(_file(collection), {"collection": ascii(collection), "folders": folders})
    except OSError as error:
        _LOG.warning("cannot record the indexed folders in %s (%s); serve with --allow FOLDER", state_folder(), error)


def recorded_roots(collection: str) -> list[Path]:
    """Folders and files that were indexed into a collection on this machine; empty when none are recorded."""
    try:
        found = [Path(os.fsdecode(unquote_to_bytes(str(name)))) for name in read_json(_file(collection))["folders"]]
    except (DataError, OSError, KeyError, TypeError):  # missing or damaged: nothing is known
        return []
    return [path for path in found if path.is_absolute()]


def _file(collection: str) -> Path:
    return state_folder() / "indexed" / f"{parse_address(collection).key}.json"
