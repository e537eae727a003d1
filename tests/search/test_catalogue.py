"""Sorted lists and counts equal those made from the documents one by one."""

from __future__ import annotations

import numpy as np
import pytest

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.index.filters import parse_filter
from askaudio.search.catalogue import Catalogue, name_key, split_path

CLIPS = [
    ("/s/rain/take 10.wav", {"duration_s": 3.0, "format": "wavex", "sample_rate_hz": 48000, "tags": ["rain", "roof"]}),
    ("/s/rain/Take 2.wav", {"duration_s": 9.0, "format": "wav", "sample_rate_hz": 44100, "tags": ["rain"]}),
    ("/s/doors/old/creak.flac", {"duration_s": 1.0, "format": "flac", "sample_rate_hz": 48000, "loudness_lufs": -20.0}),
    ("/s/doors/slam.wav", {"format": "wav", "sample_rate_hz": 48000, "loudness_lufs": -9.0, "category": "doors"}),
]


@pytest.fixture(scope="module")
def store():
    encoder = ToyEncoder()
    with open_store("memory:", "w", Identity.of(encoder, "toy")) as store:
        vectors = np.eye(encoder.embed_dim, dtype=np.float32)
        store.add(Entry(f"c{n}#0", f"c{n}", vectors[n], 0, 1, path, facts) for n, (path, facts) in enumerate(CLIPS))
        yield store


@pytest.fixture(scope="module")
def catalogue(store):
    return Catalogue(store)


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("name", False, "c2 c3 c1 c0"),  # creak, slam, Take 2, take 10
        ("name", True, "c0 c1 c3 c2"),
        ("duration", False, "c2 c0 c1 c3"),  # the one without a length comes last
        ("duration", True, "c1 c0 c2 c3"),
        ("loudness", True, "c3 c2 c1 c0"),
    ],
)
def test_sorted(catalogue, sort, descending, expected):
    assert catalogue.sorted_ids(sort, descending) == expected.split()


def test_filters_narrow_lists_and_counts(catalogue):
    where = parse_filter("rate=48000")
    assert catalogue.sorted_ids("name", where=where) == ["c2", "c3", "c0"]
    assert catalogue.count(where) == 3 and catalogue.count() == 4
    assert catalogue.counts(where)["format"] == [("wav", 2), ("flac", 1)]


def test_counts(catalogue):
    counts = catalogue.counts()
    assert counts["format"] == [("wav", 3), ("flac", 1)]  # wavex is wav
    assert counts["rate"] == [("48000", 3), ("44100", 1)]
    assert counts["tag"] == [("rain", 2), ("roof", 1)]
    assert "licence" not in counts


def test_folders(catalogue):
    assert catalogue.folders() == ("/s", [("/s/doors", 2), ("/s/rain", 2)])
    assert catalogue.folders("/s/doors") == ("/s/doors", [("/s/doors/old", 1)])
    assert catalogue.folders("/elsewhere") == ("/elsewhere", [])


def test_it_follows_the_store(store):
    catalogue = Catalogue(store)
    assert len(catalogue.sorted_ids("name")) == 4
    vector = np.eye(store.identity.embed_dim, dtype=np.float32)[9]
    store.add([Entry("c9#0", "c9", vector, 0, 1, "/s/a.wav", {})])
    assert catalogue.sorted_ids("name")[0] == "c9" and catalogue.count() == 5
    store.delete('clip_id="c9"')
    assert catalogue.count() == 4


def test_names_and_paths():
    assert sorted(["b10.wav", "B2.wav", "a.wav"], key=name_key) == ["a.wav", "B2.wav", "b10.wav"]
    assert split_path("C:\\fx\\a.wav") == ("C:\\fx", "a.wav")
    assert split_path("/a.wav") == ("/", "a.wav")
