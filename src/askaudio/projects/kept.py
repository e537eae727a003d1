"""What a person keeps of a collection, in one object.

    with open_kept("~/.askaudio/collections/default") as kept:
        kept.favourites.add(hit.clip_id)
        kept.projects.make("Storm, scene 4")
        kept.projects.add("Storm, scene 4", [NewItem(hit.clip_id, hit.start_s, hit.end_s, "thunder roll")])
        for item in kept.projects.items("Storm, scene 4"):
            print(item.sound.path, item.start_s, item.end_s)

Sounds are found again after they were moved, and stay kept when the collection forgets them; see ``sounds.py``.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from askaudio.engines.address import default_collection
from askaudio.engines.open import open_store
from askaudio.index.store import VectorStore
from askaudio.projects.database import Database, file_of
from askaudio.projects.marks import Favourites, Notes, UsedSounds
from askaudio.projects.people import Person
from askaudio.projects.projects import Projects
from askaudio.projects.searches import RecentQueries, SavedSearches


class Kept:
    """One person's kept things.

    Args:
        database: The file.
        store: The open collection.
        person: Name of the person; "" is the person without a name.

    Attributes:
        favourites: Favourite sounds.
        notes: Notes about sounds.
        projects: Named projects.
        searches: Saved searches.
        recent: Queries that were used last.
        used: Sounds that were used last.

    Raises:
        ConfigError: The name is too long or is more than one line.
    """

    def __init__(self, database: Database, store: VectorStore, person: str = "") -> None:
        self.person = Person(database, store, person)
        self.favourites = Favourites(self.person)
        self.notes = Notes(self.person)
        self.projects = Projects(self.person)
        self.searches = SavedSearches(self.person)
        self.recent = RecentQueries(self.person)
        self.used = UsedSounds(self.person)

    def people(self) -> list[str]:
        """Names of all people who keep something, in order; the person without a name is not listed."""
        return [
            row["name"]
            for row in self.person.rows("SELECT name FROM person WHERE name != '' AND ?1 = ?1 ORDER BY name")
        ]

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and the collection."""
        self.person.database.close()
        self.person.sounds.store.close()


def open_kept(collection: str | Path | None = None, person: str = "") -> Kept:
    """Open what a person keeps of a collection.

    Args:
        collection: Folder or address. Default: ``$ASKAUDIO_COLLECTION`` or ``~/.askaudio/collections/default``.
        person: Name of the person; "" is the person without a name.

    Returns:
        Close it, or use it in a ``with`` statement.

    Raises:
        CollectionNotFoundError: There is no collection at this address.
        ReadOnlyError: The collection is in memory only.
    """
    store = open_store(collection or default_collection())
    try:
        return Kept(Database(file_of(store.url)), store, person)
    except BaseException:
        store.close()
        raise
