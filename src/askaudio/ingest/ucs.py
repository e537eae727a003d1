"""File names of the Universal Category System: ``DOORWood_Creaky Cellar Door_AB_MyLibrary_take3.wav``.

The name begins with a CatID, which means one category and subcategory of the published list (``ucs.tsv``): DOORWood is
doors, wood. Then follow the title, the creator and the source. Most CatIDs begin with a code of their category, but not
all do (SWSH is swooshes, swish), so a CatID is looked up as a whole. One that the list does not contain (a newer
version, a private extension) is read as the code of its category and an abbreviated subcategory.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from askaudio.core.types import Json

_ARCHIVED = "archived"  # its CatIDs (TEST, RAW, MIX) are ordinary words in capitals


@cache
def cat_ids() -> dict[str, tuple[str, str]]:
    """CatID -> (category, subcategory) of the whole published list, in lower case."""
    return {short + rest: (category, name) for category, short, parts in _rows() for name, rest in parts}


@cache
def _categories() -> dict[str, str]:
    """Code in capitals -> category."""
    return {short: category for category, short, _ in _rows() if short}


@cache
def _rows() -> list[tuple[str, str, list[tuple[str, str]]]]:
    text = files("askaudio.ingest").joinpath("ucs.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(category, short, [_pair(part) for part in parts.split(";")]) for category, short, parts in rows]


def _pair(part: str) -> tuple[str, str]:
    name, _, rest = part.partition("=")
    return name, rest


def read_ucs_name(stem: str) -> Json:
    """What a file name says by the rules of UCS.

    Args:
        stem: The name without folder and suffix.

    Returns:
        cat_id, category, subcategory, user_category, title, creator, library as far as they are there; empty when the
        name does not begin with a CatID.
    """
    fields = stem.split("_")
    cat_id, _, extra = fields[0].partition("-")
    found = cat_ids().get(cat_id) or _read_unlisted(cat_id)
    if found is None or len(fields) < (4 if found[0] == _ARCHIVED else 2) or not fields[1].strip():
        return {}
    facts = {
        "cat_id": cat_id,
        "category": found[0],
        "subcategory": found[1],
        "user_category": extra,
        "title": fields[1],
        "creator": fields[2] if len(fields) > 2 else "",
        "library": fields[3] if len(fields) > 3 else "",
    }
    return {key: text.strip() for key, text in facts.items() if text and text.strip()}


def _read_unlisted(cat_id: str) -> tuple[str, str] | None:
    """DOORVault -> (doors, vault): the longest known code in capitals, then one capitalised word."""
    for length in range(5, 1, -1):
        code, rest = cat_id[:length], cat_id[length:]
        if code in _categories() and re.fullmatch(r"[A-Z][a-z0-9]{1,9}", rest):
            return _categories()[code], rest.lower()
    return None
