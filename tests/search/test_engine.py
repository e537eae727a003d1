"""The engine on the toy encoder: what is asked is found, in time, in order, and for a reason a person can see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import AudioDecodeError, ConfigError, IndexStoreError, UnknownClipError
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.index.filters import MEASURED
from askaudio.ingest.update import ingest
from askaudio.search.engine import SearchEngine
from askaudio.search.query import AVOID_WEIGHT, Part, make_parts, weighted
from tones import RATE_HZ, write_tone


def make_engine(*folders: Path, captions: dict[str, list[str]] | None = None) -> SearchEngine:
    encoder = ToyEncoder()
    store = open_store("memory:", "w", Identity.of(encoder, "toy"))
    ingest(folders, store, encoder, captions=captions)
    return SearchEngine(store, encoder)


@pytest.fixture
def engine(library: Path) -> Iterator[SearchEngine]:
    with make_engine(library) as opened:
        yield opened


def names(hits: list) -> list[str]:
    return [Path(hit.path).name for hit in hits]


def test_words_find_the_sound_they_describe(engine: SearchEngine) -> None:
    for text, name in (("a hum", "tone_100.wav"), ("a bell", "tone_1500.wav"), ("6000 hz", "tone_6000.wav")):
        hits = engine.search(text, words=False)
        assert names(hits)[0] == name
        assert hits[0].score > 0.9
        assert hits[0].match > 90
        assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
        assert engine.search(text, words=False) == hits


def test_a_sound_finds_itself_by_path_and_by_bytes(engine: SearchEngine, library: Path) -> None:
    path = library / "tone_400.wav"
    hits = engine.search(audio=path, top_k=2)
    assert names(hits)[0] == "tone_400.wav"
    assert (hits[0].score, hits[0].match) == (pytest.approx(1.0), 100.0)
    assert engine.search(audio=path.read_bytes(), top_k=2) == hits


def test_weights_and_several_parts(engine: SearchEngine, library: Path) -> None:
    near = engine.search("low hum", more=[Part("text", "bell", 0.2)], top_k=2, words=False)
    far = engine.search("low hum", more=[Part("audio", library / "tone_1500.wav", 5.0)], top_k=2, words=False)
    assert (names(near), names(far)) == (["tone_100.wav", "tone_1500.wav"], ["tone_1500.wav", "tone_100.wav"])


def test_not_like_that_pushes_down(engine: SearchEngine) -> None:
    both = ["low hum", "bell"]
    assert set(names(engine.search(both, top_k=2, words=False))) == {"tone_100.wav", "tone_1500.wav"}
    hits = engine.search(both, more=[Part("text", "low hum", -1.0)], top_k=6, words=False)
    assert names(hits)[0] == "tone_1500.wav"
    assert hits[0].match > 50
    assert next(h for h in hits if "100.wav" in h.path and "tone_100" in h.path).match < hits[0].match


def test_avoid_like_and_unlike_are_parts_with_the_default_weight(engine: SearchEngine, library: Path) -> None:
    bell = next(clip.clip_id for clip in engine.clips() if clip.path.endswith("tone_1500.wav"))
    hum = next(clip.clip_id for clip in engine.clips() if clip.path.endswith("tone_100.wav"))
    hiss = library / "tone_6000.wav"
    short = engine.search("low hum", like=[bell], avoid=["hiss", hiss], unlike=hum, words=False)
    parts = [
        Part("text", "low hum"),
        Part("clip", bell),
        Part("text", "hiss", -AVOID_WEIGHT),
        Part("audio", hiss, -AVOID_WEIGHT),
        Part("clip", hum, -AVOID_WEIGHT),
    ]
    assert short == engine.search(more=parts, words=False)
    assert names(short)[0] == "tone_1500.wav"
    assert names(engine.search(["low hum", "bell"], avoid="low hum", words=False))[0] == "tone_1500.wav"


def test_filters_hold(engine: SearchEngine) -> None:
    assert names(engine.search("anything", where="channels=2 and duration<1")) == ["DOORWood_High Creak_AB_Lib.flac"]
    assert engine.search("anything", where="tag=nowhere") == []
    with pytest.raises(ConfigError, match="filter"):
        engine.search("x", where="channels=")


def test_names_tags_and_captions_count(engine: SearchEngine) -> None:
    hits = engine.search("creaking doors creak", top_k=3)
    assert names(hits)[0] == "DOORWood_High Creak_AB_Lib.flac"
    assert hits[0].words == ("creak", "door")
    assert engine.search("creaking doors creak", top_k=3, words=False)[0].words == ()


def test_a_file_that_is_named_comes_first(library: Path) -> None:
    write_tone(library / "Low Hum 2.wav", 6000)
    write_tone(library / "low hum rumble.wav", 100)
    with make_engine(library) as engine:
        for asked in ("low hum 2", "Low Hum 2.wav", "/other/place/low_hum_2.wav", "DOORWood_High Creak_AB_Lib"):
            hits = engine.search(asked, top_k=3)
            assert names(hits)[0].lower().startswith(("low hum 2", "doorwood")), asked
        assert names(engine.search("low hum", top_k=1)) == ["low hum rumble.wav"]


def test_a_text_is_encoded_once(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine.search("a bell")
    monkeypatch.setattr(engine.encoder, "encode_text", lambda texts: 1 / 0)
    assert engine.search("a bell") == first
    with pytest.raises(ZeroDivisionError):
        engine.search("another bell")


def test_long_recordings_give_time_stamped_segments(tmp_path: Path) -> None:
    seconds = np.arange(60 * RATE_HZ) / RATE_HZ
    pitch = np.where((seconds >= 20) & (seconds < 40), 1500.0, 100.0)
    soundfile.write(tmp_path / "long.wav", 0.5 * np.sin(2 * np.pi * pitch * seconds), RATE_HZ)
    with make_engine(tmp_path) as engine:
        (bell,) = engine.search("bell", words=False)
        assert (bell.start_s, bell.end_s) == (20.0, 40.0)
        (hum,) = engine.search("low hum", words=False)
        assert [(s.start_s, s.end_s) for s in hum.segments] == [(0.0, 20.0), (40.0, 60.0)]


def test_segments_stay_inside_the_filter(tmp_path: Path) -> None:
    t = np.arange(60 * RATE_HZ) / RATE_HZ
    wave = 0.3 * np.sin(2 * np.pi * 100 * t)  # hums from beginning to end
    soundfile.write(tmp_path / "humming machine.wav", wave, RATE_HZ)
    write_tone(tmp_path / "bell.wav", 1500)
    with make_engine(tmp_path) as engine:
        for text in ("a hum", "humming machine"):  # found by its sound, found by its name
            (hit,) = engine.search(text, where="start>=20 and end<=50")
            assert [(s.start_s, s.end_s) for s in hit.segments] == [(20.0, 50.0)]
        (bell,) = engine.search("humming machine", where="not path~humming")
        assert bell.words == ()


def test_near_identical_takes_are_folded(library: Path) -> None:
    write_tone(library / "take2" / "tone_400_take2.wav", 400.2, level=0.4)
    with make_engine(library) as engine:
        hits = engine.search("400 hz", words=False)
        first = hits[0]
        assert {Path(first.path).name, Path(first.twins[0].path).name} == {"tone_400.wav", "tone_400_take2.wav"}
        unfolded = engine.search("400 hz", words=False, fold_twins=False)
        assert len(unfolded) == 7
        assert len(hits) + sum(len(h.twins) for h in hits) == 7


def test_sounds_that_a_poor_encoder_puts_together_are_no_twins() -> None:
    rng = np.random.default_rng(0)
    encoder = ToyEncoder()
    away = rng.standard_normal((40, encoder.embed_dim)).astype(np.float32)
    vectors = encoder.encode_text(["rain"]) + 0.01 * away  # cosines of 0.997 to 0.999
    vectors[1] = vectors[0] + 1e-4 * away[1]
    store = open_store("memory:", "w", Identity.of(encoder))
    store.add([Entry(f"{n:02d}", f"{n:02d}", vector) for n, vector in enumerate(vectors)])
    hits = SearchEngine(store, encoder).search("rain", top_k=40)
    assert len(hits) == 39
    assert [len(h.twins) for h in hits if h.clip_id in ("00", "01")] == [1]


def test_similar_leaves_the_clip_itself_out(engine: SearchEngine) -> None:
    clip = engine.search("3200 hz", top_k=1)[0].clip_id
    hits = engine.similar(clip, top_k=3)
    assert clip not in {h.clip_id for h in hits}
    assert names(hits)[0] == "DOORWood_High Creak_AB_Lib.flac"
    with pytest.raises(UnknownClipError, match="no clip"):
        engine.similar("nothing")


def test_many_queries_equal_single_ones(engine: SearchEngine) -> None:
    queries = [[Part("text", "low hum")], [Part("text", "bell"), Part("text", "hiss", -0.5)]]
    together = list(engine.search_many(queries, top_k=3))
    assert together == [engine.search(more=parts, top_k=3) for parts in queries]


def test_captions_describe_a_sound(library: Path) -> None:
    captions = {str(library / "tone_1500.wav"): ["a bell"], str(library / "tone_6000.wav"): ["a cricket", "some hiss"]}
    with make_engine(library, captions=captions) as engine:
        found = engine.captions(library / "tone_1500.wav", top_k=2)
        assert (found[0].caption, found[0].rank) == ("a bell", 1)
        assert found[0].score > found[1].score


def test_looking_at_clips(engine: SearchEngine) -> None:
    clips = engine.clips(limit=4)
    assert [c.clip_id for c in clips + engine.clips(offset=4)] == sorted(c.clip_id for c in engine.clips())
    assert engine.clip(clips[2].clip_id) == clips[2]
    assert engine.info()["clips"] == engine.info()["entries"] == 6
    assert len(engine.clips(where="format=flac")) == 1
    with pytest.raises(UnknownClipError, match="no clip"):
        engine.clip("nothing")


def test_hits_turn_into_json(engine: SearchEngine) -> None:
    import json

    value = json.loads(json.dumps(engine.search("bell", top_k=1)[0].to_json()))
    assert value["segments"][0]["start_s"] == 0.0
    assert value["metadata"]["channels"] == 1


def test_bad_questions_are_refused(engine: SearchEngine, tmp_path: Path) -> None:
    for bad in (
        lambda: engine.search(),
        lambda: engine.search(""),
        lambda: engine.search(more=[Part("text", "x", -1)]),
    ):
        with pytest.raises(ConfigError, match="query"):
            bad()
    with pytest.raises(ConfigError, match="top_k"):
        engine.search("x", top_k=0)
    with pytest.raises(AudioDecodeError):
        engine.search(audio=b"not a sound")
    with pytest.raises(AudioDecodeError):
        engine.search(audio=tmp_path / "missing.wav")


def test_weights_are_set_in_order() -> None:
    parts = weighted(make_parts(["a", "b"], avoid="c", avoid_weight=2.0), [0.5, 3.0])
    assert [(part.value, part.weight) for part in parts] == [("a", 0.5), ("b", 3.0), ("c", -2.0)]


def test_metadata_has_the_facts_and_no_bookkeeping(engine: SearchEngine) -> None:
    hit = engine.search("bell", top_k=1)[0]
    clip = engine.clip(hit.clip_id)
    assert hit.metadata == clip.metadata
    stored = {"duration_s", "sample_rate_hz", "channels", "format", "size_bytes", "modified_s"}
    assert set(hit.metadata) - {*MEASURED} == stored
    assert {"loudness_lufs", "peak_dbfs", "silence_share", "brightness_hz", "onsets"} <= set(hit.metadata)
    assert clip.windows == 1
    assert (
        clip.stamp is not None and clip.stamp.size_bytes == Path(hit.path).stat().st_size == hit.metadata["size_bytes"]
    )
    assert set(clip.to_json()) == {"clip_id", "path", "windows", "metadata"}


def test_another_encoder_is_refused(engine: SearchEngine) -> None:
    with pytest.raises(IndexStoreError, match="two encoders"):
        SearchEngine(engine.store, ToyEncoder(dim=8))


def test_an_empty_collection_finds_nothing() -> None:
    encoder = ToyEncoder()
    store = open_store("memory:", "w", Identity.of(encoder))
    assert SearchEngine(store, encoder).search("rain") == []
    store.add([Entry("a", "a", encoder.encode_text(["rain"])[0])])
    assert len(SearchEngine(store, encoder).search("rain")) == 1
