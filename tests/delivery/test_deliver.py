"""Copies on disk: what is written, what is never replaced, and what of a collection may be read at all."""

import io
import os
import zipfile

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import ConfigError
from askaudio.delivery.deliver import deliver
from askaudio.engines.open import open_store
from askaudio.index.bookkeeping import Stamp
from askaudio.index.entries import Entry
from askaudio.projects.projects import NewItem


@pytest.fixture
def wanted(library):
    return [library.id_of("rain.wav"), NewItem(library.id_of("rain.wav"), 0.5, 1.0), library.id_of("deep/rain.flac")]


def test_a_folder_of_copies(library, store, wanted, tmp_path):
    done = deliver(store, wanted, tmp_path / "out", lists=["rpp", "m3u"], handles_s=0.25)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "CREDITS.txt", "out.m3u8", "out.rpp", "rain 0.25-1.25 s.wav", "rain.flac", "rain.wav",
    ]  # fmt: skip
    assert sorted(done.files) == sorted((tmp_path / "out").iterdir())
    copy, original = tmp_path / "out" / "rain.wav", library.sounds / "rain.wav"
    assert copy.read_bytes() == original.read_bytes() and copy.stat().st_mtime_ns == original.stat().st_mtime_ns
    part, rate = soundfile.read(tmp_path / "out" / "rain 0.25-1.25 s.wav", dtype="int16")
    whole, _ = soundfile.read(original, dtype="int16")
    assert rate == 48000 and np.array_equal(part, whole[12000:60000])
    assert 'FILE "rain.wav"' in (tmp_path / "out" / "out.rpp").read_text()
    assert oct((tmp_path / "out").stat().st_mode & 0o700) == "0o700"


def test_a_zip_archive(store, wanted, tmp_path):
    done = deliver(store, wanted, tmp_path / "out", "zip", lists=["csv"])
    assert [path.name for path in done.files] == ["out.zip"]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["rain.wav", "rain 0.50-1.00 s.wav", "rain.flac", "out.csv", "CREDITS.txt"]
        assert soundfile.read(io.BytesIO(archive.read("rain 0.50-1.00 s.wav")))[0].shape == (24000,)


@pytest.mark.parametrize("kind", ["m3u", "csv", "tsv", "json", "otio", "rpp", "regions"])
def test_lists_come_with_credits(store, wanted, tmp_path, kind):
    done = deliver(store, wanted, tmp_path / "mine", kind)
    assert done.files[1].name == "mine.credits.txt" and "by Ana" in done.files[1].read_text()
    assert done.files[0].stat().st_size > 50


def test_nothing_that_exists_is_replaced_without_a_word(store, wanted, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "x.csv").write_text("mine")
    (tmp_path / "y.credits.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    for target, kind in (("full", "folder"), ("link", "folder"), ("x.csv", "csv"), ("x.csv", "folder"), ("y", "m3u")):
        with pytest.raises(ConfigError, match="nothing was changed"):
            deliver(store, wanted, tmp_path / target, kind)
    assert [path.read_text() for path in (tmp_path / "full" / "mine.txt", tmp_path / "x.csv")] == ["mine", "mine"]
    assert not (tmp_path / "y.m3u8").exists()
    deliver(store, wanted, tmp_path / "x.csv", "csv", overwrite=True)
    assert (tmp_path / "x.csv").read_text().startswith("number,")
    (tmp_path / "empty").mkdir()
    assert len(deliver(store, wanted, tmp_path / "empty").files) == 4


def test_a_list_never_takes_the_place_of_a_sound(library, store, wanted):
    before = (library.sounds / "rain.wav").read_bytes()
    done = deliver(store, wanted, library.sounds / "rain.wav", "csv", overwrite=True)
    assert done.files[0].name == "rain.wav.csv" and (library.sounds / "rain.wav").read_bytes() == before


@pytest.mark.parametrize(
    ("target", "name"),
    [("a", "a.csv"), ("v1.2", "v1.2.csv"), ("a.CSV", "a.CSV"), ("a.b.csv", "a.b.csv"), ("a.mp3", "a.mp3.csv")],
)
def test_lists_get_the_suffix_of_their_kind(store, wanted, tmp_path, target, name):
    assert deliver(store, wanted, tmp_path / target, "csv").files[0].name == name


def test_a_part_that_is_all_of_a_recording_is_copied_as_it_is(library, store, tmp_path):
    item = NewItem(library.id_of("deep/rain.flac"), 0.0, 0.48)
    done = deliver(store, [item], tmp_path / "out")
    assert [path.name for path in done.files] == ["CREDITS.txt", "rain.flac"]


def test_a_failure_leaves_nothing_behind(store, wanted, tmp_path, monkeypatch):
    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr("askaudio.delivery.deliver.extra_files", full)
    monkeypatch.setattr("askaudio.delivery.archive.extra_files", full)
    (tmp_path / "out").mkdir()
    for kind, target in (("folder", "new"), ("zip", "a.zip")):
        with pytest.raises(MemoryError):
            deliver(store, wanted, tmp_path / "out" / target, kind)
    assert list((tmp_path / "out").iterdir()) == []


def test_files_that_are_gone_or_changed_are_left_out_and_named(library, store, wanted, tmp_path):
    (library.sounds / "deep" / "rain.flac").unlink()
    library.write("rain.wav", 999.0, seconds=3.0)
    done = deliver(store, [*wanted, library.id_of("deep/door.wav")], tmp_path / "out")
    assert [path.name for path in done.files] == ["CREDITS.txt", "door.wav"]
    assert ["not the one that was indexed" in left.reason for left in done.selection.left] == [True, True, False]
    assert "no longer exists" in (tmp_path / "out" / "CREDITS.txt").read_text()


def test_a_collection_of_a_stranger_gives_only_sounds_of_allowed_folders(library, tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (library.sounds / "link.wav").symlink_to(tmp_path / "secret.wav")
    (library.sounds / "note.txt").write_text("secret")
    with open_store(library.collection, "w") as store:
        (first, *_) = store.iterate()
        inside = library.sounds
        paths = (tmp_path / "secret.wav", inside / "link.wav", inside / "note.txt", inside / ".." / "secret.wav")
        for number, path in enumerate(paths):
            status = os.stat(path)
            stamp = str(Stamp(status.st_size, status.st_mtime_ns))
            facts = {**first.metadata, "stamp": stamp}
            store.add([Entry(f"evil{number}#0", f"evil{number}", first.vector, 0, 1, str(path), facts)])
        evil = [f"evil{number}" for number in range(4)]
        for kind in ("folder", "zip"):
            done = deliver(store, [*evil, NewItem("evil0", 0.1, 0.2)], tmp_path / f"out-{kind}", kind)
            assert len(done.selection.left) == 5 and done.selection.taken == ()
        allowed = deliver(store, ["evil0"], tmp_path / "allowed", folders=[tmp_path])
        assert (tmp_path / "allowed" / "secret.wav").read_bytes() == b"secret" and not allowed.selection.left


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "mp3"}, "expected one of folder, zip, m3u"),
        ({"lists": ["xml"]}, "expected one of m3u, csv"),
        ({"kind": "csv", "lists": ["rpp"]}, "beside copies"),
        ({"handles_s": -1}, "expected 0 to 60 s"),
        ({"handles_s": float("nan")}, "expected 0 to 60 s"),
    ],
)
def test_wrong_arguments(store, wanted, tmp_path, options, says):
    with pytest.raises(ConfigError, match=says):
        deliver(store, wanted, tmp_path / "out", **options)
