"""Moments of hits, and queries by a stretch of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import ConfigError, UnknownClipError
from askaudio.search.engine import SearchEngine
from askaudio.search.query import Part, make_parts, read_stretch_text

RATE_HZ = 16_000


def wave(*tones: tuple[float, float]) -> np.ndarray:
    """Tones one after the other: (Hz, seconds); 0 Hz is silence."""
    pieces = [0.5 * np.sin(2 * np.pi * hz * np.arange(round(s * RATE_HZ)) / RATE_HZ) for hz, s in tones]
    return np.concatenate(pieces)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SearchEngine]:
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "long.wav", wave((100, 62), (900, 3), (100, 55)), RATE_HZ)
    soundfile.write(folder / "short.wav", wave((3200, 4)), RATE_HZ)
    soundfile.write(folder / "two.flac", wave((0, 2), (900, 1), (0, 6), (900, 1.5), (0, 4)), RATE_HZ)
    with SearchEngine.build(folder, "memory:", "toy") as built:
        yield built


def id_of(engine: SearchEngine, name: str) -> str:
    return next(clip.clip_id for clip in engine.clips() if clip.path.endswith(name))


def test_hits_have_moments_when_a_search_asks_for_them(engine: SearchEngine) -> None:
    assert all(not hit.moments for hit in engine.search("900 Hz"))
    hit = next(hit for hit in engine.search("900 Hz", moments=True) if hit.path.endswith("long.wav"))
    assert hit.moments[0].start_s == pytest.approx(62, abs=0.3) and hit.moments[0].end_s == pytest.approx(65, abs=0.3)
    assert hit.to_json()["moments"][0]["start_s"] == pytest.approx(62, abs=0.3)


def test_all_moments_of_a_recording(engine: SearchEngine) -> None:
    (clip,) = engine.moments([id_of(engine, "two.flac")], "900 Hz", longest_s=20)
    first, second = sorted(clip.moments, key=lambda m: m.start_s)
    assert (first.start_s, first.end_s) == pytest.approx((2, 3), abs=0.2)
    assert (second.start_s, second.end_s) == pytest.approx((9, 10.5), abs=0.2)
    assert clip.examined == ((0.0, 14.5),) and clip.reason == ""
    assert len(clip.curve.times_s) == len(clip.curve.scores) > 20


def test_moments_by_a_sound_equal_those_by_its_words(engine: SearchEngine, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "query.wav", wave((900, 1)), RATE_HZ)
    (clip,) = engine.moments([id_of(engine, "long.wav")], audio=tmp_path / "query.wav")
    assert clip.moments[0].start_s == pytest.approx(62, abs=0.3)


def test_a_file_that_is_gone_has_a_reason(engine: SearchEngine) -> None:
    path = Path(engine.clip(id_of(engine, "short.wav")).path)
    path.unlink()
    (clip,) = engine.moments([id_of(engine, "short.wav")], "3200 Hz")
    assert clip.moments == () and "no such file" in clip.reason
    assert clip.to_json()["curve"] == {"times_s": [], "scores": []}


def test_unknown_clips_and_empty_queries_are_errors(engine: SearchEngine) -> None:
    with pytest.raises(UnknownClipError):
        engine.moments(["nothing"], "rain")
    with pytest.raises(ConfigError, match="words or a sound"):
        engine.moments([id_of(engine, "short.wav")])


def test_a_stretch_of_a_file_or_a_clip_is_a_query(engine: SearchEngine) -> None:
    long = engine.clip(id_of(engine, "long.wav"))
    assert not engine.search(audio=long.path)[0].path.endswith("two.flac")
    for query in (
        {"audio": f"{long.path}@62.5-64.5"},
        {"like": f"{long.clip_id}@1:02.5-1:04.5"},
        {"more": [Part("clip", long.clip_id, start_s=62.5, end_s=64.5)]},
    ):
        best = engine.search(**query)[0]
        assert best.path.endswith("two.flac") and best.score > 0.6
    assert engine.search(more=[Part("audio", long.path, start_s=117.0)])[0].path.endswith("long.wav")


def test_stretches_are_read_from_texts(tmp_path: Path) -> None:
    assert read_stretch_text("a@b.wav@1:02-3:04.5") == ("a@b.wav", 62.0, 184.5)
    file = tmp_path / "take@1-2"
    file.write_bytes(b"x")
    assert make_parts(audio=str(file))[0] == Part("audio", str(file))  # a file of exactly this name is taken whole
    with pytest.raises(ConfigError, match="0 <= start < end"):
        make_parts(like="clip@5-2")
