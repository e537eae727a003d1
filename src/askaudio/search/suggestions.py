"""Queries to suggest for a collection: those for which it has sounds that stand out, each different from the others.

Candidates are the categories of the Universal Category System in plain words ("door wood", "footstep human"). A
candidate is productive if some vectors of the collection stand out clearly for it, but not most of them. Of the
productive ones, those are chosen one by one whose best sounds the chosen ones do not have yet.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import Encoder
from askaudio.ingest.ucs import cat_ids
from askaudio.search.engine import SearchEngine
from askaudio.search.ranking import background_of

_SAMPLE = 4096  # vectors of the collection
_CLEAR_Z = 3.0  # as a match of 50
_MOST_SHARE = 0.25  # of the vectors: what fits more says nothing
_BEST = 12  # vectors that must differ between two suggestions
_ALIKE = 0.85  # cosine of two texts that say the same
_FEW = ("misc", "general", "archived", "designed", "user interface", "vocalization", "foley")

_texts: WeakKeyDictionary[Encoder, FloatArray] = WeakKeyDictionary()
_kept: WeakKeyDictionary[SearchEngine, tuple[str, int, list[str]]] = WeakKeyDictionary()
_lock = threading.Lock()


@lru_cache(1)
def candidates() -> tuple[str, ...]:
    """Texts such as "door wood", each once, in the order of the list."""
    found = []
    for category, part in cat_ids().values():
        if category in _FEW:
            continue
        one = category[:-1] if category.endswith("s") and not category.endswith(("ss", "us")) else category
        found.append(category if part in _FEW else one if part in one.split() else f"{one} {part}")
    return tuple(dict.fromkeys(found))


def suggest(engine: SearchEngine, limit: int = 8) -> list[str]:
    """Suggested queries, the most productive first; fewer than ``limit`` in a small collection.

    Args:
        engine: Open engine. The vectors of the candidates are kept for its encoder, the result for its version.
        limit: Most queries.
    """
    with _lock:
        version = engine.store.version()
        kept = _kept.get(engine)
        if kept is None or kept[:2] != (version, limit):
            vectors = engine.store.sample(_SAMPLE)
            found = choose(candidates(), text_vectors(engine.encoder), vectors, limit)
            kept = _kept[engine] = version, limit, found
        return list(kept[2])


def text_vectors(encoder: Encoder) -> FloatArray:
    """Vectors (T, D) of the candidates; kept for the encoder."""
    if encoder not in _texts:
        _texts[encoder] = encoder.encode_text(list(candidates()))
    return _texts[encoder]


def choose(texts: tuple[str, ...], text_rows: FloatArray, vectors: FloatArray, limit: int) -> list[str]:
    """Choose texts that are productive and distinct.

    Args:
        texts: T candidates.
        text_rows: (T, D) their vectors, of length 1.
        vectors: (M, D) of the collection, rows of length 1.
        limit: Most texts.
    """
    if not len(vectors):
        return []
    scores = text_rows @ vectors.T  # (T, M)
    productive: list[tuple[float, int, frozenset[int]]] = []
    for row, line in enumerate(scores):
        background = background_of(text_rows[row], vectors)
        z = (line - background.median) / background.spread
        clear = int((z >= _CLEAR_Z).sum())
        if not 0 < clear <= max(1.0, _MOST_SHARE * len(vectors)):
            continue
        order = np.argsort(-z, kind="stable")[: min(_BEST, clear)]
        productive.append((float(z[order[:3]].mean()), row, frozenset(order.tolist())))
    productive.sort(key=lambda one: (-one[0], one[1]))
    chosen: list[tuple[int, frozenset[int]]] = []
    for _, row, best in productive:
        if len(chosen) == limit:
            break
        same = any(2 * len(best & other) > min(len(best), len(other)) for _, other in chosen)
        alike = any(float(text_rows[row] @ text_rows[other]) > _ALIKE for other, _ in chosen)
        if not (same or alike):
            chosen.append((row, best))
    return [texts[row] for row, _ in chosen]
