"""Measured facts in a collection: stored, filtered, filled in without encoding, and never in the way of an update."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from askaudio.engines.open import open_store
from askaudio.index import words
from askaudio.index.bookkeeping import public_metadata
from askaudio.index.entries import Identity
from askaudio.index.store import VectorStore
from askaudio.ingest.encode_file import Task, crashed, encode_task
from askaudio.ingest.update import ingest
from askaudio.measurements import meter
from counting_encoder import CountingEncoder
from store_fixtures import database  # noqa: F401
from tones import write_tone

OLD_NUMBERS = ("duration_s", "sample_rate_hz", "channels", "bits", "size_bytes", "modified_s")


def old_version(patch: pytest.MonkeyPatch) -> None:
    """Write collections as a version did that measured nothing."""
    patch.setattr("askaudio.ingest.encode_file.RULES", 0)
    patch.setattr("askaudio.ingest.encode_file.Meter.facts", lambda self: {})
    for module in ("lance_table", "local.columns", "postgres"):
        patch.setattr(f"askaudio.engines.{module}.DOC_NUMBERS", OLD_NUMBERS)
    patch.setattr("askaudio.engines.lance_table.MEASURED", ())
    patch.setattr("askaudio.engines.postgres.MEASURED", ())
    patch.setattr("askaudio.engines.postgres._COLUMNS", (
        "entry_id", "clip_id", "doc", "start_s", "end_s", *OLD_NUMBERS, "terms", "words", "embedding", "checksum",
    ))  # fmt: skip
    patch.setattr("askaudio.engines.local.cache.RULES", words.RULES - 1)
    patch.setattr("askaudio.engines.postgres._RULES", "older")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    write_tone(tmp_path / "sounds" / "loud.wav", 1000, 2.0, level=0.5)
    write_tone(tmp_path / "sounds" / "quiet.wav", 400, 25.0, level=0.01)
    write_tone(tmp_path / "sounds" / "silent.wav", 400, 1.0, level=0.0)
    return tmp_path / "sounds"


def names(store: VectorStore, where: str) -> list[str]:
    return sorted(Path(clip.path).stem for clip in store.clips(where))


def test_indexing_stores_facts_and_filters_find_them(
    sounds: Path, store: VectorStore, encoder: CountingEncoder
) -> None:
    ingest([sounds], store, encoder)
    (loud,) = store.clips("path~loud")
    facts = public_metadata(loud.metadata)
    assert {name: facts.get(name) for name in meter.FACTS} == {
        "loudness_lufs": -9.0, "peak_dbfs": -6.0, "silence_share": 0.0, "brightness_hz": 1000.0, "pitch_hz": 999.9,
        "onsets": 1, "tempo_bpm": None,
    }  # fmt: skip
    assert "measured" not in facts
    assert names(store, "loudness<-30") == ["quiet"]
    assert names(store, "loudness>-10LUFS and peak<=-6dB") == ["loud"]
    assert names(store, "silence>=90%") == names(store, "peak<-100") == ["silent"]
    assert names(store, "pitch>380 and pitch<420Hz") == ["quiet"]
    assert names(store, "brightness>0.9k and onsets=1") == ["loud"]


@pytest.mark.parametrize("engine", ["lance", "postgres", "exact"])
def test_a_collection_of_an_older_version_opens_and_is_filled_in_without_encoding(
    engine: str, sounds: Path, tmp_path: Path, encoder: CountingEncoder, request: pytest.FixtureRequest
) -> None:
    url = f"{engine}:{tmp_path / 'collection'}"
    if engine == "postgres":
        address = request.getfixturevalue("database")
        url = f"{address}{'&' if '?' in address else '?'}collection=unmeasured"
    identity = Identity.of(encoder, "toy")
    with pytest.MonkeyPatch.context() as patch:
        old_version(patch)
        with open_store(url, "w", identity) as store:
            ingest([sounds], store, encoder)
    with open_store(url) as store:
        assert names(store, "duration<10") == ["loud", "silent"]
        assert names(store, "loudness<0") == []
        assert names(store, "not loudness<0 and channels=1") == ["loud", "quiet", "silent"]
        before = {entry.entry_id: entry.vector for entry in store.iterate()}
    calls = encoder.calls
    with open_store(url, "w", identity) as store:
        report = ingest([sounds], store, encoder)
        assert (report.unchanged, report.measured, report.added, report.changed) == (3, 3, 0, 0)
        assert (encoder.calls, report.audio_s) == (calls, 0.0)
        assert names(store, "loudness<-30") == ["quiet"]
    with open_store(url) as store:
        assert names(store, "loudness>-10 and pitch>900") == ["loud"]
        after = {entry.entry_id: entry.vector for entry in store.iterate()}
        assert [row.fault for row in store.audit()] == [""] * len(after)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    with open_store(url, "w", identity) as store:
        assert ingest([sounds], store, encoder).measured == 0


def test_new_rules_replace_the_facts_also_of_files_with_a_new_time(
    sounds: Path, store: VectorStore, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([sounds], store, encoder)
    calls = encoder.calls
    os.utime(sounds / "loud.wav", (1, 1))
    for module in ("known", "encode_file"):
        monkeypatch.setattr(f"askaudio.ingest.{module}.RULES", 99)
    monkeypatch.setattr(meter.Meter, "facts", lambda self: {"onsets": 42})
    report = ingest([sounds], store, encoder)
    assert (report.unchanged, report.measured, encoder.calls) == (3, 3, calls)
    assert names(store, "onsets=42") == ["loud", "quiet", "silent"]
    assert names(store, "loudness<0") == []
    (loud,) = store.clips("path~loud")
    assert loud.metadata["modified_s"] != 1 or loud.metadata["stamp"].endswith(":1000000000/")


def test_a_moved_file_keeps_its_facts(sounds: Path, store: VectorStore, encoder: CountingEncoder) -> None:
    ingest([sounds], store, encoder)
    (sounds / "loud.wav").rename(sounds / "renamed.wav")
    report = ingest([sounds], store, encoder)
    assert (report.renamed, report.measured) == (1, 0)
    assert names(store, "loudness>-10") == ["renamed"]


def test_a_file_that_cannot_be_measured_is_not_tried_again(tmp_path: Path, encoder: CountingEncoder) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for sound in (
        encode_task(encoder, Task(str(tmp_path / "text.wav"), measure=True)),
        crashed(Task("x", measure=True)),
    ):
        assert (sound.measured, sound.metadata, sound.reason) == (True, {"measured": meter.RULES}, "")
