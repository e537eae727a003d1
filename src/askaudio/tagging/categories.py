"""The categories of UCS with what people say for them (``ucs_words.tsv``): prompts and key words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from askaudio.ingest.ucs import cat_ids

# an archive of unfinished work, and a second id of EQUIPSprt: no sound is of this kind by its content
_LEFT_OUT = frozenset({"ASSET", "BNCE", "IR", "MIX", "PFX", "RAW", "REF", "SCNE", "TMARK", "WIP", "WTF", "EQUISprt"})


@dataclass(frozen=True, slots=True)
class Category:
    """One category of UCS.

    Attributes:
        cat_id: DOORWood.
        category: doors.
        subcategory: wood.
        words: What people say for it, the most usual first.
    """

    cat_id: str
    category: str
    subcategory: str
    words: tuple[str, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        """Texts whose vectors stand for the category."""
        if self.subcategory in ("misc", "general"):
            return (*self.words, self.category)
        return (*self.words, f"{self.category} {self.subcategory}")


@cache
def categories() -> tuple[Category, ...]:
    """All categories that a sound can have, in the order of the list."""
    text = files("askaudio.tagging").joinpath("ucs_words.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    words = {cat_id: tuple(said.split(";")) for cat_id, said in rows}
    return tuple(
        Category(cat_id, category, subcategory, words.get(cat_id, ()))
        for cat_id, (category, subcategory) in cat_ids().items()
        if cat_id not in _LEFT_OUT
    )


@cache
def category_of(cat_id: str) -> Category | None:
    """The category of an id; None for an unknown one."""
    return next((one for one in categories() if one.cat_id == cat_id), None)
