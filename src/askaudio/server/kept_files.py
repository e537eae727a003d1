"""The files of what people keep, one for each collection that is served."""

from __future__ import annotations

from askaudio.projects.database import Database, file_of
from askaudio.projects.kept import Kept
from askaudio.search.engine import SearchEngine


class KeptFiles:
    """The open files of kept things, one for each collection; each is opened when it is first needed."""

    def __init__(self) -> None:
        self._open: dict[str, Database] = {}

    def kept(self, engine: SearchEngine, person: str) -> Kept:
        """What a person keeps of a collection.

        Args:
            engine: The open collection.
            person: Name of the person, or "".

        Raises:
            ReadOnlyError: The collection is in memory only.
            ConfigError: The name is too long or is more than one line.
        """
        url = engine.store.url
        if url not in self._open:  # two threads may both make one: neither has opened the file yet, and one is kept
            self._open.setdefault(url, Database(file_of(url)))
        return Kept(self._open[url], engine.store, person)

    def close(self) -> None:
        """Release all files."""
        for database in self._open.values():
            database.close()
