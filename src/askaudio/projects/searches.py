"""Saved searches, and the queries that were used last.

A query is a JSON object with the parameters of ``GET /v1/search``: ``q``, ``avoid``, ``like``, ``unlike`` (lists of
texts) and ``where`` (a text). Other fields are kept as they are; the page stores the state of its controls in ``page``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from askaudio.core.errors import ConfigError
from askaudio.core.text import bad_character
from askaudio.projects.database import UnknownItemError
from askaudio.projects.marks import forget_old
from askaudio.projects.people import Person
from askaudio.projects.projects import unique
from askaudio.projects.texts import checked_name

LISTS = ("q", "avoid", "like", "unlike")
_MOST_QUERY = 8000  # characters of its JSON
_QUERIES_KEPT = 200


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A query with a name.

    Attributes:
        search_id: Id in the file.
        name: Name; unique among those of the person.
        query: See the head of the file.
        saved_s: When it was saved, in seconds since 1970.
    """

    search_id: int
    name: str
    query: Mapping[str, Any]
    saved_s: float

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {"search_id": self.search_id, "name": self.name, "query": dict(self.query), "saved_s": self.saved_s}


@dataclass(frozen=True, slots=True)
class RecentQuery:
    """A query that was used; see the head of the file."""

    query: Mapping[str, Any]
    used_s: float
    times: int = 1

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {"query": dict(self.query), "used_s": self.used_s, "times": self.times}


class SavedSearches:
    """The saved searches of a person."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def save(self, name: str, query: Mapping[str, Any], replace: bool = False) -> SavedSearch:
        """Save a query under a name.

        Args:
            name: Its name.
            query: See the head of the file.
            replace: Replace the one of this name.

        Raises:
            NameTakenError: There is one of this name, and ``replace`` is not set.
            ConfigError: The query is empty or not of this form.
        """
        name, text = checked_name(name, "the name of a search"), query_text(query)
        with self._person.write() as (connection, me), unique(name):
            if replace:
                connection.execute("DELETE FROM saved_search WHERE person_id = ? AND name = ?", (me, name))
            connection.execute(
                "INSERT INTO saved_search (person_id, name, query, saved_s) VALUES (?, ?, ?, ?)",
                (me, name, text, time.time()),
            )
        return self.find(name)

    def all(self) -> list[SavedSearch]:
        """All of them, by name."""
        rows = self._person.rows(
            "SELECT id, name, query, saved_s FROM saved_search WHERE person_id = ? ORDER BY name COLLATE NOCASE, name"
        )
        return [SavedSearch(row["id"], row["name"], json.loads(row["query"]), row["saved_s"]) for row in rows]

    def find(self, name: str | int) -> SavedSearch:
        """One saved search by its name or id.

        Raises:
            UnknownItemError: There is none.
        """
        searches = self.all()
        for search in searches:
            if name in (search.search_id, search.name):
                return search
        known = ", ".join(repr(search.name) for search in searches[:10])
        raise UnknownItemError(f"no saved search {name!r}; known: {known or 'none yet'}")

    def delete(self, name: str | int) -> None:
        """Delete one by its name or id.

        Raises:
            UnknownItemError: There is none.
        """
        search_id = self.find(name).search_id
        with self._person.write() as (connection, _):
            connection.execute("DELETE FROM saved_search WHERE id = ?", (search_id,))


class RecentQueries:
    """The last 200 queries of a person."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def add(self, query: Mapping[str, Any]) -> None:
        """Note that a query was used.

        Raises:
            ConfigError: The query is empty or not of the form of a query.
        """
        with self._person.write() as (connection, me):
            connection.execute(
                "INSERT INTO recent_query (person_id, query, used_s) VALUES (?, ?, ?) "
                "ON CONFLICT (person_id, query) DO UPDATE SET used_s = excluded.used_s, times = times + 1",
                (me, query_text(query), time.time()),
            )
            forget_old(connection, "recent_query", "query", me, _QUERIES_KEPT)

    def all(self, limit: int = 50) -> list[RecentQuery]:
        """The queries that were used last, the latest first.

        Args:
            limit: Largest number of queries.
        """
        rows = self._person.rows(
            "SELECT query, used_s, times FROM recent_query WHERE person_id = ? ORDER BY used_s DESC LIMIT ?", limit
        )
        return [RecentQuery(json.loads(row["query"]), row["used_s"], row["times"]) for row in rows]

    def clear(self) -> None:
        """Forget all of them."""
        with self._person.write() as (connection, me):
            connection.execute("DELETE FROM recent_query WHERE person_id = ?", (me,))


def query_text(query: Mapping[str, Any]) -> str:
    """A query as it is stored: JSON with sorted keys, without empty fields.

    Raises:
        ConfigError: It is empty, too long, or a known field has another type.
    """
    kept = {name: value for name, value in query.items() if value not in ("", [], {}, None)}
    for name in LISTS:
        values = kept.get(name, [])
        if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
            raise ConfigError(f"{name!r} of a query is {values!r}; expected a list of texts")
    if not isinstance(kept.get("where", ""), str):
        raise ConfigError(f"'where' of a query is {kept['where']!r}; expected a text")
    try:
        text = json.dumps(kept, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"a query cannot be stored as JSON: {error}") from error
    if not kept or len(text) > _MOST_QUERY:
        raise ConfigError(f"a query of {len(text)} characters; expected 1 field or more, and at most {_MOST_QUERY}")
    if found := bad_character(text):
        raise ConfigError(f"a query contains {found}")
    return text
