"""Searches for copies that the page starts: each in a process of its own, because decoding files may take the process.

The result is the file ``duplicates.json`` of the collection, which ``askaudio collection duplicates`` writes too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

from askaudio.core.types import Json
from askaudio.duplicates.find import result_file
from askaudio.index.store import VectorStore
from askaudio.server.problems import Problem

_COMMAND = (sys.executable, "-m", "askaudio.cli", "collection", "duplicates", "--json")
_RUNNING: dict[Path, _Search] = {}
_LOCK = threading.Lock()


class _Search:
    """One running search.

    Args:
        address: Of the collection. It is passed in the environment, since other users see the arguments of a process.
    """

    def __init__(self, address: str) -> None:
        environment = os.environ | {"ASKAUDIO_COLLECTION": address}
        self.note = "starting"
        self.process = subprocess.Popen(
            _COMMAND, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace",
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.note = line.strip()[:200] or self.note

    @property
    def state(self) -> str:
        """running, done or failed."""
        code = self.process.poll()
        return "running" if code is None else "failed" if code else "done"


def start_search(store: VectorStore) -> None:
    """Start a search for copies, unless one is running.

    Args:
        store: The collection.

    Raises:
        Problem: The collection is not in a folder, so the result could not be kept.
    """
    place = _place(store)
    with _LOCK:
        running = _RUNNING.get(place)
        if running is None or running.state != "running":
            _RUNNING[place] = _Search(store.url)


def search_state(store: VectorStore) -> tuple[str, str]:
    """State of the search (none, running, done, failed) and what it said last.

    Args:
        store: The collection.
    """
    running = _RUNNING.get(_place(store))
    if running is not None and running.state != "done":
        return running.state, running.note
    return ("done", "") if _place(store).exists() else ("none", "")


def last_result(store: VectorStore) -> Json:
    """The last result; empty if there is none.

    Args:
        store: The collection.
    """
    place = _place(store)
    try:
        return _read(str(place), place.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=4)
def _read(place: str, modified_ns: int) -> Json:
    found = json.loads(Path(place).read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("groups"), list):
        raise ValueError(place)
    return found


def _place(store: VectorStore) -> Path:
    place = result_file(store)
    if place is None:
        raise Problem(409, "Copies are only searched in collections that are a folder on this machine.")
    return place
