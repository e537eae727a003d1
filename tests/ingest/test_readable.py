"""What is read and how far: pipes, containers, damaged files, other readers, names of any bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.audio.readers import chain
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.index.store import VectorStore
from askaudio.ingest.indexer import Indexer
from askaudio.ingest.report import Broken, Report, read_broken, write_broken
from askaudio.ingest.update import ingest
from askaudio.ingest.walk import CODEC_SUFFIXES, find_sounds, is_below, stamp_of
from askaudio.ingest.watch import look, wait_for_change
from tones import write_tone


@pytest.fixture
def store() -> Iterator[VectorStore]:
    with open_store("memory:", "w", Identity.of(ToyEncoder(), "toy")) as opened:
        yield opened


def only_libsndfile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_has_av", lambda: False)
    monkeypatch.setattr(chain.ffmpeg, "program", lambda: None)


def cut_in_half(path: Path, seconds: float = 30.0) -> Path:
    """A FLAC file whose second half is missing: a header that promises more than there is."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(round(16000 * seconds))
    soundfile.write(path, noise, 16000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle:] = b"\xff" * (len(data) - middle)
    path.write_bytes(data)
    return path


# --- what is no file -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
@pytest.mark.parametrize("workers", [1, 2])
def test_pipes_and_links_to_nothing_are_named_and_never_opened(tmp_path, store, workers) -> None:
    write_tone(tmp_path / "tone.wav", 440)
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "tone.wav.txt")
    (tmp_path / "dangling.wav").symlink_to("nowhere.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "to_pipe.wav").symlink_to("pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    report = ingest([tmp_path], store, ToyEncoder(), spec="toy", workers=workers)
    assert (report.added, report.broken) == (1, {})
    assert {Path(path).name: what for path, what in report.irregular.items()} == {
        "dangling.wav": "a link to nothing",
        "pipe.wav": "not a regular file",
        "to_pipe.wav": "not a regular file",
        "zero.wav": "not a regular file",
    }
    assert {Path(path).name for path in report.unseen} == {"loop.wav"}
    assert stamp_of(str(tmp_path / "pipe.wav")) is None
    again = ingest([tmp_path / "pipe.wav"], store, ToyEncoder())
    assert again.irregular == {str(tmp_path / "pipe.wav"): "not a regular file"}


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_file_that_becomes_a_pipe_after_the_walk_is_not_opened(tmp_path, store, monkeypatch) -> None:
    path = write_tone(tmp_path / "tone.wav", 440)
    found = find_sounds([tmp_path])
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr("askaudio.ingest.update.find_sounds", lambda *_: found)
    report = ingest([tmp_path], store, ToyEncoder())
    assert "not a regular file" in report.broken[str(path)].reason


def test_links_to_sounds_are_followed(tmp_path, store) -> None:
    write_tone(tmp_path / "elsewhere" / "x.wav", 440)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "link.wav").symlink_to(tmp_path / "elsewhere" / "x.wav")
    assert ingest([tmp_path / "lib"], store, ToyEncoder()).added == 1


@pytest.mark.parametrize(
    ("path", "root", "inside"),
    [("/a/b", "/a", True), ("/a", "/a", True), ("/ab", "/a", False), ("/a", "/a/b", False), ("/a/b", "/", True)],
)
def test_is_below(path: str, root: str, inside: bool) -> None:
    assert is_below(path, root) is inside


# --- containers and folders without sounds ---------------------------------------------------------------------------


def test_containers_are_indexed_with_a_codec_and_counted_without(tmp_path, store, monkeypatch) -> None:
    if list(chain.readers()) == ["libsndfile"]:
        pytest.skip("needs the extra codec or ffmpeg")
    av = pytest.importorskip("av", reason="makes the files")
    names = {"film.mp4": "mp4", "film.mov": "mov", "film.mkv": "matroska", "book.m4b": "ipod", "FILM.MKA": "matroska"}
    for name, kind in names.items():
        with av.open(str(tmp_path / name), "w", format=kind) as box:
            track = box.add_stream("aac", rate=16000)
            track.layout = "mono"
            sound = (0.3 * np.sin(np.arange(32000) / 8)).astype("f4")
            for start in range(0, len(sound), 1024):
                frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16000, start
                box.mux(track.encode(frame))
            box.mux(track.encode(None))
    with monkeypatch.context() as patch:
        only_libsndfile(patch)
        report = ingest([tmp_path], store, ToyEncoder())
        assert (report.added, report.broken, report.silent) == (0, {}, [])
        assert sorted(Path(path).name for path in report.needs_codec) == sorted(names)
        assert {kind for kind, _ in report.faults} == {"needs_codec"}
    report = ingest([tmp_path], store, ToyEncoder())
    assert (report.added, report.broken, report.needs_codec) == (5, {}, [])
    assert all(clip.metadata["duration_s"] == pytest.approx(2.0, abs=0.15) for clip in store.clips())
    with monkeypatch.context() as patch:
        only_libsndfile(patch)
        assert ingest([tmp_path], store, ToyEncoder()).unchanged == 5
    assert {".m4a", ".mp4", ".mov", ".mkv", ".webm", ".m4b", ".mka", ".aac"} <= CODEC_SUFFIXES


def test_a_folder_without_sounds_is_named(tmp_path, store) -> None:
    write_tone(tmp_path / "sounds" / "x.wav", 440)
    (tmp_path / "nothing" / "deep").mkdir(parents=True)
    (tmp_path / "nothing" / "notes.pdf").write_bytes(b"%PDF")
    report = ingest([tmp_path / "sounds", tmp_path / "nothing"], store, ToyEncoder())
    assert (report.added, report.silent) == (1, [str(tmp_path / "nothing")])


# --- damaged files, other readers ------------------------------------------------------------------------------------


def test_damaged_files_are_indexed_listed_and_tried_again_with_other_readers(tmp_path, monkeypatch) -> None:
    path = cut_in_half(tmp_path / "lib" / "cut.flac") if (tmp_path / "lib").mkdir() is None else None
    only_libsndfile(monkeypatch)
    with Indexer([tmp_path / "lib"], tmp_path / "collection", "toy") as indexer:
        report = indexer.update()
        assert (report.added, report.broken, list(report.damaged)) == (1, {}, [str(path)])
        row = report.damaged[str(path)]
        assert row.reason.startswith("damaged after ") and (row.readers, row.damaged) == ("libsndfile", True)
        (clip,) = indexer.store.clips()
        assert clip.metadata["damaged"] == row.reason
        assert 1.0 < clip.metadata["duration_s"] < 16.0  # decoded, not the 30 s of the header
        again = indexer.update()
        assert (again.unchanged, again.damaged) == (1, report.damaged)
        moved = path.rename(path.with_name("moved.flac"))
        after = indexer.update()
        assert (after.renamed, list(after.damaged)) == (1, [str(moved)])
        assert read_broken(tmp_path / "collection" / "broken.jsonl") == after.damaged
        monkeypatch.setattr(chain, "_has_av", lambda: True)
        with_av = indexer.update()
        assert (with_av.changed, with_av.unchanged) == (1, 0)
        assert with_av.damaged[str(moved)].readers == "libsndfile+PyAV"
        assert indexer.update().unchanged == 1


def test_broken_files_are_tried_again_with_other_readers(tmp_path, store, monkeypatch) -> None:
    (tmp_path / "x.wav").write_bytes(b"no sound at all" * 50)
    only_libsndfile(monkeypatch)
    report = ingest([tmp_path], store, ToyEncoder())
    (row,) = report.broken.values()
    assert row.readers == "libsndfile"
    tried: list[str] = []
    monkeypatch.setattr("askaudio.ingest.encode_file.probe", lambda path: tried.append(path) or 1 / 0)
    assert ingest([tmp_path], store, ToyEncoder(), known_broken=report.broken).broken == report.broken
    assert tried == []
    old = {path: Broken(row.reason, row.stamp) for path, row in report.broken.items()}  # of an older version
    with pytest.raises(ZeroDivisionError):
        ingest([tmp_path], store, ToyEncoder(), known_broken=old)
    assert tried == [str(tmp_path / "x.wav")]


def test_the_list_keeps_files_of_other_folders(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.wav").write_bytes(b"RIFF")
    for name in ("a", "b"):
        with Indexer([tmp_path / name], tmp_path / "collection", "toy") as indexer:
            indexer.update()
    assert set(read_broken(tmp_path / "collection" / "broken.jsonl")) == {str(tmp_path / n / "x.wav") for n in "ab"}


def test_a_damaged_list_is_an_empty_list(tmp_path) -> None:
    for text in ('{"path": 1}', "[]", "nothing", '{"path":"x","reason":"y"}'):
        (tmp_path / "broken.jsonl").write_text(text)
        assert read_broken(tmp_path / "broken.jsonl") == {}
    write_broken(Report(broken={"/x": Broken("r", "s", "libsndfile")}), tmp_path / "broken.jsonl")
    assert read_broken(tmp_path / "broken.jsonl") == {"/x": Broken("r", "s", "libsndfile")}


def test_what_was_noticed_in_a_recording_is_named(tmp_path, store) -> None:
    tone = 0.5 * np.sin(np.arange(16000) / 9)
    soundfile.write(tmp_path / "cancels.wav", np.stack([tone, -tone], axis=1), 16000)
    report = ingest([tmp_path], store, ToyEncoder())
    assert report.noted == {str(tmp_path / "cancels.wav"): ["its channels cancel each other; channel 1 was taken"]}
    assert not report.faults


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_names_of_any_bytes_are_stored_and_found(tmp_path, store, workers) -> None:
    names = [b"caf\xe9.wav", "Tu\u0308r.wav".encode(), b"two\nlines.wav", b"\xff\xfe\x80.wav"]
    for hz, name in enumerate(names, start=4):
        write_tone(tmp_path / "tmp.wav", 100 * hz).rename(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    report = ingest([tmp_path], store, ToyEncoder(), spec="toy", workers=workers)
    assert (report.added, report.broken) == (4, {})
    assert sorted(os.fsencode(clip.path).split(b"/")[-1] for clip in store.clips()) == sorted(names)
    assert ingest([tmp_path], store, ToyEncoder()).unchanged == 4


# --- watching --------------------------------------------------------------------------------------------------------


def test_a_folder_that_goes_away_is_one_change_and_its_return_another(tmp_path) -> None:
    folder = tmp_path / "w"
    write_tone(folder / "a.wav", 440)
    before = look([folder])
    folder.rename(tmp_path / "away")
    away = wait_for_change([folder], before, every_s=0.01)
    assert away == {str(folder): None}
    (tmp_path / "away").rename(folder)
    assert wait_for_change([folder], away, every_s=0.01) == before
