"""People by name. A name says whose favourites are meant; it protects nothing, because all share one token."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from askaudio.index.store import VectorStore
from askaudio.projects.database import Database
from askaudio.projects.sounds import Sounds
from askaudio.projects.texts import checked_name


class Person:
    """One person's access to the file; made by ``Kept``.

    Args:
        database: The file.
        store: The open collection.
        name: Name of the person; "" is the person without a name.

    Raises:
        ConfigError: The name is too long or is more than one line.
    """

    def __init__(self, database: Database, store: VectorStore, name: str = "") -> None:
        self.database = database
        self.sounds = Sounds(database, store)
        self.name = checked_name(name, "the name of a person") if name.strip() else ""

    @contextlib.contextmanager
    def write(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A transaction that writes, and the id of the person, who is added where unknown."""
        with self.database.write() as connection:
            yield connection, add_person(connection, self.name)

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query whose first parameter is the id of the person.

        Args:
            statement: The query.
            *values: Its other parameters.
        """
        with self.database.read() as connection:
            me = connection.execute("SELECT id FROM person WHERE name = ?", (self.name,)).fetchone()
            found = connection.execute(statement, (-1 if me is None else me["id"], *values))
            return [dict(row) for row in found]


def add_person(connection: sqlite3.Connection, name: str) -> int:
    """The id of a person, who is added where unknown.

    Args:
        connection: In a transaction that writes.
        name: Name of the person.
    """
    connection.execute("INSERT OR IGNORE INTO person (name) VALUES (?)", (name,))
    return int(connection.execute("SELECT id FROM person WHERE name = ?", (name,)).fetchone()["id"])
