"""Proposals: category, key words, description and title of a recording, from its sound and the words of its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askaudio.core.names import readable
from askaudio.core.types import FloatArray, Json
from askaudio.ingest.ucs import read_ucs_name
from askaudio.tagging.categories import Category
from askaudio.tagging.zero_shot import ZeroShot

LEAST_SURE = 0.5  # probability from which a proposal counts as sure
_KEYWORDS = 4
_NEAR_BEST = 0.08  # a word counts if its cosine is at most this much below the best of its category
_EMPTY_WORDS = (  # they say nothing about the sound
    "a an and the of on in to with for from take takes final new old copy mix edit version untitled audio sound sounds "
    "sfx fx sample track rec recording file mono stereo left right loop wav mp3 flac ogg zoom tascam master"
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one file.

    Attributes:
        path: The file.
        category: The most probable category.
        probability: That the category is right; fitted to labelled recordings if ``calibrated``. Several may be right.
        alternatives: The next most probable categories with their probabilities.
        keywords: Lower case, the most certain first.
        description: One sentence without a full stop.
        title: For a UCS name; words of the present name where it has any.
        named: The file has a UCS name already: its category is that of the name.
        calibrated: The probability means what it says.
        least_sure: Probability from which the proposal counts as sure.
    """

    path: str
    category: Category
    probability: float
    alternatives: tuple[tuple[Category, float], ...]
    keywords: tuple[str, ...]
    description: str
    title: str
    named: bool = False
    calibrated: bool = True
    least_sure: float = LEAST_SURE

    @property
    def sure(self) -> bool:
        """Whether the proposal should be applied without a look at it."""
        return self.named or self.probability >= self.least_sure

    def to_json(self) -> Json:
        """JSON-able."""
        return {
            "path": self.path, "cat_id": self.category.cat_id, "category": self.category.category,
            "subcategory": self.category.subcategory, "probability": round(self.probability, 3), "sure": self.sure,
            "calibrated": self.calibrated, "named": self.named,
            "alternatives": [{"cat_id": c.cat_id, "probability": round(p, 3)} for c, p in self.alternatives],
            "keywords": list(self.keywords), "description": self.description, "title": self.title,
        }  # fmt: skip


def words_of_name(path: str) -> str:
    """The words of a file's name that may say something about its sound; empty for ``ZOOM0012``."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", readable(Path(path).stem))
    words = [word for word in re.findall(r"[^\W\d_]{2,}", stem) if word.lower() not in _EMPTY_WORDS.split()]
    return " ".join(words).lower() if any(len(word) > 2 for word in words) else ""


def propose(
    zero_shot: ZeroShot,
    paths: Sequence[str],
    vectors: FloatArray,
    least_sure: float = LEAST_SURE,
    use_names: bool = True,
    alternatives: int = 2,
) -> list[Proposal]:
    """Proposals for some files.

    Args:
        zero_shot: Classifier of the model that made the vectors.
        paths: N files.
        vectors: (N, D), one of each file, of length 1.
        least_sure: Probability from which a proposal counts as sure.
        use_names: Also use the words of the names.
        alternatives: Number of further categories.
    """
    if not paths:
        return []
    names = [words_of_name(path) if use_names else "" for path in paths]
    found = []
    for path, name, vector, row in zip(
        paths, names, vectors, zero_shot.probabilities(vectors, names), strict=True
    ):  # fmt: skip
        order = np.argsort(-row, kind="stable")[: alternatives + 1]
        ranked = [(zero_shot.categories[k], float(row[k])) for k in order]
        (category, probability), named = ranked[0], False
        known = read_ucs_name(readable(Path(path).stem)).get("cat_id")
        mine = next((one for one in zero_shot.categories if one.cat_id == known), None)
        if mine is not None:
            category, probability, named = mine, 1.0, True
        others = tuple(pair for pair in ranked if pair[0] is not category)[:alternatives]
        keywords = _keywords(zero_shot, category, vector, name)
        found.append(
            Proposal(
                path, category, probability, others, keywords, _description(category, keywords, name),
                _title(path, keywords, category), named, zero_shot.calibration.known, least_sure,
            )
        )  # fmt: skip
    return found


def _keywords(zero_shot: ZeroShot, category: Category, vector: FloatArray, name: str) -> tuple[str, ...]:
    ranked = zero_shot.ranked_words(category, vector)
    near = [word for word, cosine in ranked if cosine >= ranked[0][1] - _NEAR_BEST][:_KEYWORDS]
    own = [word for word in name.split() if len(word) > 2][:_KEYWORDS]
    general = [category.category, *([] if category.subcategory in ("misc", "general") else [category.subcategory])]
    return tuple(dict.fromkeys([*own, *near, *general]))


def _description(category: Category, keywords: tuple[str, ...], name: str) -> str:
    """The words of the name, if it has any, then what kind of sound it is."""
    said = [word for word in keywords if word not in name.split() and word not in (category.category,)]
    kind = ", ".join(said[:3]) or category.category
    first = name or category.category
    return f"{first[:1].upper()}{first[1:]}: {kind}"


def _title(path: str, keywords: tuple[str, ...], category: Category) -> str:
    """Words for a UCS name: no underscores, which separate its fields."""
    stem = readable(Path(path).stem)
    known = read_ucs_name(stem).get("title")
    words = re.sub(r"[\W_]+", " ", stem).strip() if words_of_name(path) else (keywords or (category.category,))[0]
    numbers = "" if words_of_name(path) else " " + "".join(re.findall(r"\d+", stem)[-1:])
    return str(known) if known else " ".join(word[:1].upper() + word[1:] for word in f"{words}{numbers}".split())
