"""Stamps and the other bookkeeping of stored metadata: read as it was written, apart from the facts."""

from __future__ import annotations

import pytest

from askaudio.index.bookkeeping import Bookkeeping, Stamp, public_metadata


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (Stamp(960_044, 1_700_000_000_123_456_789), "960044:1700000000123456789/"),
        (Stamp(1, 2, 3), "1:2/3"),
        (Stamp(1, 2, None, "abc"), "1:2/|abc"),
        (Stamp(1, 2, 3, "abc"), "1:2/3|abc"),
    ],
)
def test_a_stamp_is_stored_as_in_older_collections(stamp: Stamp, text: str) -> None:
    assert str(stamp) == text
    assert Stamp.parse(text) == stamp


@pytest.mark.parametrize("text", ["", "1", "x:y/z", "1:2/x", None, 7])
def test_what_is_no_stamp_gives_none(text: object) -> None:
    assert Stamp.parse(text) is None


def test_bookkeeping_is_apart_from_the_facts() -> None:
    noted = Bookkeeping(3, Stamp(1, 2), "ff")
    stored = {"duration_s": 2.0, **noted.to_metadata(), "tags": ["rain"]}
    assert stored["stamp"] == "1:2/"
    assert Bookkeeping.of(stored) == noted
    assert public_metadata(stored) == {"duration_s": 2.0, "tags": ["rain"]}
    assert Bookkeeping.of({}) == Bookkeeping()
