"""Suggested queries: only for sounds that the collection has, each for others, and the same each time."""

from __future__ import annotations

import numpy as np

from askaudio.core.functional import normalise_rows
from askaudio.search.suggestions import candidates, choose


def test_candidates_are_plain_words_each_once() -> None:
    texts = candidates()
    assert len(texts) == len(set(texts)) > 500
    assert "door wood" in texts and "birds" in texts
    assert not any("misc" in text for text in texts)


def test_productive_and_distinct_texts_are_chosen() -> None:
    """Two kinds of sounds among noise: the text of each is suggested, a synonym and a text without sounds are not."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((200, 64))
    rain, dog, ship = np.eye(64)[:3] * 8
    vectors = noise.copy()
    vectors[:12] += rain
    vectors[12:20] += dog
    vectors = normalise_rows(vectors.astype(np.float32))
    rows = normalise_rows(np.stack([rain, rain + 0.1 * dog, dog, ship, rain + dog + ship]).astype(np.float32))
    texts = ("rain", "drizzle", "dog", "ship", "all")
    found = choose(texts, rows, vectors, 8)
    assert set(found) >= {"rain", "dog"} or set(found) >= {"drizzle", "dog"}
    assert "ship" not in found and not {"rain", "drizzle"} <= set(found)
    assert choose(texts, rows, vectors, 1) == found[:1]
    assert choose(texts, rows, vectors, 8) == found
    assert choose(texts, rows, np.zeros((0, 64), np.float32), 8) == []
