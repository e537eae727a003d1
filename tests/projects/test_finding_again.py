"""Kept sounds survive moves, edits, forgetting and a new collection of the same files."""

from __future__ import annotations

import shutil

from askaudio.engines.open import open_store
from askaudio.ingest.forget import forget
from askaudio.projects.database import FILE_NAME
from askaudio.projects.projects import NewItem


def test_a_moved_file_is_followed(library, open_as):
    with open_as() as kept:
        kept.favourites.add(library.id_of("a.wav"))
        kept.projects.make("p")
        kept.projects.add("p", [NewItem(library.id_of("a.wav"), 0.1, 0.2)])
    (library.sounds / "new").mkdir()
    (library.sounds / "a.wav").rename(library.sounds / "new" / "renamed.wav")
    library.index()
    kept = open_as()
    (mark,) = kept.favourites.all()
    assert mark.sound.path == str(library.sounds / "new" / "renamed.wav") and not mark.sound.missing
    assert kept.projects.items("p")[0].sound.clip_id == library.id_of("new/renamed.wav")
    assert kept.favourites.remove(library.id_of("new/renamed.wav")) is True


def test_two_files_that_swap_their_names_are_told_apart(library, open_as):
    with open_as() as kept:
        kept.notes.set(library.id_of("a.wav"), "low")
        kept.notes.set(library.id_of("b.wav"), "high")
    a, b, other = library.sounds / "a.wav", library.sounds / "b.wav", library.sounds / "x.wav"
    a.rename(other), b.rename(a), other.rename(b)
    library.index()
    kept = open_as()
    assert (kept.notes.get(library.id_of("b.wav")), kept.notes.get(library.id_of("a.wav"))) == ("low", "high")


def test_a_new_file_under_an_old_name_does_not_take_its_marks(library, open_as):
    with open_as() as kept:
        kept.favourites.add(library.id_of("a.wav"))
    (library.sounds / "a.wav").rename(library.sounds / "old a.wav")
    library.index()
    library.write("a.wav", 999.0)
    library.index()
    kept = open_as()
    kept.notes.set(library.id_of("a.wav"), "the new one")
    assert [mark.sound.name for mark in kept.favourites.all()] == ["old a.wav"]


def test_an_edited_file_keeps_its_marks(library, open_as):
    with open_as() as kept:
        kept.favourites.add(library.id_of("a.wav"))
    library.write("a.wav", 700.0, seconds=0.75)
    library.index()
    (mark,) = open_as().favourites.all()
    assert mark.sound.clip_id == library.id_of("a.wav") and mark.sound.metadata["duration_s"] == 0.75


def test_a_forgotten_sound_stays_kept_and_is_found_again(library, open_as):
    with open_as() as kept:
        kept.projects.make("p")
        kept.projects.add("p", [library.id_of("a.wav")])
    with open_store(library.collection, "w") as store:
        assert forget(store, str(library.sounds)) == 3
    kept = open_as()
    (item,) = kept.projects.items("p")
    assert item.sound.missing and item.sound.name == "a.wav" and item.to_json()["missing"] is True
    kept.close()
    (library.sounds / "a.wav").rename(library.sounds / "elsewhere.wav")
    library.index()
    (item,) = open_as().projects.items("p")
    assert item.sound.path == str(library.sounds / "elsewhere.wav") and not item.sound.missing


def test_a_collection_that_is_made_again_knows_what_was_kept(library, open_as):
    with open_as() as kept:
        kept.favourites.add(library.id_of("deep/c.wav"))
    for path in library.collection.iterdir():
        if not path.name.startswith(FILE_NAME):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.move(library.sounds / "deep", library.sounds / "moved")
    library.index()
    (mark,) = open_as().favourites.all()
    assert mark.sound.path.endswith("moved/c.wav")


def test_marks_of_a_copy_are_joined_when_the_original_is_gone(library, open_as):
    shutil.copy(library.sounds / "a.wav", library.sounds / "copy.wav")
    library.index()
    with open_as() as kept:
        kept.favourites.add(library.id_of("a.wav"))
        kept.favourites.add(library.id_of("copy.wav"))
        kept.projects.make("p")
        kept.projects.add("p", [library.id_of("a.wav"), library.id_of("copy.wav")])
    (library.sounds / "a.wav").unlink()
    library.index()
    kept = open_as()
    for _ in range(2):  # the first call joins them
        assert [mark.sound.name for mark in kept.favourites.all()] == ["copy.wav"]
        assert {item.sound.name for item in kept.projects.items("p")} == {"copy.wav"}
