"""What a person keeps of single sounds: favourites, notes, and which sounds were used."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from askaudio.core.errors import ConfigError
from askaudio.projects.people import Person
from askaudio.projects.sounds import Sound
from askaudio.projects.texts import checked_text

Action = Literal["played", "copied", "downloaded", "exported"]
ACTIONS: tuple[str, ...] = get_args(Action)
MOST_NOTE = 4000  # characters
_USED_KEPT = 1000  # rows a person


@dataclass(frozen=True, slots=True)
class Mark:
    """A sound with what a person noted about it.

    Attributes:
        sound: The sound.
        when_s: When it was marked, noted or last used, in seconds since 1970.
        text: The note; empty for favourites and used sounds.
        action: What was done with it; empty for favourites and notes.
        times: How often.
    """

    sound: Sound
    when_s: float
    text: str = ""
    action: str = ""
    times: int = 1

    def to_json(self) -> dict[str, Any]:
        """The sound's fields and those that are set."""
        facts = {**self.sound.to_json(), "when_s": self.when_s}
        if self.text:
            facts["text"] = self.text
        return {**facts, "action": self.action, "times": self.times} if self.action else facts


class Favourites:
    """The favourite sounds of a person, the latest first."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def add(self, *clip_ids: str) -> None:
        """Make stored clips favourites; one that already is keeps its place.

        Raises:
            UnknownClipError: The collection holds no clip of one of these ids.
            ReadOnlyError: The collection is read-only.
        """
        sound_ids, now = self._person.sounds.ids_of(clip_ids), time.time()
        with self._person.write() as (connection, me):
            connection.executemany(
                "INSERT OR IGNORE INTO favourite (person_id, sound_id, added_s) VALUES (?, ?, ?)",
                [(me, sound_id, now) for sound_id in sound_ids],
            )

    def remove(self, clip_id: str) -> bool:
        """Take a clip from the favourites; whether it was one. The collection need not hold it any more."""
        return _remove(self._person, "favourite", clip_id)

    def all(self) -> list[Mark]:
        """All favourites, the latest first."""
        rows = self._person.rows("SELECT sound_id, added_s AS when_s FROM favourite WHERE person_id = ?")
        return _marks(self._person, rows)


class Notes:
    """A person's notes about sounds."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def set(self, clip_id: str, text: str) -> None:
        """Write the note about a stored clip; an empty text removes it.

        Raises:
            UnknownClipError: The collection holds no clip of this id.
            ReadOnlyError: The collection is read-only.
        """
        text = checked_text(text, "a note", MOST_NOTE)
        if not text:
            _remove(self._person, "note", clip_id)
            return
        (sound_id,) = self._person.sounds.ids_of([clip_id])
        with self._person.write() as (connection, me):
            connection.execute(
                "INSERT OR REPLACE INTO note (person_id, sound_id, text, changed_s) VALUES (?, ?, ?, ?)",
                (me, sound_id, text, time.time()),
            )

    def get(self, clip_id: str) -> str:
        """The note about a clip; empty without one."""
        return next((mark.text for mark in self.all() if mark.sound.clip_id == clip_id), "")

    def all(self) -> list[Mark]:
        """All notes, the latest first."""
        rows = self._person.rows("SELECT sound_id, text, changed_s AS when_s FROM note WHERE person_id = ?")
        return _marks(self._person, rows)


class UsedSounds:
    """Which sounds a person played, copied, downloaded or exported; the last 1,000 are remembered."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def add(self, clip_ids: Sequence[str], action: Action) -> None:
        """Note that stored clips were used.

        Args:
            clip_ids: Ids of the clips.
            action: What was done with them.

        Raises:
            ConfigError: There is no such action.
            UnknownClipError: The collection holds no clip of one of these ids.
            ReadOnlyError: The collection is read-only.
        """
        if action not in ACTIONS:
            raise ConfigError(f"action is {action!r}; expected one of {', '.join(ACTIONS)}")
        sound_ids, now = self._person.sounds.ids_of(clip_ids), time.time()
        with self._person.write() as (connection, me):
            connection.executemany(
                "INSERT INTO used_sound (person_id, sound_id, action, used_s) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (person_id, sound_id, action) DO UPDATE SET used_s = excluded.used_s, times = times + 1",
                [(me, sound_id, action, now) for sound_id in sound_ids],
            )
            forget_old(connection, "used_sound", "sound_id, action", me, _USED_KEPT)

    def all(self, limit: int = 100) -> list[Mark]:
        """The sounds that were used last, the latest first.

        Args:
            limit: Largest number of sounds.
        """
        rows = self._person.rows(
            "SELECT sound_id, action, times, used_s AS when_s FROM used_sound WHERE person_id = ? "
            "ORDER BY used_s DESC LIMIT ?",
            limit,
        )
        return _marks(self._person, rows)

    def clear(self) -> None:
        """Forget all of them."""
        with self._person.write() as (connection, me):
            connection.execute("DELETE FROM used_sound WHERE person_id = ?", (me,))


def forget_old(connection: sqlite3.Connection, table: str, key: str, person_id: int, kept: int) -> None:
    """Delete all but the latest rows of a person.

    Args:
        connection: In a transaction that writes.
        table: With the columns ``person_id`` and ``used_s``.
        key: Its other key columns.
        person_id: Whose rows.
        kept: Number of rows that stay.
    """
    connection.execute(
        f"DELETE FROM {table} WHERE person_id = ? AND ({key}) NOT IN "
        f"(SELECT {key} FROM {table} WHERE person_id = ? ORDER BY used_s DESC LIMIT ?)",
        (person_id, person_id, kept),
    )


def _remove(person: Person, table: str, clip_id: str) -> bool:
    sound_ids = person.sounds.existing(clip_id)
    with person.write() as (connection, me):
        done = [connection.execute(f"DELETE FROM {table} WHERE person_id = ? AND sound_id = ?", (me, sound_id)).rowcount
                for sound_id in sound_ids]  # fmt: skip
    return sum(done) > 0


def _marks(person: Person, rows: Sequence[dict[str, Any]]) -> list[Mark]:
    """One mark a clip and action, the latest first."""
    sounds = person.sounds.read(row["sound_id"] for row in rows)
    found: dict[tuple[str, str], Mark] = {}
    for row in sorted(rows, key=lambda row: -row["when_s"]):
        sound = sounds[row["sound_id"]]
        mark = Mark(sound, row["when_s"], row.get("text", ""), row.get("action", ""), row.get("times", 1))
        found.setdefault((sound.clip_id, mark.action), mark)
    return list(found.values())
