"""The SQLite file: several processes and threads, read-only folders, damage, other versions."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from askaudio.projects import database as module
from askaudio.projects.database import FILE_NAME, Database, KeepError, ReadOnlyError
from askaudio.projects.schema import STEPS


def test_threads_write_at_the_same_time(library, open_as):
    kept = open_as()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: kept.recent.add({"q": [f"text {n % 5}"]}), range(40)))
    assert sorted(one.times for one in kept.recent.all()) == [8] * 5


def test_processes_write_at_the_same_time(library, open_as):
    code = (
        "import sys; from askaudio.projects.kept import open_kept\n"
        "with open_kept(sys.argv[1]) as kept:\n"
        "    for n in range(20): kept.recent.add({'q': [f'{sys.argv[2]} {n}']})"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(library.collection), str(n)], stderr=subprocess.PIPE)
        for n in range(3)
    ]
    assert [(child.communicate()[1], child.returncode) for child in running] == [(b"", 0)] * 3
    assert len(open_as().recent.all(100)) == 60


def test_a_file_that_another_process_makes_is_seen(library, open_as):
    early, late = open_as(), open_as()
    assert early.recent.all() == []
    late.recent.add({"q": ["rain"]})
    assert len(early.recent.all()) == 1


def test_a_read_only_collection_is_read_and_refuses_to_keep(library, open_as, monkeypatch):
    with open_as() as kept:
        kept.favourites.add(library.id_of("a.wav"))
    kept = open_as()
    monkeypatch.setattr(module, "is_writable", lambda file: False)
    assert [mark.sound.name for mark in kept.favourites.all()] == ["a.wav"]
    for keep in (lambda: kept.favourites.add(library.id_of("b.wav")), lambda: kept.projects.make("p")):
        with pytest.raises(ReadOnlyError, match=r"read-only for this user\. Fix: change the rights"):
            keep()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_rights_of_the_folder_decide(tmp_path):
    tmp_path.chmod(0o500)
    assert not module.is_writable(tmp_path / "file")
    tmp_path.chmod(0o700)
    assert module.is_writable(tmp_path / "sub" / "file")


def test_the_log_lets_readers_read_during_a_write(library, open_as):
    writer, reader = open_as(), open_as()
    writer.recent.add({"q": ["before"]})
    with writer.person.write() as (connection, me):
        connection.execute("DELETE FROM recent_query WHERE person_id = ?", (me,))
        assert len(reader.recent.all()) == 1
    assert reader.recent.all() == []


def test_a_failed_write_changes_nothing(library, open_as):
    kept = open_as()
    kept.recent.add({"q": ["rain"]})
    with pytest.raises(ZeroDivisionError), kept.person.write() as (connection, _):
        connection.execute("DELETE FROM recent_query")
        raise ZeroDivisionError
    assert len(kept.recent.all()) == 1


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(KeepError, match=r"projects\.sqlite is damaged or is no SQLite file"),
        Database(tmp_path / FILE_NAME).read(),
    ):
        pass


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(KeepError, match="version 99; this askaudio knows up to"), Database(tmp_path / FILE_NAME).read():
        pass


def test_steps_are_taken_one_after_the_other(tmp_path, monkeypatch):
    database = Database(tmp_path / FILE_NAME)
    with database.write() as connection:
        connection.execute("INSERT INTO person (name) VALUES ('Ana')")
    database.close()
    more = (*STEPS, "ALTER TABLE person ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")
    monkeypatch.setattr(module, "STEPS", more)
    with Database(tmp_path / FILE_NAME).read() as connection:
        assert dict(connection.execute("SELECT name, colour FROM person").fetchone()) == {
            "name": "Ana",
            "colour": "blue",
        }
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(more)
