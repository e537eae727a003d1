"""Matches by a model's curve, the correction of hubs, unknown words, and answers where nothing fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.encoders.toy import ToyEncoder
from askaudio.encoders.tuning import HubCorrection, MatchCurve, Tuning
from askaudio.engines.exact import ExactStore
from askaudio.engines.local.store import EmbeddedStore
from askaudio.index.entries import Entry, Identity
from askaudio.index.store import VectorStore
from askaudio.search.engine import SILENT, SearchEngine
from askaudio.search.hits import Hits
from askaudio.search.query import Part, in_language, make_parts

DIM = 16
HUB = np.eye(DIM, dtype=np.float32)[0]


class TunedEncoder(ToyEncoder):
    """Vectors of the toy encoder, with a tuning and a small vocabulary."""

    tuning: Tuning | None = None

    def unknown_words(self, text: str) -> tuple[list[str], int]:
        words = text.split()
        return [word for word in words if word.startswith("x")], len(words)


@pytest.fixture
def encoder() -> TunedEncoder:
    return TunedEncoder(DIM)


def fill(store: VectorStore) -> VectorStore:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, DIM))
    vectors[:8] += 3 * HUB  # hubs
    store.add(
        Entry(f"{n:02d}#0", f"{n:02d}", row.astype(np.float32), 0, 1, f"{n:02d}") for n, row in enumerate(vectors)
    )
    return store


@pytest.fixture
def store(encoder: TunedEncoder) -> VectorStore:
    return fill(ExactStore(Identity.of(encoder)))


def ids(hits: Hits) -> list[str]:
    return [hit.clip_id for hit in hits]


def test_the_curve_gives_the_match(store: VectorStore, encoder: TunedEncoder) -> None:
    encoder.tuning = Tuning(match={"text": MatchCurve(bias=0.0, z=0.0, cosine=2.0)})
    for hit in SearchEngine(store, encoder).search("rain on a roof", top_k=5):
        assert hit.match == pytest.approx(100 / (1 + np.exp(-2 * hit.score)), abs=0.06)


def test_a_model_without_tuning_is_judged_as_before(store: VectorStore, encoder: TunedEncoder) -> None:
    plain = SearchEngine(store, ToyEncoder(DIM)).search("rain", words=False)
    assert [hit.to_json() for hit in SearchEngine(store, encoder).search("rain", words=False)] == [
        hit.to_json() for hit in plain
    ]


def test_the_correction_is_the_cosine_less_a_share(store: VectorStore, encoder: TunedEncoder) -> None:
    taken = 0.4 * HUB
    encoder.tuning = Tuning(hubs={"text": HubCorrection(taken)})
    engine = SearchEngine(store, encoder)
    query = encoder.encode_text(["rain"])[0]
    entries = list(store.iterate())
    score = np.array([entry.vector @ (query - taken) for entry in entries])
    hits = engine.search("rain", top_k=10, words=False, fold_twins=False)
    assert ids(hits) == [entries[n].clip_id for n in np.argsort(-score)[:10]]
    for hit in hits:  # what is shown is the cosine itself
        assert hit.score == pytest.approx(float(query @ store.get([hit.clip_id + "#0"])[0].vector), abs=1e-6)
        assert hit.segments[0].score == hit.score


def test_without_the_correction_nothing_changes(store: VectorStore, encoder: TunedEncoder) -> None:
    plain = SearchEngine(store, ToyEncoder(DIM)).search("rain", words=False)
    encoder.tuning = Tuning(hubs={"text": HubCorrection(0.4 * HUB)})
    engine = SearchEngine(store, encoder)
    assert [h.to_json() for h in engine.search("rain", words=False, correct_hubs=False)] == [h.to_json() for h in plain]
    assert ids(engine.search("rain", words=False)) != ids(plain)


def test_short_texts_are_corrected_on_request_alone(store: VectorStore, encoder: TunedEncoder) -> None:
    encoder.tuning = Tuning(hubs={"text": HubCorrection(0.4 * HUB, least_words=3)})
    engine = SearchEngine(store, encoder)
    plain = ids(engine.search("a dog", words=False, correct_hubs=False))
    assert ids(engine.search("a dog", words=False)) == plain
    assert ids(engine.search("a dog", words=False, correct_hubs=True)) != plain
    long = "a dog barks far away"
    assert ids(engine.search(long, words=False)) == ids(engine.search(long, words=False, correct_hubs=True))


def test_other_engines_correct_alike(tmp_path: Path, store: VectorStore, encoder: TunedEncoder) -> None:
    encoder.tuning = Tuning(hubs={"text": HubCorrection(0.4 * HUB)})
    with EmbeddedStore(tmp_path / "local", Identity.of(encoder), "w") as local:
        fill(local)
        local.save()
        for where in (None, "start<1 and path!=03"):
            one = SearchEngine(store, encoder).search("rain", where=where)
            other = SearchEngine(local, encoder).search("rain", where=where)
            assert [hit.to_json() for hit in one] == [hit.to_json() for hit in other]


def test_a_stored_clip_as_query_has_a_correction_of_its_own(store: VectorStore, encoder: TunedEncoder) -> None:
    encoder.tuning = Tuning(hubs={"sound": HubCorrection(0.6 * HUB)})
    engine = SearchEngine(store, encoder)
    assert ids(engine.search("rain", words=False)) == ids(engine.search("rain", words=False, correct_hubs=False))
    corrected, plain = engine.search(like="20"), engine.search(like="20", correct_hubs=False)
    assert ids(corrected) != ids(plain)


def test_words_that_are_not_known_match_nothing(store: VectorStore, encoder: TunedEncoder) -> None:
    engine = SearchEngine(store, encoder)
    hits = engine.search("xqz xyzzy", words=False)
    assert hits and {hit.match for hit in hits} == {0.0} and not hits.fits
    assert hits.notes == ("the model knows none of the words xqz xyzzy",)
    half = engine.search("rain xyzzy", words=False)
    assert half.notes == ("the model knows not the word xyzzy",) and half[0].match > 0


def test_an_answer_fits_by_match_or_by_name(store: VectorStore, encoder: TunedEncoder) -> None:
    encoder.tuning = Tuning(match={"text": MatchCurve(bias=-3.0, z=0.0)})  # 4.7 for every hit
    engine = SearchEngine(store, encoder)
    assert not engine.search("rain", words=False).fits
    assert engine.search("03").fits  # the name of a file
    assert not Hits().fits


def test_a_language_is_set_for_texts_that_have_none() -> None:
    parts = in_language([*make_parts("regen"), Part("text", "dog", language="en"), Part("clip", "7")], "de")
    assert [part.language for part in parts] == ["de", "en", ""]


def test_a_silent_query_matches_nothing_and_says_so(tmp_path: Path, store: VectorStore, encoder: TunedEncoder) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).uniform(-0.3, 0.3, 16_000), 16_000)
    encoder.tuning = Tuning(match={"sound": MatchCurve(bias=0.0, z=0.0)})
    engine = SearchEngine(store, encoder)
    silent, noise = engine.search(audio=tmp_path / "silent.wav"), engine.search(audio=tmp_path / "noise.wav")
    assert silent.notes == (SILENT,) and not silent.fits and {hit.match for hit in silent} == {0.0}
    assert noise.notes == () and {hit.match for hit in noise} == {50.0}
