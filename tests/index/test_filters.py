"""Filters: what they mean, what they refuse, and that no value can become part of an SQL text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.core.errors import ConfigError
from askaudio.engines.local.columns import Columns
from askaudio.index.filters import All, Any_, Compare, Filter, Not, clips_are, holds, parse_filter, terms_of
from askaudio.index.sql import lance_sql, postgres_sql
from stored_entries import DIM, make_entries

ENTRIES = make_entries(60)
TABLE = Columns.of(ENTRIES, [1] * len(ENTRIES), DIM)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        (" ", None),
        ("duration<3", Compare("duration_s", "<", (3.0,))),
        ("Tag = RAIN", Compare("tags", "=", ("rain",))),
        ("a==b", Compare("a", "=", ("b",))),
        ("clip_id=Ab", Compare("clip_id", "=", ("Ab",))),
        ('name ~ "a \\"b\\""', Compare("name", "~", ('a "b"',))),
        ("rate in (44100, 48000)", Compare("sample_rate_hz", "in", (44100.0, 48000.0))),
        ("a=1 or b=2 and not c=3", Any_((
            Compare("a", "=", ("1",)), All((Compare("b", "=", ("2",)), Not(Compare("c", "=", ("3",))))),
        ))),
        ("(a=1 or b=2) and c!=3", All((
            Any_((Compare("a", "=", ("1",)), Compare("b", "=", ("2",)))), Compare("c", "!=", ("3",)),
        ))),
    ],
)  # fmt: skip
def test_reading(text: str, tree: Filter | None) -> None:
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("duration", "its end"),
        ("duration<", "its end"),
        ("duration<x", "is a number"),
        ("duration~3", "is a number"),
        ("tag<3", "does not compare by size"),
        ("clip_id~x", "only =, != and in"),
        ("tag=a tag=b", "after its end"),
        ("(tag=a", "bracket"),
        ("tag in a", "list in brackets"),
        ("tag in (a", "its end"),
        ('tag="a', "cannot read"),
        ("=3", "word"),
        ("tag=a and", "its end"),
        ("a;b=1", "no field name"),
        ("(" * 5000 + "a=1", "deeply"),
    ],
)
def test_refusing(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_filter(text)


def test_missing_facts_are_false_and_not_turns_that_round() -> None:
    entry = ENTRIES[3]
    assert "rate" not in entry.metadata
    for text, value in (("rate=5", False), ("rate!=5", True), ("not rate<5", True), ("x=1", False), ("x!=1", True)):
        assert holds(parse_filter(text), entry) is value, text


VALUES = st.sampled_from(
    ["rain", "wind", "kit 1", "o'brien [2]", "%", "_", "\\", "'; DROP TABLE x; --", "", "1", "a\nb"]
)
LEAVES = st.one_of(
    st.builds(
        lambda f, op, v: Compare(f, op, (v,)),
        st.sampled_from(["duration_s", "channels", "start_s", "end_s", "sample_rate_hz"]),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]),
    ),
    st.builds(
        lambda f, op, v: Compare(f, op, (" ".join(v.split()),)),
        st.sampled_from(["tags", "artist", "path", "nothing"]),
        st.sampled_from(["=", "!=", "~", "in"]),
        VALUES,
    ),
    st.builds(lambda c: clips_are(c), st.lists(st.sampled_from(["c0001", "c0007", "x"]), min_size=1)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Any_(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_the_mask_of_a_table_means_the_same(tree: Filter) -> None:
    order = sorted(ENTRIES, key=lambda e: e.entry_id)
    assert TABLE.mask(tree).tolist() == [holds(tree, entry) for entry in order]


def test_values_never_become_sql() -> None:
    hostile = "x' OR 1=1; DROP TABLE entries; --"
    tree = All((Compare("tags", "=", (hostile,)), Compare("artist", "~", (hostile,)), clips_are([hostile])))
    sql, values = postgres_sql(tree)
    assert "DROP" not in sql
    assert sum(hostile in str(v) for v in values) == 3
    quoted = lance_sql(tree)
    outside = "".join(quoted.replace("''", "").split("'")[::2])
    assert "DROP" not in outside


def test_terms_hold_texts_and_lists_but_no_numbers() -> None:
    terms = terms_of("/A/b.WAV", {"tags": ["Rain", "  two  words "], "duration_s": 3, "take": 3.0, "loop": True})
    assert terms == {"path=/a/b.wav", "tags=rain", "tags=two words", "take=3", "loop=true"}
