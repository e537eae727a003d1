"""Export and import of kept things as one JSON object.

    {"askaudio_kept": 1,
     "sounds": [{"clip_id": "...", "content_hash": "...", "path": "..."}],
     "people": [{"name": "", "favourites": [{"sound": 0, "added_s": 1.0}], "notes": [...], "projects": [...],
                 "searches": [...], "recent": [...], "used": [...]}]}

``sound`` is a place in the list of sounds. An import adds to what is there and never deletes: it may be repeated, and
files of several people can be joined. A sound that the collection does not hold (yet) is kept by its content hash, so
an export can be taken to a collection of the same files in other folders.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from askaudio.core.errors import AskAudioError, DataError
from askaudio.core.types import Json
from askaudio.projects.database import Database
from askaudio.projects.marks import ACTIONS, MOST_NOTE
from askaudio.projects.people import add_person
from askaudio.projects.projects import add_item, check_part
from askaudio.projects.searches import query_text
from askaudio.projects.sounds import add_sound
from askaudio.projects.texts import MOST_NAME, checked_name, checked_text

VERSION = 1
_TABLES = {
    "favourites": "SELECT sound_id, added_s FROM favourite WHERE person_id = ? ORDER BY added_s, sound_id",
    "notes": "SELECT sound_id, text, changed_s FROM note WHERE person_id = ? ORDER BY changed_s, sound_id",
    "projects": "SELECT id, name, note, shared FROM project WHERE person_id = ? ORDER BY name",
    "searches": "SELECT name, query, saved_s FROM saved_search WHERE person_id = ? ORDER BY name",
    "recent": "SELECT query, used_s, times FROM recent_query WHERE person_id = ? ORDER BY used_s, query",
    "used": "SELECT sound_id, action, used_s, times FROM used_sound WHERE person_id = ? ORDER BY used_s, sound_id",
}
_ITEMS = "SELECT sound_id, start_s, end_s, note, added_s FROM item WHERE project_id = ? ORDER BY position, id"


def export_kept(database: Database) -> Json:
    """Everything that all people keep, in the form at the head of the file."""
    with database.read() as connection:
        sounds = connection.execute("SELECT id, clip_id, content_hash, path FROM sound ORDER BY id").fetchall()
        place = {row["id"]: number for number, row in enumerate(sounds)}

        def rows(statement: str, key: int) -> list[Json]:
            found = [dict(row) for row in connection.execute(statement, (key,))]
            for row in found:
                if "query" in row:
                    row["query"] = json.loads(row["query"])
            return [{"sound": place[row.pop("sound_id")], **row} if "sound_id" in row else row for row in found]

        people = []
        for person in connection.execute("SELECT id, name FROM person ORDER BY name").fetchall():
            parts = {part: rows(statement, person["id"]) for part, statement in _TABLES.items()}
            for project in parts["projects"]:
                project["items"] = rows(_ITEMS, project.pop("id"))
                project["shared"] = bool(project["shared"])
            people.append({"name": person["name"], **parts})
    listed = [{name: row[name] for name in ("clip_id", "content_hash", "path")} for row in sounds]
    return {"askaudio_kept": VERSION, "sounds": listed, "people": people}


def import_kept(database: Database, value: Any, person: str | None = None) -> dict[str, int]:
    """Add what an export holds; all of it, or nothing where a part of it is wrong.

    Args:
        database: What to add to.
        value: The JSON object.
        person: Give all of it to this person; None keeps the names.

    Returns:
        What was added: part -> number.

    Raises:
        DataError: It is no such object; the message names the place.
        ReadOnlyError: The file cannot be written.
    """
    version = value.get("askaudio_kept") if isinstance(value, Mapping) else None
    if version != VERSION:
        raise DataError(f"this is no export of kept things (askaudio_kept is {version!r}, expected {VERSION}). "
                        "Fix: make one: askaudio keep export FILE.json")  # fmt: skip
    with database.write() as connection:
        return _Import(connection, value).run(person)


class _Import:
    """One import, in one transaction."""

    def __init__(self, connection: sqlite3.Connection, value: Mapping[str, Any]) -> None:
        self.connection = connection
        self.value = value
        self.sounds = [self._sound(row) for row in _rows(value, "sounds", "the export")]
        self.added = dict.fromkeys(("favourites", "notes", "projects", "items", "searches", "recent", "used"), 0)

    def run(self, person: str | None) -> dict[str, int]:
        """Add everything."""
        parts: dict[str, Callable[[int, Mapping[str, Any]], int]] = {
            "favourites": self._favourite, "notes": self._note, "projects": self._project,
            "searches": self._search, "recent": self._recent, "used": self._used,
        }  # fmt: skip
        for row in _rows(self.value, "people", "the export"):
            name = row.get("name", "") if person is None else person
            me = add_person(self.connection, checked_name(str(name), "the name of a person") if name else "")
            for part, add in parts.items():
                for number, one in enumerate(_rows(row, part, f"person {name!r}")):
                    self.added[part] += self._placed(add, me, one, f"{part}[{number}] of person {name!r}")
        return self.added

    @staticmethod
    def _placed(add: Callable[[int, Mapping[str, Any]], int], me: int, row: Mapping[str, Any], where: str) -> int:
        try:
            return int(add(me, row))
        except (AskAudioError, KeyError, TypeError, ValueError, IndexError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{where} cannot be read: {what}") from error

    def _sound(self, row: Mapping[str, Any]) -> int:
        clip_id, content_hash, path = (row.get(name, "") for name in ("clip_id", "content_hash", "path"))
        if not (isinstance(clip_id, str) and 0 < len(clip_id) <= 1024):
            raise DataError(f"a sound has the clip_id {clip_id!r}; expected a text of 1 to 1024 characters")
        try:
            os.fsencode(clip_id), os.fsencode(path)
        except (TypeError, UnicodeEncodeError) as error:
            raise DataError(f"the path of sound {clip_id!r} is no path: {path!r}") from error
        return add_sound(self.connection, clip_id, str(content_hash)[:64], path)

    def _of(self, row: Mapping[str, Any]) -> int:
        place = row["sound"]
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(self.sounds):
            raise DataError(f"sound is {place!r}; expected a place in the list of {len(self.sounds)} sounds")
        return self.sounds[place]

    def _do(self, statement: str, *values: Any) -> int:
        return self.connection.execute(statement, values).rowcount

    def _favourite(self, me: int, row: Mapping[str, Any]) -> int:
        return self._do("INSERT OR IGNORE INTO favourite VALUES (?, ?, ?)", me, self._of(row), _time(row, "added_s"))

    def _note(self, me: int, row: Mapping[str, Any]) -> int:
        text = checked_text(row["text"], "a note", MOST_NOTE)
        return self._do(
            "INSERT INTO note (person_id, sound_id, text, changed_s) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (person_id, sound_id) DO UPDATE SET text = excluded.text, changed_s = excluded.changed_s "
            "WHERE excluded.changed_s > changed_s",
            me, self._of(row), text, _time(row, "changed_s"),
        )  # fmt: skip

    def _project(self, me: int, row: Mapping[str, Any]) -> int:
        name = checked_name(row["name"], "the name of a project")
        note = checked_text(row.get("note", ""), "a note", MOST_NOTE)
        new = self._do(
            "INSERT OR IGNORE INTO project (person_id, name, note, shared, created_s, changed_s) "
            "VALUES (?, ?, ?, ?, ?, ?)", me, name, note, bool(row.get("shared")), time.time(), time.time(),
        )  # fmt: skip
        found = self.connection.execute(
            "SELECT id FROM project WHERE person_id = ? AND name = ?", (me, name)
        ).fetchone()
        for item in _rows(row, "items", f"project {name!r}"):
            times = _seconds(item.get("start_s")), _seconds(item.get("end_s"))
            check_part(*times)
            self.added["items"] += add_item(
                self.connection, found["id"], self._of(item), *times, str(item.get("note", ""))
            )
        return new

    def _search(self, me: int, row: Mapping[str, Any]) -> int:
        """A saved search; one of the same name with another query gets a number behind its name."""
        name, text = checked_name(row["name"], "the name of a search"), query_text(_query(row))
        for tried in _numbered(name):
            there = self.connection.execute(
                "SELECT query FROM saved_search WHERE person_id = ? AND name = ?", (me, tried)
            ).fetchone()
            if there is None:
                return self._do("INSERT INTO saved_search (person_id, name, query, saved_s) VALUES (?, ?, ?, ?)",
                                me, tried, text, _time(row, "saved_s"))  # fmt: skip
            if there["query"] == text:
                break
        return 0

    def _recent(self, me: int, row: Mapping[str, Any]) -> int:
        values = query_text(_query(row)), _time(row, "used_s"), max(1, int(row.get("times", 1)))
        return self._do("INSERT OR IGNORE INTO recent_query VALUES (?, ?, ?, ?)", me, *values)

    def _used(self, me: int, row: Mapping[str, Any]) -> int:
        if row["action"] not in ACTIONS:
            raise DataError(f"action is {row['action']!r}; expected one of {', '.join(ACTIONS)}")
        return self._do("INSERT OR IGNORE INTO used_sound VALUES (?, ?, ?, ?, ?)", me, self._of(row), row["action"],
                        _time(row, "used_s"), max(1, int(row.get("times", 1))))  # fmt: skip


def _rows(value: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    rows = value.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise DataError(f"{name!r} of {where} is not a list of objects")
    return rows


def _query(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(row["query"], Mapping):
        raise DataError(f"query is {row['query']!r}; expected an object")
    return row["query"]


def _time(row: Mapping[str, Any], name: str) -> float:
    value = _seconds(row.get(name, 0.0))
    return 0.0 if value is None else value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"a time is {value!r}; expected a number")
    return float(value)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        ending = f" ({number})"
        yield name[: MOST_NAME - len(ending)] + ending
        number += 1
