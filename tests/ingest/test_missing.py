"""Files that are missing: deleted, out of reach, or moved."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from askaudio.core.errors import ConfigError
from askaudio.index.store import VectorStore
from askaudio.ingest.forget import clips_below, forget
from askaudio.ingest.missing import sort_missing, too_many
from askaudio.ingest.report import Report
from askaudio.ingest.update import ingest
from tones import write_tone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten tones, five in each of two folders."""
    for n in range(10):
        write_tone(tmp_path / "lib" / ("local", "nas")[n % 2] / f"{n}.wav", 200 + 100 * n, 0.3)
    return tmp_path / "lib"


def numbers(report: Report) -> tuple[int, int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.renamed, report.removed, report.kept


def names(store: VectorStore) -> list[str]:
    return sorted(Path(clip.path).name for clip in store.clips())


# --- out of reach --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mount_point_stays", [True, False])
def test_an_unmounted_subfolder_is_kept_and_named(folder, store, encoder, mount_point_stays) -> None:
    ingest([folder], store, encoder)
    before = encoder.calls
    (folder / "nas").rename(folder.parent / "away")
    if mount_point_stays:
        (folder / "nas").mkdir()
    report = ingest([folder], store, encoder)
    assert numbers(report) == (0, 0, 5, 0, 0, 5)
    assert report.unseen == {str(folder / "nas"): "5 of its known files are missing"}
    assert ("unseen", str(folder / "nas")) in report.faults
    if mount_point_stays:
        (folder / "nas").rmdir()
    (folder.parent / "away").rename(folder / "nas")
    assert numbers(ingest([folder], store, encoder)) == (0, 0, 10, 0, 0, 0)
    assert encoder.calls == before


def test_a_stray_sound_does_not_replace_a_library(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    folder.rename(folder.parent / "away")
    write_tone(folder / "stray.wav", 3000)
    report = ingest([folder], store, encoder)
    assert numbers(report) == (1, 0, 0, 0, 0, 10)
    assert report.unseen == {str(folder): "10 of its known files are missing"}
    assert store.count() == 11


def test_a_stray_sound_in_a_subfolder_below_the_mount_point(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    (folder / "nas").rename(folder.parent / "away")
    write_tone(folder / "nas" / "new" / "stray.wav", 3000)
    assert numbers(ingest([folder], store, encoder)) == (1, 0, 5, 0, 0, 5)


def test_with_consent_all_missing_files_are_removed(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    (folder / "nas").rename(folder.parent / "away")
    assert numbers(ingest([folder], store, encoder, remove_missing=True)) == (0, 0, 5, 0, 5, 0)
    assert store.count() == 5


def test_many_files_missing_one_by_one_need_consent(tmp_path, store, encoder) -> None:
    for n in range(40):
        write_tone(tmp_path / "lib" / f"{n}.wav", 200 + 50 * n, 0.1)
    ingest([tmp_path / "lib"], store, encoder)
    for n in range(9):
        (tmp_path / "lib" / f"{n}.wav").unlink()
    assert numbers(ingest([tmp_path / "lib"], store, encoder)) == (0, 0, 31, 0, 9, 0)
    for n in range(9, 19):
        (tmp_path / "lib" / f"{n}.wav").unlink()
    report = ingest([tmp_path / "lib"], store, encoder)
    assert numbers(report) == (0, 0, 21, 0, 0, 10)
    assert report.unseen == {str(tmp_path / "lib"): "10 of its known files are missing"}
    assert numbers(ingest([tmp_path / "lib"], store, encoder, remove_missing=True)) == (0, 0, 21, 0, 10, 0)


def test_many_files_that_cannot_be_decoded_any_more_are_kept(tmp_path, store, encoder) -> None:
    for n in range(20):
        write_tone(tmp_path / "lib" / f"{n:02}.wav", 200 + 50 * n, 0.1)
    ingest([tmp_path / "lib"], store, encoder)
    for n in range(12):
        (tmp_path / "lib" / f"{n:02}.wav").write_bytes(b"")
    report = ingest([tmp_path / "lib"], store, encoder)
    assert (len(report.broken), report.kept, store.count()) == (12, 12, 20)


@pytest.mark.parametrize(("missing", "known", "expected"), [(9, 9, False), (10, 100, False), (11, 100, True)])
def test_limit_of_removals(missing: int, known: int, expected: bool) -> None:
    assert too_many(missing, known) is expected


def test_the_topmost_lost_folder_is_named() -> None:
    missing = ["/r/nas/a/1.wav", "/r/nas/b/2.wav", "/r/x/3.wav", "/r/one/4.wav"]
    deleted, lost = sort_missing(missing, ["/r/x/5.wav", "/other/6.wav"], [Path("/r")])
    assert sorted(deleted) == ["/r/one/4.wav", "/r/x/3.wav"]
    assert lost == {"/r/nas": ["/r/nas/a/1.wav", "/r/nas/b/2.wav"]}


@pytest.mark.parametrize("code", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_folder_that_cannot_be_listed_is_kept_and_named(folder, store, encoder, monkeypatch, code) -> None:
    ingest([folder], store, encoder)
    before, scandir = encoder.calls, os.scandir

    def failing(path: Any = ".") -> Any:
        if str(path) == str(folder / "nas"):
            raise OSError(code, os.strerror(code), str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        report = ingest([folder], store, encoder, remove_missing=True)
    assert numbers(report) == (0, 0, 5, 0, 0, 5)
    assert report.unseen == {str(folder / "nas"): os.strerror(code)}
    assert numbers(ingest([folder], store, encoder)) == (0, 0, 10, 0, 0, 0)
    assert encoder.calls == before


def test_a_root_that_cannot_be_listed(folder, store, encoder, monkeypatch) -> None:
    ingest([folder], store, encoder)

    def failing(path: Any = ".") -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", failing)
    report = ingest([folder], store, encoder)
    assert (report.kept, report.unseen, report.silent) == (10, {str(folder): "Permission denied"}, [])


def test_a_file_that_cannot_be_opened_keeps_its_entries(folder, store, encoder, monkeypatch) -> None:
    ingest([folder], store, encoder)
    path = folder / "local" / "0.wav"
    write_tone(path, 5000, 0.4)

    def failing(name: Any) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(name))

    with monkeypatch.context() as patch:
        patch.setattr("askaudio.ingest.encode_file.sha256_file", failing)
        patch.setattr("askaudio.ingest.update.sha256_file", failing)
        report = ingest([folder], store, encoder)
    assert report.broken[str(path)].reason == f"cannot be opened ({os.strerror(errno.EIO)})"
    assert store.count() == 10
    assert ingest([folder], store, encoder, known_broken=report.broken).changed == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_sound_that_became_a_pipe_or_a_link_to_nothing_is_kept(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    for name in ("0.wav", "2.wav"):
        (folder / "local" / name).unlink()
    os.mkfifo(folder / "local" / "0.wav")
    (folder / "local" / "2.wav").symlink_to("/mnt/away/2.wav")
    report = ingest([folder], store, encoder)
    assert (report.kept, report.removed, store.count()) == (2, 0, 10)
    assert report.unseen[str(folder / "local" / "0.wav")] == "not a regular file"
    assert report.unseen[str(folder / "local" / "2.wav")] == "a link to nothing"


def test_a_root_that_is_away_is_an_error_or_is_waited_for(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    folder.rename(folder.parent / "away")
    with pytest.raises(ConfigError, match="collection forget"):
        ingest([folder], store, encoder)
    report = ingest([folder], store, encoder, wait_for_folders=True)
    assert (report.kept, report.unseen) == (10, {str(folder): "No such file or directory"})


# --- moved ---------------------------------------------------------------------------------------------------------


def test_a_moved_library_is_followed_into_another_root(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    before = encoder.calls
    new = folder.parent / "new"
    folder.rename(new)
    assert numbers(ingest([new], store, encoder)) == (0, 0, 0, 10, 0, 0)
    assert encoder.calls == before
    assert {clip.path for clip in store.clips()} == {str(path) for path in new.rglob("*.wav")}
    assert store.count() == 10


def test_a_copy_is_no_move(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    copy = folder.parent / "copy"
    copy.mkdir()
    (copy / "0.wav").write_bytes((folder / "local" / "0.wav").read_bytes())
    assert numbers(ingest([copy], store, encoder)) == (1, 0, 0, 0, 0, 0)
    assert store.count() == 11


def test_equal_sounds_keep_their_relative_names(tmp_path, store, encoder) -> None:
    for name in ("a/x.wav", "b/x.wav", "c/y.wav"):
        write_tone(tmp_path / "old" / name, 440)
        (tmp_path / "old" / name).with_suffix(".txt").write_text(name)
    ingest([tmp_path / "old"], store, encoder)
    clips = {clip.path: clip.metadata["content_hash"] for clip in store.clips()}
    assert len(set(clips.values())) == 1
    moved: list[tuple[str, str]] = []
    (tmp_path / "old").rename(tmp_path / "new")
    update = store.iterate

    def iterate(where: Any = None, vectors: bool = True) -> Any:
        entries = list(update(where, vectors))
        moved.extend((entry.path, str(entry.metadata["caption"])) for entry in entries)
        return iter(entries)

    store.iterate = iterate  # type: ignore[method-assign]
    assert ingest([tmp_path / "new"], store, encoder).renamed == 3
    assert [caption for _, caption in moved] == ["a/x.wav", "b/x.wav", "c/y.wav"]


def test_part_of_a_library_moved_and_the_rest_is_gone(folder, store, encoder) -> None:
    ingest([folder], store, encoder)
    (folder / "deep").mkdir()
    for n in (1, 3, 5, 7):
        (folder / "nas" / f"{n}.wav").rename(folder / "deep" / f"{n}.wav")
    (folder / "nas" / "9.wav").unlink()
    assert numbers(ingest([folder], store, encoder)) == (0, 0, 5, 4, 1, 0)


def test_a_move_that_was_interrupted_leaves_nothing_doubled(folder, store, encoder, monkeypatch) -> None:
    ingest([folder], store, encoder)
    new = folder.parent / "new"
    folder.rename(new)

    def killed(entries: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "_upsert", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest([new], store, encoder)
    ingest([new], store, encoder)
    assert sorted(clip.path for clip in store.clips()) == sorted(str(path) for path in new.rglob("*.wav"))
    assert store.count() == 10


# --- forget --------------------------------------------------------------------------------------------------------


def test_forget_takes_a_folder_by_its_path(folder, store, encoder) -> None:
    write_tone(folder.parent / "lib2" / "x.wav", 440)
    ingest([folder, folder.parent / "lib2"], store, encoder)
    assert [Path(clip.path).name for clip in clips_below(store, folder / "nas")] == [
        f"{n}.wav" for n in (1, 3, 5, 7, 9)
    ]
    assert forget(store, folder / "nas") == 5
    assert forget(store, str(folder / "local") + "/") == 5
    assert names(store) == ["x.wav"]
    assert forget(store, folder.parent / "lib2" / "x.wav") == 1
    assert forget(store, folder.parent / "nowhere") == 0
    assert ingest([folder], store, encoder).added == 10
