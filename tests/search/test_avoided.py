"""``rain --not thunder``: the first hit never contradicts what is avoided, by its name or by its own sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.search.engine import SearchEngine
from askaudio.search.query import Part

TOY = ToyEncoder()
RATE = TOY.sample_rate_hz


def tone(hz: float, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    samples = 0.4 * np.sin(2 * np.pi * hz * np.arange(round(TOY.window_s * RATE)) / RATE)
    return (samples + noise * np.random.default_rng(seed).standard_normal(len(samples))).astype(np.float32)


def engine_of(sounds: dict[str, np.ndarray], **captions: str) -> SearchEngine:
    """Real vectors of the toy encoder, among twenty other sounds."""
    others = {f"other {n}.wav": tone(150 * 1.19**n, 0.3, n) for n in range(20)}
    store = open_store("memory:", "w", Identity.of(TOY, "toy"))
    for name, samples in {**others, **sounds}.items():
        facts = {"caption": captions[name.split(".")[0]]} if name.split(".")[0] in captions else {}
        store.add([Entry(f"{name}#0", name, TOY.encode_audio([samples])[0], 0, 1, f"/s/{name}", facts)])
    return SearchEngine(store, TOY)


def first(engine: SearchEngine, text: str, avoid: str | None = None, **options: object) -> str:
    return Path(engine.search(text, avoid=avoid, fold_twins=False, **options)[0].path).name  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["bell with thunder.wav", "Bell-Thunders_02.wav", "BELL_THUNDERING.wav"])
def test_a_name_that_contradicts_is_not_first(name: str) -> None:
    with engine_of({name: tone(1500), "a.wav": tone(1500, 0.2, 3)}) as engine:
        assert first(engine, "bell") == name
        assert first(engine, "bell", "thunder") == "a.wav"
        assert first(engine, "bell thunder", "thunder") == name  # sought and avoided: the words decide nothing


def test_a_caption_that_contradicts_is_not_first() -> None:
    with engine_of({"x.wav": tone(1500), "a.wav": tone(1500, 0.2, 3)}, x="a bell and some thunder") as engine:
        assert first(engine, "bell") == "x.wav"
        assert first(engine, "bell", "thunder") == "a.wav"


def test_a_sound_that_contradicts_its_name_is_not_first() -> None:
    """Called a bell, and sounds like a low hum."""
    with engine_of({"bell.wav": tone(100), "a.wav": tone(1500, 0.2, 3)}) as engine:
        assert first(engine, "bell") == "bell.wav"  # a file that is named comes first
        assert first(engine, "bell", "low hum") == "a.wav"


def test_a_small_weight_leaves_sounds_that_contradict_little() -> None:
    with engine_of({"bell ding.wav": tone(1500), "a.wav": tone(1500, 0.2, 3)}) as engine:
        hits = engine.search("bell", more=[Part("text", "white noise", -0.05)], fold_twins=False)
        assert Path(hits[0].path).name == "bell ding.wav"


def test_where_all_contradict_the_best_is_first() -> None:
    with engine_of({"bell thunder.wav": tone(1500)}) as engine:
        assert [Path(hit.path).name for hit in engine.search("bell", avoid="thunder", where="path~bell")] == [
            "bell thunder.wav"
        ]
