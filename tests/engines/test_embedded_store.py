"""What only the embedded store has: a cache, an accelerator, and faults that must not lose anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askaudio.core.errors import IndexStoreError
from askaudio.engines.check import check, repair
from askaudio.engines.lance_table import LanceTable
from askaudio.engines.local import accelerator, cache
from askaudio.engines.local.store import EmbeddedStore
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.index.store import VectorStore
from stored_entries import DIM, IDENTITY, make_entries


def filled(folder: Path, n: int = 60) -> EmbeddedStore:
    store = open_store(folder, "w", IDENTITY)
    assert isinstance(store, EmbeddedStore)
    store.add(make_entries(n))
    return store


def truth(n: int, dim: int = DIM) -> VectorStore:
    store = open_store("memory:", "w", Identity(IDENTITY.fingerprint, dim))
    store.add(make_entries(n, dim=dim))
    return store


@pytest.mark.parametrize("flat_rows", [10_000, 100], ids=["flat-fp16", "inverted-lists"])
def test_accelerated_search_agrees_with_the_truth(
    flat_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY", 100)
    monkeypatch.setattr("askaudio.engines.local.columns.IN_MEMORY", 100)
    monkeypatch.setattr("askaudio.engines.local.view._SCAN", 20)
    monkeypatch.setattr(accelerator, "FLAT_ROWS", flat_rows)
    monkeypatch.setattr(accelerator, "PROBES", 128)  # random vectors have no clusters: half of the lists are read
    n, dim = 1500, 32
    identity = Identity(IDENTITY.fingerprint, dim)
    with open_store(tmp_path / "c", "w", identity) as store:
        store.add(make_entries(n, dim=dim))
        store.save()
    queries = np.random.default_rng(8).standard_normal((20, dim)).astype(np.float32)
    queries[0] = make_entries(1, dim=dim)[0].vector  # 150 rows tie with it
    true = truth(n, dim)
    with open_store(tmp_path / "c") as store:
        assert list((tmp_path / "c" / "cache").glob("*/accelerator.faiss"))
        for where in (None, "tag=rain", "clip_id in (c0001, c0400)", "channels=1 and duration>2"):
            found, wanted = store.search(queries, 10, where), true.search(queries, 10, where)
            if flat_rows > n:
                assert found == wanted
                assert store.search(queries[:1], 200, where) == true.search(queries[:1], 200, where)
            hits = [
                len({m.entry_id for m in a} & {m.entry_id for m in b}) / max(len(b), 1)
                for a, b in zip(found[1:], wanted[1:], strict=True)
            ]
            assert np.mean(hits) > 0.85, where
            same = {m.entry_id: m.score for m in wanted[1]}
            assert all(m.score == same[m.entry_id] for m in found[1] if m.entry_id in same)
        assert [m for row in found for m in row if m.score > 1] == []
    with open_store(tmp_path / "c", "w", identity) as store:  # dead rows are skipped, new ones found
        store.delete("tag=rain")
        true.delete("tag=rain")
        store.add([Entry("new#0", "new", queries[3])])
        true.add([Entry("new#0", "new", queries[3])])
        assert store.search(queries[3], 3)[0][0].entry_id == "new#0"
        assert store.count() == true.count()
        assert not any("Rain" in m.metadata.get("tags", []) for row in store.search(queries, 10) for m in row)


def test_a_fresh_cache_is_used_and_a_stale_one_completed(tmp_path: Path) -> None:
    with filled(tmp_path / "c") as store:
        store.save()
        store.add([Entry("z#0", "z", np.ones(DIM, np.float32))])
        store.delete("clip_id=c0001")
    with open_store(tmp_path / "c") as reader:
        assert reader.count() == 58
        assert reader.search(np.ones(DIM, np.float32), 1)[0][0].entry_id == "z#0"
        assert isinstance(reader, EmbeddedStore)
        assert reader._lance_table is not None  # it had to look into the table
    with open_store(tmp_path / "c", "w") as store:
        store.save()
    with open_store(tmp_path / "c") as reader:
        assert reader.count() == 58
        assert reader._lance_table is None  # a fresh cache needs no table


def test_small_changes_are_kept_beside_a_large_base(tmp_path: Path) -> None:
    with filled(tmp_path / "c", 60) as store:
        store.save()
        store.add([Entry("z#0", "z", np.ones(DIM, np.float32))])
        store.save()
        pointer = json.loads((tmp_path / "c" / "cache" / "current.json").read_text())
        assert (pointer["base"], pointer["delta"]) == ("base-1", "delta-2")
        for n in range(5):
            store.add([Entry(f"y#{n}", f"y{n}", np.ones(DIM, np.float32))])
            store.save()
        assert len(list((tmp_path / "c" / "cache").glob("*-*"))) <= 3  # old ones are forgotten
    with open_store(tmp_path / "c") as reader:
        assert reader.count() == 66


def test_words_of_recordings_that_stand_in_base_and_delta_agree_with_the_truth(tmp_path: Path) -> None:
    true = truth(60)
    with filled(tmp_path / "c", 60) as store:
        store.save()
        for some in (store, true):
            some.update("entry_id in (c0002#1, c0007#0)", {"tags": ["thunder"], "caption": "rain on a tin roof"})
            some.update("clip_id=c0004", {"tags": ["thunder", "tin"]})
            some.delete("entry_id=c0003#2 or clip_id=c0000")
            some.add([Entry("c0005#9", "c0005", np.ones(DIM, np.float32), path="/sounds/tin thunder.wav")])
        store.save()
    with open_store(tmp_path / "c") as reader:
        assert json.loads((tmp_path / "c" / "cache" / "current.json").read_text())["delta"]
        for text in ("thunder", "rain", "tin thunder", "door slam 03", "metal door", "window rain 01 kit", "nothing"):
            for where in (None, "tag=thunder", "channels=1"):
                for top_k in (1, 3, 100):
                    found, wanted = (s.find_words(text, top_k, where) for s in (reader, true))
                    assert found == wanted, (text, where, top_k)
        assert {m.clip_id for m in reader.find_words("thunder", 100)} == {"c0002", "c0004", "c0005", "c0007"}


def test_a_reader_follows_a_writer_that_goes_back_and_elsewhere(tmp_path: Path) -> None:
    """The same number of entries of one write is there, but other ones."""
    with filled(tmp_path / "c", 30) as store:
        store.snapshot("all")
        store.save()
        with open_store(tmp_path / "c") as reader:
            for round_trip in range(2):
                for gone in ("clip_id=c0001", "clip_id=c0002", "entry_id=c0005#1"):
                    store.delete(gone)
                    assert reader.clips() == store.clips()
                    if round_trip:
                        store.save()
                    store.restore("all")
                    store.delete("clip_id=c0009" if gone.endswith("2") else "clip_id=c0003")
                    assert [e.entry_id for e in reader.iterate()] == [e.entry_id for e in store.iterate()]
                    store.restore("all")
            assert reader.count() == 30


def test_a_follower_reads_no_more_than_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[tuple[str, ...], int]] = []
    scan = LanceTable.scan

    def counted(self: LanceTable, columns: list[str], where: str | None = None) -> Iterator[Any]:
        for batch in scan(self, columns, where):
            read.append((tuple(columns), batch.num_rows))
            yield batch

    with filled(tmp_path / "c", 300) as store:
        store.save()
        with open_store(tmp_path / "c") as reader:
            reader.count()
            store.add([Entry("z#0", "z", np.ones(DIM, np.float32))])
            store.delete("clip_id=z")
            store.add([Entry("z#1", "z", np.ones(DIM, np.float32))])
            monkeypatch.setattr(LanceTable, "scan", counted)
            assert reader.count() == 301
            assert sum(rows for columns, rows in read if columns != ("seq",)) == 2  # its id, then all of it


def test_many_pending_changes_are_read_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askaudio.engines.local.store._PENDING", 20)
    entries = make_entries(90)
    with open_store(tmp_path / "c", "w", IDENTITY) as store:
        store.count()
        for start in range(0, 90, 10):
            store.add(entries[start : start + 10])
            assert len(store._pending) <= 20  # type: ignore[attr-defined]
        assert store.search(entries[3].vector, 5) == truth(90).search(entries[3].vector, 5)


def test_many_new_entries_are_saved_without_reading_them_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = make_entries(2200)
    with open_store(tmp_path / "c", "w", IDENTITY) as store:
        store.add(entries[:1100])
        store.add(entries[1100:])
        store.delete("clip_id=c0003")
    with open_store(tmp_path / "c", "w") as store:
        with monkeypatch.context() as patched:
            patched.setattr(LanceTable, "entries", None)  # would hold all of them in memory
            store.save()
        true = truth(2200)
        true.delete("clip_id=c0003")
        assert store.count() == true.count()
        assert store.search(entries[7].vector, 5) == true.search(entries[7].vector, 5)
        store.add([entries[7]])  # the store goes on from what it saved
        assert store.count() == true.count()
    with open_store(tmp_path / "c") as reader:
        assert reader.search(entries[9].vector, 5) == true.search(entries[9].vector, 5)


def test_any_damage_of_the_cache_only_costs_time(tmp_path: Path) -> None:
    with filled(tmp_path / "c") as store:
        store.save()
    true = truth(60).search(np.ones(DIM, np.float32), 5)
    root = tmp_path / "c" / "cache"
    for path in sorted(root.rglob("*.*")):
        if path.is_file():
            before = path.read_bytes()
            path.write_bytes(before[: len(before) // 2])
            with open_store(tmp_path / "c") as reader:
                assert reader.search(np.ones(DIM, np.float32), 5) == true, path
            path.write_bytes(before)


def test_full_disk_while_saving_the_cache_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(tmp_path / "c") as store:
        with monkeypatch.context() as patch:
            patch.setattr(
                cache.Columns, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
            )
            with pytest.raises(IndexStoreError, match=r"No space left.*all entries are safe.*repair"):
                store.save()
        assert store.count() == 60
        store.save()
    with open_store(tmp_path / "c") as reader:
        assert reader.count() == 60


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexStoreError, match="cannot write in"):
        open_store(tmp_path / "file" / "c", "w", IDENTITY)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_collection_can_be_read(tmp_path: Path) -> None:
    with filled(tmp_path / "c") as store:
        store.save()
    (tmp_path / "c").chmod(0o555)
    try:
        with open_store(tmp_path / "c") as reader:
            assert reader.count() == 60
    finally:
        (tmp_path / "c").chmod(0o755)


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; from askaudio.engines.writer_lock import WriterLock; "
        "lock = WriterLock(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "c" / ".writer.lock")], check=False)
    with filled(tmp_path / "c", 3) as store:
        assert store.count() == 3


def test_check_names_faults_and_repair_fixes_them(tmp_path: Path) -> None:
    with filled(tmp_path / "c", 9) as store:
        store.update("start_s>=0", {"windows": 3})
        store.save()
        assert check(store) == []
        store.delete("entry_id=c0001#2")
        (fault, *_) = check(store)
        assert "2 of 3 windows" in fault.what
        assert repair(store, check(store)) == {"removed_entries": 2, "rebuilt_cache": True, "rebuilt_table": False}
        assert check(store) == []
        assert store.count() == 6


_FULL_DISK = """
import resource, signal, sys
from stored_entries import IDENTITY, make_entries
from askaudio.core.errors import IndexStoreError
from askaudio.engines.lance_table import LanceTable
from askaudio.engines.open import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_store(sys.argv[1], "w", IDENTITY) as store:
    store.add(make_entries(30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # from here on every larger write fails
    try:
        store.add(make_entries(900, seed=1))
    except IndexStoreError as error:
        print(error)
        sys.exit(7)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of POSIX")
def test_full_disk_while_adding_loses_nothing_and_adds_nothing(tmp_path: Path) -> None:
    places = [str(Path(__file__).parents[1] / "support"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path / "c")],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "The earlier content is intact. Fix: check free disk space" in done.stdout
    with open_store(tmp_path / "c", "w") as store:
        assert store.count() == 30
        store.add(make_entries(60))
        assert store.count() == 60
