"""Flipped and missing bytes: never a traceback, never a lost entry while a copy exists, never silent for check."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askaudio.core.errors import IndexStoreError
from askaudio.core.files import read_json, write_json
from askaudio.engines.check import check, examine, repair
from askaudio.engines.lance_table import LanceTable
from askaudio.engines.local import cache, columns
from askaudio.engines.local.store import EmbeddedStore
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry
from askaudio.index.ranking import unit_rows
from askaudio.index.store import VectorStore
from stored_entries import DIM, IDENTITY, make_entries

QUERY = np.ones(DIM, np.float32)
Opener = Callable[..., VectorStore]


def content(store: VectorStore) -> list[Any]:
    entries = [(e.entry_id, e.clip_id, e.path, dict(e.metadata), e.vector.tolist()) for e in store.iterate()]
    clips = [(c.clip_id, c.windows) for c in store.clips("not tag=wind")]
    return [entries, clips, store.search(QUERY, 5), store.search(QUERY, 5, "tag=rain"), store.find_words("door", 5)]


def flip(path: Path, place: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved collection with a base, a delta and dead rows."""
    folder = tmp_path_factory.mktemp("damage") / "c"
    with open_store(folder, "w", IDENTITY) as store:
        store.add(make_entries(60))
        store.save()
        store.add(make_entries(66)[60:])
        store.delete("clip_id=c0002")
        store.save()
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "c"))


@pytest.fixture(scope="module")
def true(original: Path) -> list[Any]:
    with open_store(original) as store:
        return content(store)


@pytest.fixture(params=["verified on opening", "verified when read"])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small collections behave as large ones: vectors stay on disk, and opening reads no file to verify it."""
    if request.param == "verified when read":
        monkeypatch.setattr(columns, "IN_MEMORY", 1)
        monkeypatch.setattr(cache, "AT_OPEN", 0)


def whole(folder: Path, true: list[Any]) -> None:
    """Repair costs no entry, and afterwards everything is as before."""
    with open_store(folder, "w") as store:
        assert repair(store, check(store))["removed_entries"] == 0
        assert content(store) == true
    with open_store(folder) as store:
        assert check(store) == []
        assert content(store) == true


# JSON of docs behind a wrong offset, a vector that is no unit vector, an id that only the cache has
@pytest.mark.parametrize(
    ("name", "place", "bit"), [("docs.offsets.npy", 144, 2), ("vectors.npy", 200, 6), ("ids.bytes", 10, 0)]
)
def test_a_damaged_cache_is_named_and_costs_no_entry(
    name: str, place: int, bit: int, folder: Path, true: list[Any], limits: None
) -> None:
    path = next(folder.glob(f"cache/base-*/{name}"))
    flip(path, place, bit)
    with open_store(folder) as store:
        (fault,) = check(store)
        assert f"the search cache is damaged: {path}" in fault.what
        assert fault.entry_ids == ()
    whole(folder, true)


def places(size: int) -> list[int]:
    return sorted({0, size // 7, size // 3, size // 2, 2 * size // 3, size - 1})


def test_any_flipped_bit_of_the_cache_is_found_and_readers_answer_as_before(folder: Path, true: list[Any]) -> None:
    for path in sorted((folder / "cache").rglob("*.*")):
        before = path.read_bytes()
        for place in places(len(before))[:: 2 if len(before) < 200 else 1]:
            flip(path, place, place % 8)
            with open_store(folder) as store:
                assert check(store) != [], (path, place)
                assert content(store) == true, (path, place)
            path.write_bytes(before)


def test_damage_that_opening_does_not_see_shows_when_it_is_read(
    folder: Path, true: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "IN_MEMORY", 1)
    monkeypatch.setattr(cache, "AT_OPEN", 0)
    base = next(folder.glob("cache/base-*"))
    for name, place in (("docs.offsets.npy", 150), ("docs.bytes", 0), ("vectors.npy", 900), ("doc_of.npy", 130)):
        before = (base / name).read_bytes()
        flip(base / name, place, 3)
        with open_store(folder) as store:
            assert content(store) == true, name
        (base / name).write_bytes(before)


@pytest.mark.parametrize("length", [0, 1, 0.5])
def test_truncated_files_of_the_cache(length: float, folder: Path, true: list[Any], limits: None) -> None:
    for path in sorted((folder / "cache").rglob("*.*")):
        before = path.read_bytes()
        path.write_bytes(before[: int(length if length in (0, 1) else len(before) * length)])
        with open_store(folder) as store:
            assert check(store) != [], path
            assert content(store) == true, path
        path.write_bytes(before)
    flip(folder / "cache" / "current.json", 40)
    whole(folder, true)


def test_index_decides_nothing_by_a_damaged_cache(folder: Path, true: list[Any], limits: None) -> None:
    for name, place in (("ids.bytes", 10), ("docs.bytes", 300), ("docs.offsets.npy", 150), ("doc_of.npy", 160)):
        flip(next(folder.glob(f"cache/base-*/{name}")), place)
        with open_store(folder, "w") as store:  # what ``index`` opens
            assert content(store) == true, name
            store.save()
        with open_store(folder) as store:
            assert check(store) == [], name


@pytest.mark.parametrize("kind", ["data/*.lance", "_versions/*.manifest", "_deletions/*"])
def test_a_damaged_table_is_found_and_written_again_from_the_cache(kind: str, folder: Path, true: list[Any]) -> None:
    path = max((folder / "entries.lance").glob(kind), key=lambda p: p.stat().st_mtime)
    if kind.endswith("manifest"):
        path = min(path.parent.glob("*.manifest"))  # the newest has the smallest name
    before = path.read_bytes()
    for place in places(len(before)):
        flip(path, place, 4)
        with open_store(folder) as store:
            assert content(store) == true, place  # readers use the cache
            assert any("does not match its checksum" in fault.what for fault in check(store)), place
        path.write_bytes(before)
    flip(path, len(before) // 2)
    whole(folder, true)


def test_without_a_cache_damaged_entries_are_named_and_nothing_else_is_lost(folder: Path) -> None:
    shutil.rmtree(folder / "cache")
    vector = make_entries(60)[41].vector
    stored = unit_rows(vector).tobytes()
    for path in (folder / "entries.lance" / "data").iterdir():  # of the newest version and of earlier ones
        if stored in path.read_bytes():
            flip(path, path.read_bytes().index(stored) + 9, 3)
    with pytest.raises(IndexStoreError, match=r"c0013#2 .*vector does not match its checksum.*collection repair"):
        open_store(folder).search(QUERY)
    with open_store(folder, "w") as writer, pytest.raises(IndexStoreError, match=r"do not match their checksums\. Fix"):
        writer._cache.publish(None, writer._lance())  # type: ignore[attr-defined]  # how a large cache is built
    with open_store(folder) as store:
        assert [f.entry_ids for f in check(store) if f.entry_ids] == [("c0013#2",)]
    with open_store(folder, "w") as store:
        assert repair(store, check(store)) == {"removed_entries": 1, "rebuilt_cache": True, "rebuilt_table": True}
        assert (store.count(), store.get(["c0013#2"])) == (62, [])
        assert check(store) == []


def test_a_crash_between_the_two_renames_of_a_rewritten_table(folder: Path, true: list[Any]) -> None:
    work = folder / "repairing"
    work.mkdir()
    shutil.copytree(folder / "entries.lance", work / "entries.lance")
    (folder / "entries.lance").rename(work / "damaged.lance")
    with open_store(folder, "w") as store:
        store.add([Entry("z#0", "z", QUERY)])
        store.delete("clip_id=z")
        assert check(store)[0].what.startswith("the search cache is missing or older")
        assert content(store) == true
    assert not work.exists()


def test_a_damaged_description_is_read_from_the_table(folder: Path, true: list[Any]) -> None:
    path = folder / "collection.json"
    for place in range(0, path.stat().st_size, 17):
        flip(path, place, 1)
        with open_store(folder, "r", IDENTITY) as store:
            assert content(store) == true
            assert any(str(path) in fault.what for fault in check(store)), place
        flip(path, place, 1)
    flip(path, 30)
    whole(folder, true)


def make_old(folder: Path) -> None:
    """Remove what versions without checksums did not write."""
    table = LanceTable(str(folder))
    table.open()
    table._table.drop_columns(["checksum"])
    pointer = read_json(folder / "cache" / "current.json")
    del pointer["crc32"], pointer["rules"]
    write_json(folder / "cache" / "current.json", {**pointer, "version": cache.newest_version(folder)})
    write_json(folder / "collection.json", {"engine": "lance", "identity": IDENTITY.to_json()})
    (folder / "cache" / "table.json").unlink()
    for path in (folder / "cache").rglob("*"):
        if path.name in ("files.json", "checksums.npy"):
            path.unlink()


def test_an_old_collection_opens_and_repair_adds_its_checksums(folder: Path, true: list[Any]) -> None:
    make_old(folder)
    with open_store(folder) as store:
        assert content(store) == true
        assert store._lance_table is None  # type: ignore[attr-defined]  # its cache is still used
        report = examine(store)
        assert (report.entries, report.without_checksum) == (63, 63)
        assert [f.what for f in report.faults] == [
            f"{folder / 'cache'}: the search cache has no checksums (an older version wrote it)"
        ]
    with open_store(folder, "w") as store:
        assert content(store) == true
        store.add([Entry("z#0", "z", QUERY)])
        store.save()
        assert examine(store).without_checksum == 63  # the new one has one
        store.delete("clip_id=z")
        assert repair(store, check(store))["removed_entries"] == 0
        assert examine(store).without_checksum == 0
    whole(folder, true)


def test_every_engine_stores_checksums(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(30))
        store.update("tag=rain", {"label": "x"})
        store.save()
        report = examine(store)
        assert (report.entries, report.faults, report.without_checksum) == (30, [], 0)
    with opened("r") as store:
        assert (examine(store).faults, examine(store).without_checksum) == ([], 0)


@pytest.mark.parametrize(
    ("old", "new"), [(b'"c0001"', b'"c0009"'), (b"DoorSlam", b"DoorSlan"), (b'"Rain"', b'"Rainy"'), (b"1.5", b"1.6")]
)
def test_changed_facts_of_the_exact_engine(old: bytes, new: bytes, tmp_path: Path) -> None:
    with open_store(f"exact:{tmp_path / 'c'}", "w", IDENTITY) as store:
        store.add(make_entries(9))
        store.save()
    path = tmp_path / "c" / "part-1.jsonl"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with open_store(f"exact:{tmp_path / 'c'}", "w") as store:
        (fault,) = check(store)
        assert "metadata do not match their checksum" in fault.what
        assert repair(store, [fault])["removed_entries"] == 1
        assert store.count() == 8
    with open_store(f"exact:{tmp_path / 'c'}") as store:
        assert (check(store), store.count()) == ([], 8)


def test_any_flipped_bit_of_the_exact_engine_is_refused_or_found(tmp_path: Path) -> None:
    address = f"exact:{tmp_path / 'c'}"
    with open_store(address, "w", IDENTITY) as store:
        store.add(make_entries(9))
        store.save()
    for path in sorted((tmp_path / "c").glob("*.*")):
        before = path.read_bytes()
        for place in range(0, len(before), 7):
            flip(path, place, place % 8)
            try:
                with open_store(address) as store:
                    assert check(store) != [], (path, place, before[place])
            except IndexStoreError as error:
                assert str(tmp_path) in str(error)
            path.write_bytes(before)


def test_changed_rows_of_postgresql(database: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    address = f"{database}{'&' if '?' in database else '?'}collection=damage"
    with open_store(address, "w", IDENTITY) as store:
        store.add(make_entries(30))
        with psycopg.connect(database, autocommit=True) as server:
            for change, key in (
                ("embedding = (SELECT embedding FROM askaudio_damage WHERE entry_id = 'c0009#2')", "c0001#0"),
                ("doc = replace(doc, 'wind', 'wine')", "c0002#0"),
                ("channels = 7", "c0003#0"),
                ("terms = terms[2:]", "c0004#0"),
                ("start_s = 0.25", "c0005#0"),
            ):
                server.execute(f"UPDATE askaudio_damage SET {change} WHERE entry_id = '{key}'")
            server.execute("UPDATE askaudio_damage SET checksum = NULL WHERE entry_id = 'c0006#0'")
        report = examine(store)
        assert [f.entry_ids for f in report.faults] == [(f"c000{n}#0",) for n in range(1, 6)]
        assert report.without_checksum == 1
        with pytest.raises(IndexStoreError, match=r"c0001#0 .*vector does not match its checksum"):
            store.get(["c0001#0"])
        assert repair(store, report.faults)["removed_entries"] == 5
        assert (store.count(), examine(store).faults, examine(store).without_checksum) == (25, [], 0)
        with psycopg.connect(database, autocommit=True) as server:
            server.execute("ALTER TABLE askaudio_damage DROP COLUMN checksum")
    with open_store(address, "w") as store:  # a collection of an older version
        assert store.search(QUERY, 3)
        assert examine(store).without_checksum == 25
        store.add(make_entries(3))
        assert examine(store).without_checksum == 22


def test_any_flipped_bit_of_a_parquet_file_is_refused(tmp_path: Path) -> None:
    from askaudio.index.portable import read_parquet, write_parquet

    path = tmp_path / "c.parquet"
    with open_store("memory:", "w", IDENTITY) as store:
        store.add(make_entries(30))
        write_parquet(store, path)
        true = content(store)
    before = path.read_bytes()
    silent = 0
    for place in range(0, len(before), 29):
        flip(path, place, place % 8)
        with open_store("memory:", "w", IDENTITY) as store:
            try:
                identity, count, entries = read_parquet(path)
                store.add(entries)
                silent += (identity, store.count(), content(store)) != (IDENTITY, count, true)
            except IndexStoreError as error:
                assert str(path) in str(error)
        path.write_bytes(before)
    assert silent == 0


def test_the_cache_is_not_read_wholly_when_a_large_collection_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original_sum = cache.damaged_files

    def noted(folder: Path, sums: Any, at_most: int | None = None) -> list[str]:
        read.extend(
            f"{folder.name[:4]}/{name}" for name, (size, _) in sums.items() if at_most is None or size <= at_most
        )
        return original_sum(folder, sums, at_most)

    monkeypatch.setattr(cache, "damaged_files", noted)
    monkeypatch.setattr(cache, "AT_OPEN", 300)
    with open_store(folder) as store:
        assert store.count() == 63
        assert "base/docs.bytes" not in read
        assert "base/doc_clips.bytes" in read
    with open_store(folder, "w") as writer:
        assert isinstance(writer, EmbeddedStore)
        assert writer.count() == 63
        assert "base/docs.bytes" in read
