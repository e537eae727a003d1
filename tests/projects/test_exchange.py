"""Kept things as JSON: a round trip, repeated imports, other people, and wrong files."""

from __future__ import annotations

import json

import pytest

from askaudio.core.errors import AskAudioError, DataError
from askaudio.projects.exchange import export_kept, import_kept
from askaudio.projects.projects import NewItem


@pytest.fixture
def filled(library, open_as):
    kept, a, b = open_as("Ana"), library.id_of("a.wav"), library.id_of("b.wav")
    kept.favourites.add(a)
    kept.notes.set(b, "loud")
    kept.projects.make("Film", "n", shared=True)
    kept.projects.add("Film", [NewItem(a, 0.1, 0.2, "cue"), b])
    kept.searches.save("Dry", {"q": ["rain"]})
    kept.recent.add({"q": ["rain"]})
    kept.used.add([a], "played")
    return kept


def exported(kept) -> dict:
    return json.loads(json.dumps(export_kept(kept.person.database)))


def test_a_round_trip_into_an_empty_file(filled, library, open_as):
    value = exported(filled)
    file = filled.person.database.file
    filled.close()
    for path in file.parent.glob(file.name + "*"):
        path.unlink()
    kept = open_as("Ana")
    added = import_kept(kept.person.database, value)
    assert added == {"favourites": 1, "notes": 1, "projects": 1, "items": 2, "searches": 1, "recent": 1, "used": 1}
    again = exported(kept)
    for person in (*again["people"], *value["people"]):
        for item in (item for project in person["projects"] for item in project["items"]):
            item.pop("added_s")
    assert again == value
    first, second = kept.projects.items("Film")
    assert (first.sound.name, first.start_s, first.note, second.sound.name) == ("a.wav", 0.1, "cue", "b.wav")


def test_an_import_may_be_repeated(filled):
    value = exported(filled)
    assert set(import_kept(filled.person.database, value).values()) == {0}
    assert exported(filled) == value


def test_an_import_for_another_person(filled, open_as):
    import_kept(filled.person.database, exported(filled), person="Ben")
    ben = open_as("Ben")
    assert [mark.sound.name for mark in ben.favourites.all()] == ["a.wav"]
    assert ben.projects.find("Film").owner == "Ben"


def test_a_search_of_the_same_name_is_numbered(filled):
    value = exported(filled)
    value["people"][0]["searches"][0]["query"] = {"q": ["snow"]}
    assert import_kept(filled.person.database, value)["searches"] == 1
    assert [(one.name, one.query["q"]) for one in filled.searches.all()] == [("Dry", ["rain"]), ("Dry (2)", ["snow"])]


def test_sounds_of_another_collection_are_found_by_their_content(filled, library, open_as):
    value = exported(filled)
    for sound in value["sounds"]:
        sound["clip_id"], sound["path"] = "other" + sound["clip_id"], "/elsewhere/x.wav"
    import_kept(filled.person.database, value, person="Ben")
    assert [mark.sound.path for mark in open_as("Ben").favourites.all()] == [str(library.sounds / "a.wav")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.update(askaudio_kept=2), "expected 1"),
        (lambda v: v.update(sounds=3), "'sounds' of the export is not a list"),
        (lambda v: v["sounds"][0].update(clip_id=""), "1 to 1024 characters"),
        (lambda v: v["sounds"][0].update(path=7), "no path"),
        (lambda v: v["people"][0]["favourites"][0].update(sound=99), r"favourites\[0\] of person 'Ana'.*place"),
        (lambda v: v["people"][0]["favourites"][0].update(sound=True), "place"),
        (lambda v: v["people"][0]["favourites"][0].update(added_s="now"), "expected a number"),
        (lambda v: v["people"][0]["projects"][0]["items"][0].update(end_s=0), "expected both times"),
        (lambda v: v["people"][0]["projects"][0].pop("name"), "'name' is missing"),
        (lambda v: v["people"][0]["searches"][0].update(query="rain"), "expected an object"),
        (lambda v: v["people"][0]["used"][0].update(action="x"), "expected one of"),
        (lambda v: v["people"][0].update(name="a\nb"), "one line"),
    ],
)
def test_a_wrong_file_changes_nothing(filled, change, says):
    before = exported(filled)
    value = exported(filled)
    value["people"].insert(0, {"name": "New", "favourites": [{"sound": 0, "added_s": 1.0}]})
    value["people"].reverse()
    change(value)
    with pytest.raises(AskAudioError, match=says):
        import_kept(filled.person.database, value)
    assert exported(filled) == before


@pytest.mark.parametrize("value", [None, [], "x", {}, {"askaudio_kept": "1"}])
def test_something_else_is_no_export(filled, value):
    with pytest.raises(DataError, match="no export of kept things"):
        import_kept(filled.person.database, value)
