"""Columns of texts: places in a sorted column are those of Python's own order."""

from __future__ import annotations

import random
from bisect import bisect_left

from askaudio.engines.local.strings import StringColumn

LETTERS = ["a", "b", "é", "\udc80", "\uffff", "\U0001f600", "0", ""]


def some_text(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(30)))


def test_places_and_prefixes_in_any_script() -> None:
    rng = random.Random(1)
    texts = sorted({some_text(rng) for _ in range(2000)} | {"0" * 16 + f"{k:04d}" for k in range(50)})
    column = StringColumn.of(texts)
    assert list(column) == column.take(range(len(texts))) == texts
    for asked in [*texts[::5], *(some_text(rng) for _ in range(500))]:
        assert column.place(asked) == bisect_left(texts, asked)
        assert column.find(asked) == (texts.index(asked) if asked in texts else -1)
    for prefix in ("", "a", "aé", "0" * 16, "0" * 17):
        assert [texts[k] for k in column.with_prefix(prefix)] == [t for t in texts if t.startswith(prefix)]


def test_an_empty_column() -> None:
    assert StringColumn.of([]).place("x") == 0
    assert StringColumn.of([]).find("x") == -1
