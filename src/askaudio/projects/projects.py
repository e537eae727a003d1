"""Named projects: ordered lists of sounds, or of parts of them, each with a note."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from askaudio.core.errors import ConfigError
from askaudio.projects.database import NameTakenError, UnknownItemError
from askaudio.projects.marks import MOST_NOTE
from askaudio.projects.people import Person
from askaudio.projects.sounds import Sound
from askaudio.projects.texts import checked_name, checked_text

_SEEN = "(project.person_id = ? OR project.shared = 1)"


@dataclass(frozen=True, slots=True)
class Project:
    """A named list of sounds.

    Attributes:
        project_id: Id in the file.
        name: Name; unique among those of its owner.
        owner: Name of the person who made it.
        note: A text about it.
        shared: All people see and change it.
        items: Number of its items.
        changed_s: When it or an item was changed last, in seconds since 1970.
    """

    project_id: int
    name: str
    owner: str = ""
    note: str = ""
    shared: bool = False
    items: int = 0
    changed_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class NewItem:
    """A sound to add to a project.

    Attributes:
        clip_id: Id of a stored clip.
        start_s: Start of the part, in seconds; None for the whole recording.
        end_s: Its end.
        note: A text about it.

    Raises:
        ConfigError: Only one of the times is set, or the end is not after the start.
    """

    clip_id: str
    start_s: float | None = None
    end_s: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check_part(self.start_s, self.end_s)


@dataclass(frozen=True, slots=True)
class Item:
    """A sound in a project; the times are None for the whole recording."""

    item_id: int
    sound: Sound
    start_s: float | None = None
    end_s: float | None = None
    note: str = ""
    added_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The fields of the item and of its sound."""
        own = {"item_id": self.item_id, "start_s": self.start_s, "end_s": self.end_s, "note": self.note}
        return {**own, "added_s": self.added_s, **self.sound.to_json()}


class Projects:
    """The projects that a person sees: their own and the shared ones."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def all(self) -> list[Project]:
        """All of them, the last changed first."""
        return [_project(row) for row in self._person.rows(_QUERY.format("1"))]

    def make(self, name: str, note: str = "", shared: bool = False) -> Project:
        """Make an empty project.

        Args:
            name: Its name.
            note: A text about it.
            shared: Let all people see and change it.

        Raises:
            NameTakenError: The person has one of this name.
        """
        name, note, now = (
            checked_name(name, "the name of a project"),
            checked_text(note, "a note", MOST_NOTE),
            time.time(),
        )
        with self._person.write() as (connection, me), unique(name):
            connection.execute(
                "INSERT INTO project (person_id, name, note, shared, created_s, changed_s) VALUES (?, ?, ?, ?, ?, ?)",
                (me, name, note, shared, now, now),
            )
        return self.find(name)

    def find(self, name: str | int) -> Project:
        """One project by its name or id; of two with one name, the person's own.

        Raises:
            UnknownItemError: The person sees none of this name or id.
        """
        column, value = ("id", name) if isinstance(name, int) else ("name", checked_name(name, "the name of a project"))
        rows = self._person.rows(_QUERY.format(f"project.{column} = ?"), value)
        if not rows:
            known = ", ".join(repr(project.name) for project in self.all()[:10])
            fix = f". Fix: askaudio keep make {name!r}" if isinstance(name, str) else ""
            raise UnknownItemError(f"no project {name!r}; known: {known or 'none yet'}{fix}")
        return _project(min(rows, key=lambda row: row["owner"] != self._person.name))

    def change(
        self, name: str | int, new_name: str | None = None, note: str | None = None, shared: bool | None = None
    ) -> Project:
        """Change a project; None leaves a field as it is.

        Args:
            name: Name or id of the project.
            new_name: Its new name.
            note: Its new text.
            shared: Whether all people see and change it.

        Raises:
            UnknownItemError: The person sees none of this name or id.
            NameTakenError: Its owner has another one of the new name.
        """
        found = self.find(name)
        new_name = found.name if new_name is None else checked_name(new_name, "the name of a project")
        note = found.note if note is None else checked_text(note, "a note", MOST_NOTE)
        with self._person.write() as (connection, _), unique(new_name):
            connection.execute(
                "UPDATE project SET name = ?, note = ?, shared = ?, changed_s = ? WHERE id = ?",
                (new_name, note, found.shared if shared is None else shared, time.time(), found.project_id),
            )
        return self.find(found.project_id)

    def delete(self, name: str | int) -> None:
        """Delete a project with its items; the sounds are not touched.

        Raises:
            UnknownItemError: The person sees none of this name or id.
        """
        found = self.find(name)
        with self._person.write() as (connection, _):
            connection.execute("DELETE FROM project WHERE id = ?", (found.project_id,))

    # --- items --------------------------------------------------------------------------------------------------
    def items(self, name: str | int) -> list[Item]:
        """The items of a project, in order.

        Raises:
            UnknownItemError: The person sees none of this name or id.
        """
        project_id = self.find(name).project_id
        with self._person.database.read() as connection:
            rows = connection.execute(
                "SELECT id, sound_id, start_s, end_s, note, added_s FROM item "
                "WHERE project_id = ? ORDER BY position, id",
                (project_id,),
            ).fetchall()
        sounds = self._person.sounds.read(row["sound_id"] for row in rows)
        return [
            Item(row["id"], sounds[row["sound_id"]], row["start_s"], row["end_s"], row["note"], row["added_s"])
            for row in rows
        ]

    def add(self, name: str | int, items: Sequence[NewItem | str]) -> int:
        """Append sounds to a project; what it already holds with the same times is left out.

        Args:
            name: Name or id of the project.
            items: Items, or ids of stored clips.

        Returns:
            Number of items that were added.

        Raises:
            UnknownItemError: The person sees none of this name or id.
            UnknownClipError: The collection holds no clip of one of these ids.
        """
        project_id = self.find(name).project_id
        new = [NewItem(item) if isinstance(item, str) else item for item in items]
        sound_ids = self._person.sounds.ids_of([item.clip_id for item in new])
        with self._person.write() as (connection, _):
            return sum(
                add_item(connection, project_id, sound_id, item.start_s, item.end_s, item.note)
                for sound_id, item in zip(sound_ids, new, strict=True)
            )

    def change_item(self, name: str | int, item_id: int, note: str | None = None, before: int | None = None) -> None:
        """Change the note of an item, or its place.

        Args:
            name: Name or id of the project.
            item_id: Id of the item.
            note: Its new text.
            before: Id of the item that it is put in front of; 0 puts it at the end.

        Raises:
            UnknownItemError: There is no such project or item.
        """
        project_id, order = self._order(name)
        if item_id not in order or (before and before not in order):
            raise UnknownItemError(f"no item {item_id if item_id not in order else before} in this project")
        with self._person.write() as (connection, _):
            if note is not None:
                text = checked_text(note, "a note", MOST_NOTE)
                connection.execute("UPDATE item SET note = ? WHERE id = ?", (text, item_id))
            if before is not None and before != item_id:
                order.remove(item_id)
                order.insert(order.index(before) if before else len(order), item_id)
                connection.executemany("UPDATE item SET position = ? WHERE id = ?", list(enumerate(order)))
            _touch(connection, project_id)

    def remove_item(self, name: str | int, item_id: int) -> None:
        """Take an item out of a project.

        Args:
            name: Name or id of the project.
            item_id: Id of the item.

        Raises:
            UnknownItemError: There is no such project or item.
        """
        project_id, order = self._order(name)
        if item_id not in order:
            raise UnknownItemError(f"no item {item_id} in this project")
        with self._person.write() as (connection, _):
            connection.execute("DELETE FROM item WHERE id = ?", (item_id,))
            _touch(connection, project_id)

    def _order(self, name: str | int) -> tuple[int, list[int]]:
        project_id = self.find(name).project_id
        with self._person.database.read() as connection:
            rows = connection.execute("SELECT id FROM item WHERE project_id = ? ORDER BY position, id", (project_id,))
            return project_id, [row["id"] for row in rows]


def add_item(
    connection: sqlite3.Connection,
    project_id: int,
    sound_id: int,
    start_s: float | None = None,
    end_s: float | None = None,
    note: str = "",
) -> bool:
    """Append an item to a project; False where it holds this part of this sound already.

    Args:
        connection: In a transaction that writes.
        project_id: Row of the project.
        sound_id: Row of the sound.
        start_s: Start of the part; None for the whole recording.
        end_s: Its end.
        note: A text about it.
    """
    place = (project_id, sound_id, start_s, end_s)
    same = "SELECT 1 FROM item WHERE project_id = ? AND sound_id = ? AND start_s IS ? AND end_s IS ?"
    if connection.execute(same, place).fetchone():
        return False
    connection.execute(
        "INSERT INTO item (project_id, sound_id, start_s, end_s, note, added_s, position) VALUES (?, ?, ?, ?, ?, ?, "
        "(SELECT coalesce(max(position), -1) + 1 FROM item WHERE project_id = ?))",
        (*place, checked_text(note, "a note", MOST_NOTE), time.time(), project_id),
    )
    _touch(connection, project_id)
    return True


def check_part(start_s: float | None, end_s: float | None) -> None:
    """Check the times of a part.

    Args:
        start_s: Its start, in seconds; None for the whole recording.
        end_s: Its end.

    Raises:
        ConfigError: Only one of the times is set, or they are not in order.
    """
    if start_s is None and end_s is None:
        return
    if start_s is None or end_s is None or not 0 <= start_s < end_s < 1e9:
        raise ConfigError(f"a part from {start_s} to {end_s} s; expected both times, and an end after the start")


_QUERY = f"""
SELECT project.id, project.name, owner.name AS owner, project.note, project.shared, project.changed_s,
    (SELECT count(*) FROM item WHERE item.project_id = project.id) AS items
FROM project JOIN person AS owner ON owner.id = project.person_id
WHERE {_SEEN} AND {{}} ORDER BY project.changed_s DESC, project.id DESC
"""


def _project(row: dict[str, Any]) -> Project:
    return Project(
        row["id"], row["name"], row["owner"], row["note"], bool(row["shared"]), row["items"], row["changed_s"]
    )


def _touch(connection: sqlite3.Connection, project_id: int) -> None:
    connection.execute("UPDATE project SET changed_s = ? WHERE id = ?", (time.time(), project_id))


@contextlib.contextmanager
def unique(name: str) -> Iterator[None]:
    """Turn the error of a name that is taken into ours."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise NameTakenError(f"there is already one called {name!r}; choose another name") from error
