"""The sounds that kept things refer to, and how they are found again in the collection.

A kept sound is known by its clip_id, which is a hash of its path, and by the hash of its content. The content decides:

1. The clip of this id has this content: nothing has changed.
2. Another clip has this content: the file was moved, and the kept sound follows it.
3. The clip of this id has other content: the file was edited, and the kept sound is what it is now.
4. Neither is in the collection: the sound was forgotten or is not indexed yet. It stays kept, and is found again by 1
   or 2 when it is indexed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from askaudio.core.errors import UnknownClipError
from askaudio.core.names import readable
from askaudio.index.bookkeeping import Bookkeeping, Stamp, public_metadata
from askaudio.index.entries import StoredClip
from askaudio.index.filters import Compare, Filter, clips_are
from askaudio.index.store import VectorStore
from askaudio.projects.database import Database
from askaudio.projects.schema import REFERENCES

_AT_ONCE = 400  # values in one filter, and in one statement


@dataclass(frozen=True, slots=True)
class Sound:
    """A kept sound as the collection has it now.

    Attributes:
        clip_id: Id in the collection; the last known one where ``missing``.
        path: The file, absolute; the last known one where ``missing``.
        missing: The collection does not hold it (forgotten, or not indexed yet).
        metadata: Facts about the recording; empty where ``missing``.
        content_hash: Hex SHA-256 of the file, "" where unknown; not part of the JSON.
        stamp: State of the file when it was indexed; not part of the JSON.
    """

    clip_id: str
    path: str
    missing: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    content_hash: str = ""
    stamp: Stamp | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return readable(os.path.basename(self.path))

    def to_json(self) -> dict[str, Any]:
        """What users see."""
        facts = {"clip_id": self.clip_id, "path": self.path, "missing": self.missing}
        return {**facts, "metadata": dict(self.metadata)}


class Sounds:
    """Finds kept sounds in the collection.

    Args:
        database: The kept things.
        store: The open collection.
    """

    def __init__(self, database: Database, store: VectorStore) -> None:
        self.database = database
        self.store = store

    def ids_of(self, clip_ids: Sequence[str]) -> list[int]:
        """Rows of the table ``sound`` for stored clips, in order; made where there are none.

        Raises:
            UnknownClipError: The collection holds no clip of one of these ids.
        """
        stored = self._by_id(clip_ids)
        for clip_id in clip_ids:
            if clip_id not in stored:
                raise UnknownClipError(clip_id, self.store.url)
        self._follow(clip_ids)
        with self.database.write() as connection:
            return [_row_of(connection, stored[clip_id]) for clip_id in clip_ids]

    def existing(self, clip_id: str) -> list[int]:
        """Rows that this id names, whether the collection holds the clip or not."""
        self._follow([clip_id])
        with self.database.read() as connection:
            return [row["id"] for row in connection.execute("SELECT id FROM sound WHERE clip_id = CAST(? AS TEXT)",
                                                            (os.fsencode(clip_id),))]  # fmt: skip

    def read(self, sound_ids: Iterable[int]) -> dict[int, Sound]:
        """The sounds of some rows as the collection has them now; those that moved are noted under their new ids.

        Rows that turn out to be the same clip are joined, so a row may be gone after this call.
        """
        with self.database.read() as connection:
            rows = [dict(row) for part in _parts(sorted(set(sound_ids))) for row in connection.execute(
                f"SELECT id, clip_id, content_hash, path FROM sound WHERE id IN ({','.join('?' * len(part))})", part
            )]  # fmt: skip
        return self._resolve(rows)

    # --- inside -------------------------------------------------------------------------------------------------
    def _follow(self, clip_ids: Sequence[str]) -> None:
        """Bring the rows of these ids up to date, because another file may have taken the path of an old one."""
        with self.database.read() as connection:
            rows = [dict(row) for part in _parts(list(clip_ids)) for row in connection.execute(
                "SELECT id, clip_id, content_hash, path FROM sound WHERE clip_id IN "
                f"({','.join(['CAST(? AS TEXT)'] * len(part))})", [os.fsencode(clip_id) for clip_id in part]
            )]  # fmt: skip
        self._resolve(rows)

    def _resolve(self, rows: Sequence[dict[str, Any]]) -> dict[int, Sound]:
        by_id = self._by_id([row["clip_id"] for row in rows])
        strayed = {row["content_hash"] for row in rows if not _is_same(row, by_id.get(row["clip_id"]))}
        by_hash = self._by_hash(sorted(strayed - {""}))
        found: dict[int, Sound] = {}
        changed: list[tuple[int, StoredClip]] = []
        for row in rows:
            here = by_id.get(row["clip_id"])
            clip = here if _is_same(row, here) else _nearest(by_hash.get(row["content_hash"], []), row["path"]) or here
            found[row["id"]] = _missing(row) if clip is None else sound_of(clip)
            if clip is not None and _facts(clip) != (row["clip_id"], row["content_hash"], row["path"]):
                changed.append((row["id"], clip))
        if changed and self.database.is_writable:
            self._note(changed)
        return found

    def _note(self, changed: Sequence[tuple[int, StoredClip]]) -> None:
        with self.database.write() as connection:
            for sound_id, clip in changed:
                clip_id, content_hash, path = _facts(clip)
                connection.execute(
                    "UPDATE sound SET clip_id = CAST(? AS TEXT), content_hash = ?, path = CAST(? AS TEXT) WHERE id = ?",
                    (os.fsencode(clip_id), content_hash, os.fsencode(path), sound_id),
                )
            for _, clip in changed:
                _join(connection, clip.clip_id)

    def _by_id(self, clip_ids: Sequence[str]) -> dict[str, StoredClip]:
        found = self._stored([clips_are(part) for part in _parts(sorted(set(clip_ids)))])
        return {clip.clip_id: clip for clip in found}

    def _by_hash(self, hashes: Sequence[str]) -> dict[str, list[StoredClip]]:
        found: dict[str, list[StoredClip]] = {}
        for clip in self._stored([Compare("content_hash", "in", tuple(part)) for part in _parts(hashes)]):
            found.setdefault(Bookkeeping.of(clip.metadata).content_hash, []).append(clip)
        return found

    def _stored(self, filters: Sequence[Filter]) -> list[StoredClip]:
        return [clip for tree in filters for clip in self.store.clips(tree)]


def sound_of(clip: StoredClip) -> Sound:
    """A stored clip as a sound."""
    book = Bookkeeping.of(clip.metadata)
    return Sound(clip.clip_id, clip.path, False, public_metadata(clip.metadata), book.content_hash, book.stamp)


def add_sound(connection: sqlite3.Connection, clip_id: str, content_hash: str, path: str) -> int:
    """The row of a sound, which the collection may not hold; made where there is none.

    Args:
        connection: In a transaction that writes.
        clip_id: Id of the clip.
        content_hash: Hex SHA-256, or "".
        path: Last known path.
    """
    named = os.fsencode(clip_id)
    found = connection.execute(
        "SELECT id FROM sound WHERE clip_id = CAST(? AS TEXT) AND (content_hash = ? OR content_hash = '' OR ? = '')",
        (named, content_hash, content_hash),
    ).fetchone()
    if found is not None:
        return int(found["id"])
    made = connection.execute(
        "INSERT INTO sound (clip_id, content_hash, path) VALUES (CAST(? AS TEXT), ?, CAST(? AS TEXT))",
        (named, content_hash, os.fsencode(path)),
    )
    return int(made.lastrowid or 0)


def _row_of(connection: sqlite3.Connection, clip: StoredClip) -> int:
    return add_sound(connection, *_facts(clip))


def _join(connection: sqlite3.Connection, clip_id: str) -> None:
    """Make all rows of one clip the first of them: what refers to the others refers to it."""
    rows = connection.execute(
        "SELECT id FROM sound WHERE clip_id = CAST(? AS TEXT) ORDER BY id", (os.fsencode(clip_id),)
    ).fetchall()
    for row in rows[1:]:
        for table in REFERENCES:  # OR IGNORE: where both are there already, the older one stays
            connection.execute(
                f"UPDATE OR IGNORE {table} SET sound_id = ? WHERE sound_id = ?", (rows[0]["id"], row["id"])
            )
            connection.execute(f"DELETE FROM {table} WHERE sound_id = ?", (row["id"],))
        connection.execute("DELETE FROM sound WHERE id = ?", (row["id"],))


def _facts(clip: StoredClip) -> tuple[str, str, str]:
    return clip.clip_id, Bookkeeping.of(clip.metadata).content_hash, clip.path


def _is_same(row: Mapping[str, Any], clip: StoredClip | None) -> bool:
    """Whether a clip has the content of a row, as far as both are known."""
    if clip is None:
        return False
    content_hash = Bookkeeping.of(clip.metadata).content_hash
    return not row["content_hash"] or not content_hash or content_hash == row["content_hash"]


def _nearest(clips: Sequence[StoredClip], path: str) -> StoredClip | None:
    """Of several copies, the one with the same file name, else the first by id."""
    name = os.path.basename(path)
    return min(clips, key=lambda clip: (os.path.basename(clip.path) != name, clip.clip_id), default=None)


def _missing(row: Mapping[str, Any]) -> Sound:
    return Sound(row["clip_id"], row["path"], missing=True, content_hash=row["content_hash"])


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
