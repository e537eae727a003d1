"""The map: neighbours stay neighbours, the same collection has the same map, and it is kept until something changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.search import map as sound_map
from askaudio.search.engine import SearchEngine
from askaudio.search.map import SCALE, layout, map_of, regions


def clusters(each: int, count: int = 6, dim: int = 32) -> tuple[FloatArray, FloatArray]:
    """Unit vectors around some centres, and the number of each one's centre."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((count, dim))
    of = np.repeat(np.arange(count), each)
    rows = centres[of] + 0.25 * rng.standard_normal((len(of), dim))
    return normalise_rows(rows.astype(np.float32)), of


@pytest.mark.parametrize("each", [20, 300])
def test_neighbours_on_the_map_are_of_the_same_kind(each: int) -> None:
    """With 120 recordings all are landmarks; with 1800 two thirds are placed among them."""
    vectors, of = clusters(each)
    places = layout(vectors)
    assert places.shape == (len(of), 2)
    assert places.min() >= 0 and places.max() <= SCALE
    distances = ((places[:, None] - places[None]) ** 2).sum(axis=2).astype(float)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :5]
    assert (of[nearest] == of[:, None]).mean() > 0.97
    np.testing.assert_array_equal(layout(vectors), places)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 9])
def test_small_and_equal_collections_have_a_map(count: int) -> None:
    places = layout(np.tile(np.eye(8, dtype=np.float32)[:1], (count, 1)))
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_regions_are_named_by_what_is_special_in_them() -> None:
    vectors, of = clusters(40)
    places = layout(vectors)
    texts = tuple(f"kind {n}" for n in range(6))
    text_rows = normalise_rows(np.stack([vectors[of == n].mean(axis=0) for n in range(6)]))
    found = regions(places, vectors, texts, text_rows)
    assert len({label.text for label in found}) == len(found)
    for label in found:
        kinds = np.bincount(of[label.rows], minlength=6)
        assert f"kind {kinds.argmax()}" in texts
    assert found[0].rows and 0 <= found[0].x <= SCALE


def test_a_map_is_kept_beside_the_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = ToyEncoder()
    identity = Identity.of(encoder, "toy")
    rows = np.random.default_rng(1).standard_normal((30, encoder.embed_dim)).astype(np.float32)
    entries = [
        Entry(f"c{n:02d}#{w}", f"c{n:02d}", rows[n] + 0.01 * w, path=f"/s/{n}.wav") for n in range(30) for w in (0, 1)
    ]
    with open_store(tmp_path / "c", "w", identity) as store:
        store.add(entries)
        store.save()
    with SearchEngine.open(tmp_path / "c", encoder) as engine:
        first = map_of(engine)
        assert first.ids == [f"c{n:02d}" for n in range(30)]
    with monkeypatch.context() as patch:
        patch.setattr(sound_map, "layout", lambda vectors: pytest.fail("it is kept"))
        with SearchEngine.open(tmp_path / "c", encoder) as engine:
            np.testing.assert_array_equal(map_of(engine).x, first.x)
            assert map_of(engine) is map_of(engine)
    with open_store(tmp_path / "c", "w", identity) as store:
        store.delete("clip=c00")
        store.save()
    with SearchEngine.open(tmp_path / "c", encoder) as engine:
        assert len(map_of(engine).ids) == 29
