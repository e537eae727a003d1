"""Collections of recordings that a shipped model has not been trained on, and which of them are right for a query.

``gallery("val")`` and ``gallery("test")`` share no recording. Each has the held-out groups of kitchen20, debian and
moodist (other recordings of these packs were in training), and street sounds of urbansound8k (a pack that no training
has used): at most ``STREET`` clips of each label, spread over recordings.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from vectors import Encoded, is_test, split_of, spread

from askaudio.data.manifest import Clip
from askaudio.encoders.encoder import Encoder
from askaudio.engines.exact import ExactStore
from askaudio.index.entries import Entry, Identity
from askaudio.search.engine import SearchEngine

HERE = Path(__file__).parent
STREET = 20


def words_of(clip: Clip) -> str:
    """What the word rule reads."""
    return (clip.captions[0].text if clip.captions else "") + " / " + clip.label


def gallery(everything: Encoded, name: str) -> Encoded:
    """The clips of "val" or "test", see above; "street" are all street clips of the test gallery's recordings."""
    split = split_of(everything.clips)
    half = np.array([is_test(clip) for clip in everything.clips])
    street = (split == "street") & (half == (name != "val"))
    if name == "street":
        return everything.where(street)
    return everything.where((split == name) | spread(everything.clips, street, STREET))


def queries() -> list[dict]:
    """The rows of ``queries.json``."""
    return json.loads((HERE / "queries.json").read_text(encoding="utf-8"))["queries"]


def relevance(rows: list[dict], clips: list[Clip]) -> np.ndarray:
    """(Q, N) whether a clip is right for a query, by the rule in ``queries.json``."""
    rules = [(_pattern(row["any"]), _pattern(row.get("not", []))) for row in rows]
    texts = [words_of(clip) for clip in clips]
    return np.array([[bool(of.search(t)) and not no.search(t) for t in texts] for of, no in rules])


def _pattern(words: list[str]) -> re.Pattern[str]:
    each = (re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "") for word in words)
    return re.compile("|".join(rf"(?<!\w){word}(?!\w)" for word in each) or "(?!)", re.IGNORECASE)


def engine_of(some: Encoded, encoder: Encoder) -> SearchEngine:
    """A search engine over a gallery, as ``askaudio search`` would open it; its clips have no names or captions."""
    store = ExactStore(Identity.of(encoder))
    turn: dict[int, int] = {}
    entries = []
    for vector, number in zip(some.vectors, some.owner.tolist(), strict=True):
        window = turn[number] = turn.get(number, -1) + 1
        start = window * encoder.hop_s
        clip_id = some.clips[number].clip_id
        entries.append(Entry(f"{clip_id}#{window}", clip_id, vector, start, start + encoder.window_s, clip_id))
    store.add(entries)
    return SearchEngine(store, encoder)
