"""The contract, verb by verb, on every engine; the answers must equal those of the exact store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from askaudio.core.errors import ConfigError, IndexStoreError
from askaudio.engines.open import open_store
from askaudio.engines.sealed import read_sealed, write_sealed
from askaudio.index.entries import Capabilities, Entry, Identity
from askaudio.index.filters import Filter, holds
from askaudio.index.store import VectorStore
from stored_entries import DIM, IDENTITY, make_entries

Opener = Callable[..., VectorStore]
FILTERS = [
    None,
    "duration<3 and channels=2 and tag=rain",
    "tag=rain or not (channels=1)",
    "clip_id in (c0003, c0001, nothing)",
    "name!=x",
    "duration_s in (0.5, 1.5, 99)",
    'artist="O\'Brien [2]"',
    'artist~"o\'brien [3"',
    "path~doorslam and start>=1",
    'caption~"slams 0"',
    "not caption~door",
    "caption!=nothing",
    "clip_id in (c0001, c0002) or entry_id = 'c0003#1'",
    "end_s > 2 and duration >= 2 and duration <= 4",
    "tags in (wind, 'kit 3')",
    "rate = 5",
    "not rate < 5",
    "artist~'%_*.\\\\'",
]


def truth(entries: list[Entry]) -> VectorStore:
    store = open_store("memory:", "w", IDENTITY)
    store.add(entries)
    return store


def same(a: list[Entry], b: list[Entry]) -> None:
    assert [replace(e, vector=None) for e in a] == [replace(e, vector=None) for e in b]  # type: ignore[arg-type]
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x.vector, y.vector)


def agree(store: VectorStore, true: VectorStore, thorough: bool = False) -> None:
    """Every reading verb gives the same."""
    queries = np.random.default_rng(1).standard_normal((4, DIM)).astype(np.float32)
    first = next(true.iterate(), None)
    if first is not None:
        queries[0] = first.vector
    filters = FILTERS if thorough else FILTERS[:2]  # the rest once an engine: a server takes its time
    for where in filters:
        assert store.count(where) == true.count(where), where
        assert store.search(queries[:2], 7, where) == true.search(queries[:2], 7, where), where
    for top_k in (1, 500):
        assert store.search(queries, top_k) == true.search(queries, top_k), top_k
    for where in filters[:3]:
        same(list(store.iterate(where)), list(true.iterate(where)))
        assert store.clips(where) == true.clips(where), where
        assert store.clips(where, 2, 3) == true.clips(where)[2:5] == true.clips(where, 2, 3)
        for text in ("metal door slams", "the RAIN", "kit 3 window", "nowhere"):
            assert store.find_words(text, 5, where) == true.find_words(text, 5, where), (where, text)
    assert store.count_clips() == true.count_clips()
    clips = [clip.clip_id for clip in true.clips()][::2]
    for each in (1, 2, 9):
        found = store.best_windows(queries[0], [*clips, "unknown"], each)
        assert found == true.best_windows(queries[0], clips, each)
        assert len({(m.clip_id, m.score) for m in found}) >= len(set(clips))
        assert max(Counter(m.clip_id for m in found).values(), default=1) <= each
    ids = [e.entry_id for e in true.iterate()][::-2]
    same(store.get([*ids, "unknown"]), true.get(ids))


def test_empty_then_filled_then_reopened(opened: Opener) -> None:
    entries = make_entries(90)
    with opened() as store:
        agree(store, truth([]))
        assert store.add(entries) == 90
        agree(store, truth(entries))
        store.save()
        agree(store, truth(entries), thorough=True)
    with opened("r") as store:
        agree(store, truth(entries))
        assert store.identity == IDENTITY


def test_upsert_delete_update_before_and_after_save(opened: Opener) -> None:
    entries = make_entries(60)
    with opened() as store:
        true = truth(entries)
        store.add(entries)
        store.save()
        newer = [replace(e, vector=-e.vector, path="/moved/dog.wav") for e in entries[6:12]]
        for target in (store, true):
            target.add([*newer, replace(entries[0], entry_id="c9999#0", clip_id="c9999")])
            assert target.delete("clip_id in (c0004, c0005) or duration=0.5") > 0
            assert target.update("tag=wind", {"artist": None, "label": "Storm"}) > 0
            assert target.update("tag=nothing", {"label": "x"}) == 0
        agree(store, true)
        store.save()
        agree(store, true)
    with opened("r") as store:
        agree(store, true)


def test_random_walk_agrees_with_the_truth(opened: Opener) -> None:
    rng = np.random.default_rng(3)
    pool = make_entries(120, seed=4)
    with opened() as store:
        true = truth([])
        for step in range(8):
            chosen = [pool[i] for i in sorted(rng.choice(120, 25, replace=False))]
            if rng.random() < 0.6:
                fresh = [replace(e, vector=rng.standard_normal(DIM).astype(np.float32)) for e in chosen]
                assert store.add(fresh) == true.add(fresh)
            else:
                where = f"clip_id in ({','.join(sorted({e.clip_id for e in chosen[:6]}))})"
                assert store.delete(where) == true.delete(where)
            if step % 4 == 3:
                store.save()
            queries = rng.standard_normal((2, DIM)).astype(np.float32)
            assert store.search(queries, 9) == true.search(queries, 9)
            assert store.count() == true.count()
        agree(store, true)


def test_best_windows_of_no_recording(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(9))
        assert store.best_windows(np.ones(DIM, np.float32), [], 2) == []
        assert store.best_windows(np.ones(DIM, np.float32), ["unknown"], 2) == []
        with pytest.raises(IndexStoreError, match="query vectors have the shape"):
            store.best_windows(np.ones(DIM + 1, np.float32), ["c0001"], 2)


def test_batch_equals_single_and_is_repeatable(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(90))
        store.save()
        queries = np.random.default_rng(5).standard_normal((6, DIM)).astype(np.float32)
        together = store.search(queries, 10)
        assert together == [store.search(q, 10)[0] for q in queries] == store.search(queries, 10)
        scores = [m.score for m in together[0]]
        assert scores == sorted(scores, reverse=True)


def test_vectors_are_scaled_once_and_zero_stays_zero(opened: Opener) -> None:
    vector = np.arange(1, DIM + 1, dtype=np.float32)
    with opened() as store:
        store.add([Entry("a", "a", vector), Entry("z", "z", np.zeros(DIM, np.float32))])
        got = store.get(["a", "z"])
        np.testing.assert_allclose(np.linalg.norm(got[0].vector), 1, atol=1e-6)
        assert not got[1].vector.any()
        store.add(got)
        same(store.get(["a", "z"]), got)
        assert [m.score for m in store.search(vector, 2)[0]] == [1.0, 0.0]


def test_snapshots_bring_old_content_back(opened: Opener) -> None:
    entries = make_entries(30)
    with opened() as store:
        if not store.capabilities.snapshots:
            with pytest.raises(IndexStoreError, match="askaudio copy"):
                store.snapshot("before")
            return
        store.add(entries)
        store.snapshot("before")
        store.delete("start_s>=0")
        store.save()
        assert store.count() == 0
        assert store.snapshots() == ["before"]
        store.restore("before")
        agree(store, truth(entries))
        store.save()
        with pytest.raises(IndexStoreError, match="it has: before"):
            store.restore("never")
    with opened("r") as store:
        agree(store, truth(entries))


def test_another_encoder_is_refused(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(3))
        store.save()
    for wrong in (Identity("0" * 16, DIM), Identity(IDENTITY.fingerprint, DIM + 1)):
        with pytest.raises(IndexStoreError, match="vectors of two encoders"):
            opened("w", wrong)
    with opened("r", None) as store:
        assert store.identity == IDENTITY


def test_two_writers_give_a_clear_error_and_readers_go_on(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(9))
        store.save()
        if store.capabilities.writers == 1:
            with pytest.raises(IndexStoreError, match="being written by another process"):
                opened("w")
        else:
            with opened("w") as second:
                assert second.count() == 9
        with opened("r") as reader:
            assert reader.count() == 9
            with pytest.raises(IndexStoreError, match="reading only"):
                reader.add(make_entries(1))
    with opened("w") as store:
        assert store.count() == 9


def test_a_reader_sees_what_a_writer_adds(opened: Opener) -> None:
    entries = make_entries(30)
    with opened() as writer:
        if not (writer.capabilities.durable_add and writer.capabilities.readers_while_writing):
            return
        writer.add(entries[:10])
        writer.save()
        with opened("r") as reader:
            assert reader.count() == 10
            writer.add(entries[5:20])
            writer.delete("clip_id=c0000")
            agree(reader, truth(entries[3:20]))
            writer.save()
            agree(reader, truth(entries[3:20]))


def test_what_is_added_survives_without_save(opened: Opener) -> None:
    entries = make_entries(30)
    with opened() as store:
        durable = store.capabilities.durable_add
        store.add(entries)
    with opened("r") if durable else opened("w") as store:
        agree(store, truth(entries if durable else []))


class FourMethods(VectorStore):
    """The smallest engine: everything else is a default of the contract."""

    capabilities = Capabilities(False, snapshots=False, readers_while_writing=False, writers=1, approximate=False)

    def __init__(self) -> None:
        super().__init__("four:", IDENTITY, "w")
        self.held: dict[str, Entry] = {}

    def _upsert(self, entries: list[Entry]) -> None:
        self.held.update((entry.entry_id, entry) for entry in entries)

    def _delete(self, where: Filter) -> int:
        gone = [key for key, entry in self.held.items() if holds(where, entry)]
        for key in gone:
            del self.held[key]
        return len(gone)

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        for _, entry in sorted(self.held.items()):
            if holds(where, entry):
                yield entry if vectors else replace(entry, vector=np.zeros(0, np.float32))

    def version(self) -> str:
        return str(len(self.held))


def test_an_engine_of_four_methods_answers_as_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askaudio.index.scans._BLOCK", 7)  # rankings are merged over blocks
    with FourMethods() as store:
        agree(store, truth([]))
        assert store.sample(3).shape == (0, DIM)
        store.add(make_entries(90))
        true = truth(make_entries(90))
        agree(store, true, thorough=True)
        np.testing.assert_array_equal(store.sample(3), true.sample(3))
        assert store.delete("tag=rain") == true.delete("tag=rain") > 0
        agree(store, true)
        assert store.snapshots() == []
        for call in (store.snapshot, store.restore):
            with pytest.raises(IndexStoreError, match=r"FourMethods has no snapshots\. Fix: .*askaudio copy"):
                call("before")
        store.save()


def test_missing_collection_says_how_to_make_one(url: str) -> None:
    with pytest.raises(IndexStoreError, match="make one: askaudio index"):
        open_store(url, "r")


BAD_ENTRIES = [
    ([Entry("a", "a", np.zeros(DIM - 1, np.float32))], r"expected \(16,\)"),
    ([Entry("a", "a", np.full(DIM, np.nan, np.float32))], "NaN"),
    ([Entry("", "a", np.zeros(DIM, np.float32))], "empty id"),
    ([Entry("a", "a", np.zeros(DIM, np.float32))] * 2, "twice"),
    ([Entry("a", "a", np.zeros(DIM, np.float32), metadata={"x": object()})], "not JSON"),
    ([Entry("a", "a", np.zeros(DIM, np.float32), metadata={"x": "a\0b"})], "NUL"),
]


def test_bad_entries_are_refused_and_nothing_is_added(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(3))
        for entries, says in BAD_ENTRIES:
            with pytest.raises(IndexStoreError, match=says):
                store.add([*make_entries(2, seed=9), *entries])
        agree(store, truth(make_entries(3)))


def test_bad_queries_are_refused(opened: Opener) -> None:
    with opened() as store:
        store.add(make_entries(3))
        with pytest.raises(IndexStoreError, match="16-d"):
            store.search(np.zeros(3, np.float32))
        with pytest.raises(IndexStoreError, match="NaN"):
            store.search(np.full(DIM, np.inf, np.float32))
        with pytest.raises(IndexStoreError, match="top_k"):
            store.search(np.zeros(DIM, np.float32), 0)
        with pytest.raises(ConfigError, match="filter"):
            store.search(np.zeros(DIM, np.float32), 1, "tags = ")
        with pytest.raises(IndexStoreError, match="needs a filter"):
            store.delete(" ")


@pytest.mark.parametrize("engine", ["exact", "lance"])
def test_a_newer_format_is_refused(engine: str, tmp_path) -> None:
    url = f"{engine}:{tmp_path / 'c'}"
    with open_store(url, "w", IDENTITY) as store:
        store.save()
    path = tmp_path / "c" / "collection.json"
    value, _ = read_sealed(path, ())
    value["identity"]["format_version"] = 99
    write_sealed(path, value)
    with pytest.raises(IndexStoreError, match="newer askaudio"):
        open_store(url)
    other = "exact" if engine == "lance" else "lance"
    value["identity"]["format_version"] = 1
    write_sealed(path, value)
    with pytest.raises(IndexStoreError, match="open it as"):
        open_store(f"{other}:{tmp_path / 'c'}")


def test_a_folder_with_other_files_is_not_taken(tmp_path) -> None:
    (tmp_path / "song.wav").write_bytes(b"x")
    with pytest.raises(IndexStoreError, match="other files"):
        open_store(tmp_path, "w", IDENTITY)
