"""Words of names, tags and captions, and how well a query's words match them.

The score of a recording is the share of the query's weight that it carries, each word weighing log(1 + N / n) for N
recordings of which n have it: a rare word counts more. Only whole words match, so "wind" does not find "window".
A recording whose file name says exactly what the query says comes before all others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import log
from pathlib import PurePath
from typing import Any

# facts that hold words a person may search for
WORD_FIELDS = ("tags", "caption", "captions", "title", "description", "comment", "category", "subcategory", "label")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "of",
        "off",
        "on",
        "or",
        "out",
        "over",
        "some",
        "the",
        "to",
        "up",
        "with",
    ]
)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class WordMatch:
    """A recording that carries words of the query.

    Attributes:
        clip_id: The recording.
        score: Its share of the query's weight, in (0, 1].
        words: Those that it carries, in the order of the query.
        named: Whether the query is the name of its file.
    """

    clip_id: str
    score: float
    words: tuple[str, ...]
    named: bool = False


def split_words(text: str) -> list[str]:
    """Lower-case words in order, camelCase parted, plurals stripped, words like "the" left out."""
    return [_stem(w) for w in _WORD.findall(_CAMEL.sub(" ", text).lower()) if w not in _STOP]


def _stem(word: str) -> str:
    """Strip the plural: growls -> growl, glasses -> glass; -ss, -us, -is and short words stay."""
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def words_of(path: str, metadata: Mapping[str, Any]) -> set[str]:
    """All words of a recording: of its file name, tags, captions and titles (folders are left out: too general)."""
    texts = [PurePath(path).stem]
    for name in WORD_FIELDS:
        value = metadata.get(name)
        texts += [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)] if value else []
    return {word for text in texts for word in split_words(text)}


def name_of(path: str) -> str:
    """The words of a file's name in order, as one text: ``/a/DoorSlam_02.wav`` -> ``door slam 02``."""
    return " ".join(split_words(PurePath(path).stem))


def names_asked(text: str) -> list[str]:
    """What ``name_of`` gives for the files that a query may name: as it stands, or with a folder and a suffix."""
    return sorted({" ".join(split_words(text)), name_of(text)} - {""})


def word_weight(total: int, having: int) -> float:
    """Weight of a word that ``having`` of ``total`` recordings carry."""
    return log(1.0 + total / max(having, 1))


def gather_words(rows: Iterable[tuple[str, Iterable[str]]]) -> dict[str, set[str]]:
    """(clip_id, words) of several docs -> clip_id -> all words of its docs."""
    carried: dict[str, set[str]] = {}
    for clip_id, words in rows:
        carried.setdefault(clip_id, set()).update(words)
    return carried


def rank_words(
    found: Mapping[str, Collection[str]], having: Mapping[str, int], total: int, top_k: int, named: Collection[str] = ()
) -> list[WordMatch]:
    """Order recordings by the weight of the words they carry, those whose name was asked for first.

    Args:
        found: clip_id -> words that it carries, the query's among them.
        having: Each word of the query, in its order -> number of recordings that carry it.
        total: Number of recordings.
        top_k: How many to return.
        named: clip_ids whose file name is the query.
    """
    weights = {word: word_weight(total, count) for word, count in having.items()}
    whole = sum(weights.values())
    matches = [
        WordMatch(clip, sum(weights[w] for w in asked) / whole, tuple(asked), clip in named)
        for clip, words in found.items()
        if (asked := [w for w in weights if w in words])
    ]
    return sorted(matches, key=lambda m: (not m.named, -m.score, m.clip_id))[:top_k]
