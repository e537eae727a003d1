"""Tables of the file, as the steps that lead from each version to the next; ``PRAGMA user_version`` counts them.

A step that was released is never changed: files of every earlier version are brought up to date by the steps that they
lack. ``docs/formats.md`` describes the tables.
"""

from __future__ import annotations

_VERSION_1 = """
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE               -- '' is the person without a name
);
CREATE TABLE sound (
    id INTEGER PRIMARY KEY,
    clip_id TEXT NOT NULL,                  -- id in the collection
    content_hash TEXT NOT NULL DEFAULT '',  -- hex SHA-256 of the file, '' where unknown
    path TEXT NOT NULL DEFAULT ''           -- the last known path, as the bytes that the system uses
);
CREATE INDEX sound_clip ON sound (clip_id);
CREATE TABLE favourite (
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    sound_id INTEGER NOT NULL REFERENCES sound,
    added_s REAL NOT NULL,                  -- seconds since 1970, as everywhere
    PRIMARY KEY (person_id, sound_id)
) WITHOUT ROWID;
CREATE TABLE note (
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    sound_id INTEGER NOT NULL REFERENCES sound,
    text TEXT NOT NULL,
    changed_s REAL NOT NULL,
    PRIMARY KEY (person_id, sound_id)
) WITHOUT ROWID;
CREATE TABLE project (
    id INTEGER PRIMARY KEY,
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    name TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    shared INTEGER NOT NULL DEFAULT 0,      -- 1: all people see and change it
    created_s REAL NOT NULL,
    changed_s REAL NOT NULL,
    UNIQUE (person_id, name)
);
CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
    sound_id INTEGER NOT NULL REFERENCES sound,
    position INTEGER NOT NULL,
    start_s REAL,                           -- NULL: the whole recording
    end_s REAL,
    note TEXT NOT NULL DEFAULT '',
    added_s REAL NOT NULL
);
CREATE INDEX item_project ON item (project_id, position);
CREATE TABLE saved_search (
    id INTEGER PRIMARY KEY,
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    name TEXT NOT NULL,
    query TEXT NOT NULL,                    -- JSON object with the parameters of GET /v1/search
    saved_s REAL NOT NULL,
    UNIQUE (person_id, name)
);
CREATE TABLE recent_query (
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    query TEXT NOT NULL,                    -- as in saved_search
    used_s REAL NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (person_id, query)
) WITHOUT ROWID;
CREATE TABLE used_sound (
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    sound_id INTEGER NOT NULL REFERENCES sound,
    action TEXT NOT NULL,                   -- played, copied, downloaded, exported
    used_s REAL NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (person_id, sound_id, action)
) WITHOUT ROWID;
"""

STEPS = (_VERSION_1,)
# tables that refer to a sound, and whether one row of theirs may name it only once a person
REFERENCES = ("favourite", "note", "item", "used_sound")
