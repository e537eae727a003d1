"""Ingestion: what is new, changed, renamed, gone, broken; and nothing lost or doubled when it is killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from askaudio.audio.decode import decode
from askaudio.core.errors import ConfigError
from askaudio.encoders.workers import THREADS, one_thread_each
from askaudio.engines.open import open_store
from askaudio.index.bookkeeping import Stamp
from askaudio.index.entries import Identity
from askaudio.index.store import VectorStore
from askaudio.ingest.report import Report, read_broken, write_broken
from askaudio.ingest.update import ingest
from askaudio.ingest.walk import clip_id_of
from askaudio.ingest.watch import look, wait_for_change
from counting_encoder import CountingEncoder
from tones import write_tone


def numbers(report: Report) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.renamed, report.removed


def paths(store: VectorStore) -> list[str]:
    return sorted(clip.path for clip in store.clips())


def test_first_run_stores_vectors_times_and_facts(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    write_tone(library / "long.wav", 400, 25.0)
    report = ingest([library], store, encoder)
    assert numbers(report) == (7, 0, 0, 0, 0)
    assert report.audio_s == pytest.approx(25 + 5 + 0.7)
    assert store.count() == 6 + 3
    path = str(library / "tone_1500.wav")
    (entry,) = store.iterate(f'path="{path}"')
    np.testing.assert_array_equal(entry.vector, encoder.encode_audio([decode(path, 16000)])[0])
    assert (entry.clip_id, entry.start_s, entry.end_s) == (clip_id_of(path), 0.0, 1.0)
    facts = entry.metadata
    assert (facts["duration_s"], facts["channels"], facts["sample_rate_hz"], facts["format"]) == (1.0, 1, 16000, "wav")
    assert [(e.start_s, e.end_s) for e in store.iterate("path~long")] == [(0, 10), (10, 20), (15, 25)]
    assert store.count("channels=2 and category=doors and subcategory=wood and title='high creak'") == 1
    assert store.count('caption="a deep rumble"') == 1


def test_second_run_encodes_nothing(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    ingest([library], store, encoder)
    before = encoder.calls
    assert numbers(ingest([library], store, encoder)) == (0, 0, 6, 0, 0)
    assert encoder.calls == before


def test_new_time_but_same_content_is_not_encoded(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    ingest([library], store, encoder)
    before = encoder.calls
    os.utime(library / "tone_400.wav", (1, 1))
    assert numbers(ingest([library], store, encoder)) == (0, 0, 6, 0, 0)
    assert encoder.calls == before


def test_changed_content_replaces_all_old_windows(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    write_tone(library / "x.wav", 400, 35.0)
    ingest([library], store, encoder)
    write_tone(library / "x.wav", 3200, 5.0)
    assert numbers(ingest([library], store, encoder)) == (0, 1, 6, 0, 0)
    (entry,) = store.iterate(f"path='{library / 'x.wav'}'")
    assert (entry.end_s, entry.metadata["windows"]) == (5.0, 1)


def test_same_size_and_time_is_only_seen_by_rehash(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    ingest([library], store, encoder)
    path = library / "tone_400.wav"
    stat = path.stat()
    write_tone(path, 800)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ingest([library], store, encoder).changed == 0
    assert ingest([library], store, encoder, rehash=True).changed == 1


def test_rename_keeps_vectors_and_reads_the_new_name(
    library: Path, store: VectorStore, encoder: CountingEncoder
) -> None:
    ingest([library], store, encoder)
    before = encoder.calls
    (library / "new").mkdir()
    (library / "tone_400.wav").rename(library / "new" / "BELLHand_Low Bell_AB_Lib.wav")
    assert numbers(ingest([library], store, encoder)) == (0, 0, 5, 1, 0)
    assert encoder.calls == before
    assert store.count() == 6
    assert store.count("category=bells and path~new") == 1
    assert numbers(ingest([library], store, encoder)) == (0, 0, 6, 0, 0)


def test_deleted_files_are_forgotten(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    write_tone(library.parent / "other" / "a.wav", 500)
    ingest([library, library.parent / "other"], store, encoder)
    (library / "tone_400.wav").unlink()
    (library.parent / "other" / "a.wav").unlink()
    assert numbers(ingest([library], store, encoder)) == (0, 0, 5, 0, 1)
    assert len(paths(store)) == 6


def test_an_empty_mount_point_deletes_nothing(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    ingest([library], store, encoder)
    library.rename(library.parent / "elsewhere")
    with pytest.raises(ConfigError, match="does not exist"):
        ingest([library], store, encoder)
    library.mkdir()
    report = ingest([library], store, encoder)
    assert (report.kept, report.removed, store.count()) == (6, 0, 6)


def test_broken_files_are_listed_and_tried_again_when_changed(
    library: Path, store: VectorStore, encoder: CountingEncoder
) -> None:
    (library / "empty.wav").write_bytes(b"")
    (library / "noise.mp3").write_bytes(bytes(range(256)) * 9)
    (library / "tone_400.wav").write_bytes((library / "tone_400.wav").read_bytes()[:30])
    report = ingest([library], store, encoder)
    assert {Path(p).name for p in report.broken} == {"empty.wav", "noise.mp3", "tone_400.wav"}
    assert "empty" in report.broken[str(library / "empty.wav")].reason
    target = library.parent / "broken.jsonl"
    write_broken(report, target)
    assert read_broken(target) == report.broken
    before = encoder.calls
    write_tone(library / "empty.wav", 700)
    again = ingest([library], store, encoder, known_broken=read_broken(target))
    assert numbers(again) == (1, 0, 5, 0, 0)
    assert len(again.broken) == 2
    assert encoder.calls == before + 1


def test_a_file_that_breaks_is_forgotten(library: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    ingest([library], store, encoder)
    (library / "tone_400.wav").write_bytes(b"RIFF")
    report = ingest([library], store, encoder)
    assert (len(report.broken), report.removed) == (1, 0)
    assert len(paths(store)) == 5


def test_a_file_that_changes_while_it_is_read_is_left_for_later(
    library: Path, store: VectorStore, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = iter(range(1000))
    monkeypatch.setattr("askaudio.ingest.encode_file.stamp_of", lambda *_: Stamp(1, next(stamps)))
    report = ingest([library / "tone_400.wav"], store, encoder)
    assert "keeps changing" in next(iter(report.broken.values())).reason
    assert store.count() == 0


def test_captions_of_a_manifest_are_stored_and_followed(
    library: Path, store: VectorStore, encoder: CountingEncoder
) -> None:
    captions = {str(library / "tone_400.wav"): ["a horn", "someone blows a horn"]}
    ingest([library], store, encoder, captions=captions)
    assert store.count("caption='a horn' and caption~blows") == 1
    assert ingest([library], store, encoder, captions=captions).unchanged == 6
    captions[str(library / "tone_400.wav")] = ["a car horn"]
    assert numbers(ingest([library], store, encoder, captions=captions)) == (0, 1, 5, 0, 0)
    assert store.count("caption='a car horn'") == 1


def test_a_whole_folder_is_renamed_in_few_commits(
    library: Path, store: VectorStore, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([library], store, encoder)
    (library / "deep").mkdir()
    for path in sorted(library.glob("*.wav")):
        path.rename(library / "deep" / path.name)
    adds: list[int] = []
    upsert = store._upsert
    monkeypatch.setattr(store, "_upsert", lambda entries: (adds.append(len(entries)), upsert(entries)))
    assert numbers(ingest([library], store, encoder)) == (0, 0, 1, 5, 0)
    assert adds == [5]
    assert (encoder.calls, store.count()) == (6, 6)


def test_waiting_for_a_change_returns_when_the_folder_stands_still(library: Path) -> None:
    before = look([library])
    timer = threading.Timer(0.15, write_tone, (library / "late.wav", 440))
    timer.start()
    now = wait_for_change([library], before, every_s=0.02)
    timer.join()
    assert set(now) - set(before) == {str(library / "late.wav")}


def test_hidden_files_links_to_folders_and_the_collection_are_left_out(
    library: Path, store: VectorStore, encoder: CountingEncoder
) -> None:
    write_tone(library / "._x.wav", 400)
    write_tone(library / ".trash" / "x.wav", 400)
    (library / "round").symlink_to(library, target_is_directory=True)
    assert ingest([library], store, encoder).added == 6


def test_workers_give_the_same_as_one_process(library: Path, encoder: CountingEncoder, tmp_path: Path) -> None:
    (library / "broken.wav").write_bytes(b"RIFF")
    identity = Identity.of(encoder, "toy")
    with open_store("memory:", "w", identity) as one, open_store("memory:", "w", identity) as two:
        ingest([library], one, encoder)
        report = ingest([library], two, encoder, spec="toy", workers=2)
        assert (report.added, len(report.broken)) == (6, 1)
        for a, b in zip(one.iterate(), two.iterate(), strict=True):
            assert (a.entry_id, a.metadata) == (b.entry_id, b.metadata)
            np.testing.assert_array_equal(a.vector, b.vector)


_INGEST = """
import sys
import askaudio.ingest.update as ingesting
ingesting._COMMIT_S = 0.0  # a commit for every file: the most moments to be killed at
from askaudio.cli import main
sys.exit(main(["index", sys.argv[1], "--collection", sys.argv[2], "--model", "toy", "--workers", "1", "--json"]))
"""


def test_killed_at_random_moments_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    folder, collection = tmp_path / "sounds", tmp_path / "collection"
    for n in range(60):
        write_tone(folder / f"{n % 3}" / f"tone_{n}.wav", 100 + 40 * n, 0.5 if n % 4 else 21.0)
    chance = random.Random(7)
    command = [sys.executable, "-c", _INGEST]
    for _ in range(3):
        child = subprocess.Popen([*command, str(folder), str(collection)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (collection / "collection.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.random() * 1.5)
        child.send_signal(signal.SIGKILL)
        child.wait()
    done = subprocess.run([*command, str(folder), str(collection)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with open_store(collection) as store:
        assert paths(store) == sorted(str(p) for p in folder.rglob("*.wav"))
        assert store.count() == 45 + 15 * 3
        assert all(clip.windows == clip.metadata["windows"] for clip in store.clips())
        ids = [e.entry_id for e in store.iterate(vectors=False)]
        assert len(ids) == len(set(ids))


def test_workers_start_with_one_thread_each_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        with one_thread_each():
            asked = [pool.submit(os.getenv, name) for name in THREADS]
        assert [each.result() for each in asked] == ["1", "1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
