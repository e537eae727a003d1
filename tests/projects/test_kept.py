"""Favourites, projects, notes, saved searches and recent things of one person and of several."""

from __future__ import annotations

import pytest

from askaudio.core.errors import ConfigError, UnknownClipError
from askaudio.projects.database import FILE_NAME, NameTakenError, ReadOnlyError, UnknownItemError
from askaudio.projects.kept import open_kept
from askaudio.projects.projects import NewItem


def names(marks) -> list[str]:
    return [mark.sound.name for mark in marks]


def test_reading_makes_no_file(library, open_as):
    kept = open_as()
    assert (kept.favourites.all(), kept.projects.all(), kept.people()) == ([], [], [])
    assert not (library.collection / FILE_NAME).exists()


def test_favourites_are_listed_latest_first_and_once(library, open_as):
    kept = open_as()
    kept.favourites.add(library.id_of("a.wav"))
    kept.favourites.add(library.id_of("b.wav"), library.id_of("a.wav"))
    assert names(kept.favourites.all()) == ["b.wav", "a.wav"]
    assert kept.favourites.all()[0].sound.metadata["duration_s"] == 0.5
    assert kept.favourites.remove(library.id_of("b.wav")) is True
    assert kept.favourites.remove(library.id_of("b.wav")) is False
    assert names(open_as().favourites.all()) == ["a.wav"]


def test_an_unknown_clip_cannot_be_kept(open_as):
    kept = open_as()
    for keep in (kept.favourites.add, lambda clip: kept.notes.set(clip, "x"), lambda c: kept.used.add([c], "played")):
        with pytest.raises(UnknownClipError, match="no clip 'nothing'"):
            keep("nothing")


def test_a_project_keeps_parts_in_order(library, open_as):
    kept = open_as()
    kept.projects.make("Storm, scene 4", "for Tuesday")
    a, b = library.id_of("a.wav"), library.id_of("b.wav")
    assert kept.projects.add("Storm, scene 4", [NewItem(a, 0.1, 0.3, "hit"), b, a]) == 3
    assert kept.projects.add("Storm, scene 4", [NewItem(a, 0.1, 0.3), b]) == 0
    first, second, third = kept.projects.items("Storm, scene 4")
    assert (first.sound.clip_id, first.start_s, first.end_s, first.note) == (a, 0.1, 0.3, "hit")
    assert (second.sound.clip_id, second.start_s) == (b, None)
    kept.projects.change_item("Storm, scene 4", third.item_id, note="whole", before=first.item_id)
    kept.projects.remove_item("Storm, scene 4", second.item_id)
    assert [(item.item_id, item.note) for item in kept.projects.items("Storm, scene 4")] == [
        (third.item_id, "whole"),
        (first.item_id, "hit"),
    ]
    kept.projects.change_item("Storm, scene 4", third.item_id, before=0)
    assert [item.item_id for item in kept.projects.items("Storm, scene 4")] == [first.item_id, third.item_id]
    found = kept.projects.find("Storm, scene 4")
    assert (found.items, found.note, found.owner) == (2, "for Tuesday", "")


def test_projects_are_renamed_and_deleted(open_as):
    kept = open_as()
    kept.projects.make("one")
    kept.projects.make("two")
    with pytest.raises(NameTakenError, match="already one called 'two'"):
        kept.projects.make("two")
    with pytest.raises(NameTakenError):
        kept.projects.change("one", new_name="two")
    assert kept.projects.change("one", new_name=" uno ", note="n").name == "uno"
    kept.projects.delete("two")
    assert [project.name for project in kept.projects.all()] == ["uno"]
    with pytest.raises(UnknownItemError, match="no project 'two'; known: 'uno'"):
        kept.projects.items("two")
    with pytest.raises(UnknownItemError, match="no item 99"):
        kept.projects.remove_item("uno", 99)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 121, "nul\0", "half \ud800"])
def test_names_are_one_line(open_as, name):
    with pytest.raises(ConfigError):
        open_as().projects.make(name)


@pytest.mark.parametrize("part", [(1.0, None), (None, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, float("nan"))])
def test_a_part_needs_two_times_in_order(part):
    with pytest.raises(ConfigError, match="expected both times"):
        NewItem("a", *part)


def test_notes_are_replaced_and_removed(library, open_as):
    kept, clip = open_as(), library.id_of("a.wav")
    kept.notes.set(clip, " too loud ")
    kept.notes.set(clip, "good from 2 s")
    assert kept.notes.get(clip) == "good from 2 s"
    kept.notes.set(clip, "")
    assert kept.notes.get(clip) == "" and kept.notes.all() == []


def test_saved_searches(open_as):
    kept = open_as()
    query = {"q": ["rain"], "avoid": ["thunder"], "where": "duration<3", "like": []}
    saved = kept.searches.save("Dry rain", query)
    assert saved.query == {"q": ["rain"], "avoid": ["thunder"], "where": "duration<3"}
    with pytest.raises(NameTakenError):
        kept.searches.save("Dry rain", query)
    assert kept.searches.save("Dry rain", {"q": ["drizzle"]}, replace=True).query == {"q": ["drizzle"]}
    kept.searches.delete("Dry rain")
    with pytest.raises(UnknownItemError, match="known: none yet"):
        kept.searches.find("Dry rain")


@pytest.mark.parametrize("query", [{}, {"q": "rain"}, {"q": [1]}, {"where": 3}, {"q": ["x" * 9000]}, {"q": [b"x"]}])
def test_a_query_of_another_form_is_refused(open_as, query):
    with pytest.raises(ConfigError):
        open_as().searches.save("x", query)


def test_recent_queries_count_and_are_bounded(open_as, monkeypatch):
    monkeypatch.setattr("askaudio.projects.searches._QUERIES_KEPT", 3)
    kept = open_as()
    for text in ("a", "b", "a", "c", "d"):
        kept.recent.add({"q": [text]})
    assert [(one.query["q"], one.times) for one in kept.recent.all()] == [(["d"], 1), (["c"], 1), (["a"], 2)]
    kept.recent.clear()
    assert kept.recent.all() == []


def test_used_sounds(library, open_as, monkeypatch):
    monkeypatch.setattr("askaudio.projects.marks._USED_KEPT", 2)
    kept, a, b = open_as(), library.id_of("a.wav"), library.id_of("b.wav")
    kept.used.add([a], "played")
    kept.used.add([a, b], "exported")
    kept.used.add([a], "exported")
    assert [(mark.sound.name, mark.action, mark.times) for mark in kept.used.all()] == [
        ("a.wav", "exported", 2),
        ("b.wav", "exported", 1),
    ]
    with pytest.raises(ConfigError, match="expected one of played, copied"):
        kept.used.add([a], "eaten")


def test_people_have_their_own_things_and_share_projects(library, open_as):
    ana, ben, nobody = open_as("Ana"), open_as("Ben"), open_as()
    ana.favourites.add(library.id_of("a.wav"))
    ana.projects.make("Film", shared=True)
    ana.projects.make("Own")
    ben.projects.make("Own", "Ben's")
    assert ben.favourites.all() == nobody.favourites.all() == []
    assert {project.name for project in nobody.projects.all()} == {"Film"}
    ben.projects.add("Film", [library.id_of("b.wav")])
    assert [item.sound.name for item in ana.projects.items("Film")] == ["b.wav"]
    assert ben.projects.find("Film").owner == "Ana" and ben.projects.find("Own").note == "Ben's"
    ben.projects.make("Film")  # his own comes first from now on
    assert ben.projects.find("Film").owner == "Ben"
    with pytest.raises(UnknownItemError):  # ids of other people's projects are of no use
        nobody.projects.find(ana.projects.find("Own").project_id)
    assert ana.people() == ["Ana", "Ben"]


def test_a_collection_in_memory_keeps_nothing():
    from askaudio.projects.database import file_of

    with pytest.raises(ReadOnlyError, match="ends with its process"):
        file_of("memory:")


def test_a_collection_elsewhere_is_kept_in_the_state_folder(tmp_path, monkeypatch):
    from askaudio.projects.database import file_of

    monkeypatch.setenv("ASKAUDIO_STATE", str(tmp_path))
    first, second = file_of("s3://bucket/a"), file_of("postgresql://db/b")
    assert first.parent == second.parent == tmp_path / "projects" and first != second


def test_a_missing_collection_is_an_error(tmp_path):
    from askaudio.core.errors import CollectionNotFoundError

    with pytest.raises(CollectionNotFoundError):
        open_kept(tmp_path / "nothing")
