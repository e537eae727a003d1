"""Addresses of collections: which engine, which folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from askaudio.core.errors import IndexStoreError
from askaudio.engines.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "kind", "folder", "engine"),
    [
        ("memory:", "memory", None, None),
        ("/a/b", "folder", Path("/a/b"), None),
        ("exact:/a/b", "folder", Path("/a/b"), "exact"),
        ("lance:a", "folder", Path("a"), "lance"),
        ("~/a", "folder", Path.home() / "a", None),
        ("a:b", "folder", Path("a:b"), None),
        ("s3://bucket/a", "objects", None, None),
        ("abfss://bucket/a", "objects", None, None),
        ("postgresql://me@host/db?collection=x", "postgres", None, None),
    ],
)
def test_addresses(text: str, kind: str, folder: Path | None, engine: str | None) -> None:
    assert parse_address(text) == Address(text, kind, folder, engine)  # type: ignore[arg-type]


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(IndexStoreError, match=r"(?s)ftp://x: no engine.*postgresql://"):
        parse_address("ftp://x")
