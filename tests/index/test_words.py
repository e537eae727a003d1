"""Words of names and metadata: one form for query and recording, stems, and scripts without blanks."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from askaudio.engines.local.store import EmbeddedStore
from askaudio.engines.open import open_store
from askaudio.index import words
from askaudio.index.entries import Entry
from askaudio.index.stems import stem
from askaudio.index.store import VectorStore
from askaudio.index.words import spelled_words, split_words, words_of
from store_fixtures import Opener
from stored_entries import DIM, IDENTITY

ONE = np.ones(DIM, np.float32)


def store_of(store: VectorStore, *paths: str, **metadata: object) -> VectorStore:
    store.add([Entry(f"{n}#0", f"{n}", ONE, path=f"/s/{path}", metadata=metadata) for n, path in enumerate(paths)])
    return store


@pytest.mark.parametrize(
    "forms",
    [
        "rain rains raining rained rainy",
        "creak creaks creaking creaked creaky",
        "drip drips dripping dripped",
        "drive drives driving",
        "tape tapes taping taped",
        "squeeze squeezes squeezing squeezed",
        "noise noises noisy",
        "stone stones stony",
        "cry cries crying cried",
        "fog foggy",
        "bubble bubbles bubbling bubbly",
        "glass glasses glassy",
        "horse horses",
        "knife knives",
        "foot feet",
        "echo echoes",
        "bus buses",
        "party parties",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({stem(word) for word in forms.split()}) == 1, {word: stem(word) for word in forms.split()}


@pytest.mark.parametrize(
    ("one", "other"),
    [("tap", "tape"), ("car", "care"), ("wind", "window"), ("part", "party"), ("bell", "belly"), ("car", "carry"),
     ("sing", "s"), ("spring", "spr"), ("speed", "spe"), ("bed", "b"), ("bus", "bu"), ("glass", "glas"),
     ("tree", "tre"), ("thing", "th")],
)  # fmt: skip
def test_other_words_have_another_stem(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DoorSlam_02", ["door", "slam", "2"]),
        ("DOORWood_High-Creak", ["door", "wood", "high", "creak"]),
        ("thunder-and-rain.v3", ["thunder", "rain", "v", "3"]),
        ("440hz", ["440", "hz"]),
        ("007 000", ["7", "0"]),
        ("ÖlFaß", ["öl", "fass"]),
        ("STRASSE", split_words("straße")),
        ("ＲＡＩＮ２", ["rain", "2"]),
        ("Tu\u0308r", ["tür"]),
        ("ﾄﾞｱ", ["ドア"]),
        ("caf\udce9", ["café"]),
        ("เสียงฝน", [unicodedata.normalize("NFKC", "เสียงฝน")]),
        ("बारिश की आवाज़", [unicodedata.normalize("NFKC", w) for w in ("बारिश", "की", "आवाज़")]),
        ("rain\ud800", ["rain"]),
    ],
)
def test_splitting(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


def test_what_is_shown_begins_the_forms_of_the_word() -> None:
    assert list(spelled_words("The Horses squeezing noise in Tür_02").values()) == [
        "horse",
        "squeez",
        "noise",
        "tür",
        "02",
    ]


def test_every_text_of_the_metadata_is_searched_and_nothing_technical() -> None:
    facts = {"artist": "Bob", "subcategory": "Spelt Out", "tags": ["Tin roofs"], "format": "wavex", "stamp": "1:3/",
             "content_hash": "beef", "windows": 3, "channels": 2, "licence": "cc", "mine": "own key",
             "flag": True}  # fmt: skip
    found = words_of("/folder/Name.wav", facts)
    assert found == {"name", "bob", "spelt", "tin", "roof", "cc", "own", "key"}


def test_words_of_scripts_without_blanks_match_inside_of_a_run(opened: Opener) -> None:
    paths = ("雨の音.wav", "大雨.wav", "風.wav", "빗소리가 난다.wav", "เสียงฝนตก.wav", "ドアを閉める.wav", "rainbow.wav")
    with store_of(opened(), *paths) as store, store_of(open_store("memory:", "w", IDENTITY), *paths) as true:
        expected = {"雨": {"0", "1"}, "雨の音": {"0"}, "소리": {"3"}, "ฝน": {"4"}, "ドア": {"5"}, "rain": set(),
                    "の": {"0"}, "雨 風": {"0", "1", "2"}, "雨風": set()}  # fmt: skip
        for query, clips in expected.items():
            for place in (store, true):
                found = place.find_words(query, 9)
                assert {match.clip_id for match in found} == clips, query
                assert all(match.words and set(match.words) <= set(query.split()) for match in found)
            assert store.find_words(query, 9) == true.find_words(query, 9)
            assert store.find_words(query, 9, "path~雨") == true.find_words(query, 9, "path~雨")


def test_a_rare_word_counts_more_and_all_words_most(opened: Opener) -> None:
    paths = ("rain.wav", "rainy roof.wav", "raining on tin roofs.wav", "tin.wav", *(f"rain {n}.wav" for n in range(5)))
    with store_of(opened(), *paths) as store:
        found = store.find_words("rain on a tin roof", 20)
        assert [match.clip_id for match in found][:3] == ["2", "1", "3"]
        assert found[0].score == 1.0
        assert found[0].words == ("rain", "tin", "roof")


def test_decomposed_names_and_any_case_are_found(opened: Opener) -> None:
    paths = ("Tu\u0308r.wav", "T\u00fcr2.wav", "caf\udce9.wav", "STRASSE.wav")
    with store_of(opened(), *paths) as store:
        for query in ("T\u00fcr", "tu\u0308r", "TÜR"):
            assert {match.clip_id for match in store.find_words(query, 9)} == {"0", "1"}, query
            assert store.count(f'path~"{query}"') == 2, query
        assert [match.clip_id for match in store.find_words("café", 9)] == ["2"]
        assert store.count("path~CAFÉ") == 1
        assert store.count("path~straße") == 1


def test_words_by_older_rules_are_indexed_again_and_vectors_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that older rules made: each word ends in "x"."""
    with monkeypatch.context() as older:
        older.setattr("askaudio.engines.local.columns.words_of", lambda path, metadata: {"oldx"})
        older.setattr("askaudio.engines.local.cache.RULES", words.RULES - 1)
        with store_of(open_store(tmp_path / "c", "w", IDENTITY), "rain.wav") as store:
            store.save()
            store.add([Entry("1#0", "1", ONE, path="/s/Rainy.wav")])
            store.save()
    cache = tmp_path / "c" / "cache"
    pointer = json.loads((cache / "current.json").read_text())
    assert pointer["rules"] == words.RULES - 1 and pointer["delta"]
    with open_store(tmp_path / "c") as store:
        assert len(store.find_words("rain", 9)) == 2
        assert len(store.search(ONE, 5)[0]) == 2
    assert json.loads((cache / "current.json").read_text()) == pointer  # a reader writes nothing
    with open_store(tmp_path / "c", "w", IDENTITY) as store:
        assert len(store.find_words("rain", 9)) == 2
        store.save()
        assert isinstance(store, EmbeddedStore)
        assert store.cache_faults() == []
    assert json.loads((cache / "current.json").read_text())["rules"] == words.RULES
    with open_store(tmp_path / "c") as store:
        assert len(store.find_words("rain", 9)) == 2


def test_a_database_with_words_by_older_rules_is_indexed_again(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{database}{'&' if '?' in database else '?'}collection=older_rules"
    with monkeypatch.context() as older:
        older.setattr("askaudio.engines.postgres.words_of", lambda path, metadata: {"oldx"})
        older.setattr("askaudio.engines.postgres._RULES", "older")
        store_of(open_store(url, "w", IDENTITY), "Rainy.wav").close()
    for mode, indexed in (("r", False), ("w", True), ("r", True)):
        with open_store(url, mode, IDENTITY) as store:  # type: ignore[arg-type]
            assert [match.clip_id for match in store.find_words("rains", 9)] == ["0"]
            assert store._indexed is indexed  # type: ignore[attr-defined]
