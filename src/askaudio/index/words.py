"""Words of names, tags and captions, and how well a query's words match them.

Each word of a query has the weight log(1 + N / n) for N recordings of which n carry it, so a rare word counts more. The
score of a recording is the weight of the words it carries, divided by the weight of all words of the query. Only whole
words match: "wind" does not find "window". Recordings whose file name equals the query come before all others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import log
from pathlib import PurePath
from typing import Any

# metadata keys whose text a person may search for
WORD_FIELDS = ("tags", "caption", "captions", "title", "description", "comment", "category", "subcategory", "label")
_STOP = frozenset(
    "a an and are as at by for from in into is it of off on or out over some the to up with".split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class WordMatch:
    """A recording that carries words of the query.

    Attributes:
        clip_id: The recording.
        score: Weight of the words it carries, as a share of the query's weight, in (0, 1].
        words: Words of the query that it carries, in the order of the query.
        named: Whether the query is the name of its file.
    """

    clip_id: str
    score: float
    words: tuple[str, ...]
    named: bool = False


def split_words(text: str) -> list[str]:
    """Words in order: lower case, camelCase split, plural endings removed, words like "the" left out."""
    return [_stem(w) for w in _WORD.findall(_CAMEL.sub(" ", text).lower()) if w not in _STOP]


def _stem(word: str) -> str:
    """Remove the plural ending: growls -> growl, glasses -> glass; -ss, -us, -is and short words do not change."""
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def words_of(path: str, metadata: Mapping[str, Any]) -> set[str]:
    """All words of a recording: its file name, tags, captions and titles. Folder names are too general and left out."""
    texts = [PurePath(path).stem]
    for name in WORD_FIELDS:
        value = metadata.get(name)
        texts += [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)] if value else []
    return {word for text in texts for word in split_words(text)}


def name_of(path: str) -> str:
    """The words of a file's name in order, as one text: ``/a/DoorSlam_02.wav`` -> ``door slam 02``."""
    return " ".join(split_words(PurePath(path).stem))


def possible_names(text: str) -> list[str]:
    """``name_of`` of the files that a query may mean: the query as a name, or as a path with folder and suffix."""
    return sorted({" ".join(split_words(text)), name_of(text)} - {""})


def word_weight(total: int, having: int) -> float:
    """Weight of a word that ``having`` of ``total`` recordings carry."""
    return log(1.0 + total / max(having, 1))


def gather_words(rows: Iterable[tuple[str, Iterable[str]]]) -> dict[str, set[str]]:
    """Merge pairs (clip_id, words): a recording has several when its entries differ in path or metadata."""
    carried: dict[str, set[str]] = {}
    for clip_id, words in rows:
        carried.setdefault(clip_id, set()).update(words)
    return carried


def rank_words(
    found: Mapping[str, Collection[str]],
    having: Mapping[str, int],
    *,
    total: int,
    top_k: int,
    named: Collection[str],
) -> list[WordMatch]:
    """Order recordings by the weight of the words they carry; those in ``named`` come first.

    Args:
        found: clip_id -> words that it carries; words that are not in the query are ignored.
        having: Each word of the query, in its order -> number of recordings that carry it.
        total: Number of recordings in the store.
        top_k: Largest number of matches.
        named: clip_ids whose file name is the query.
    """
    weights = {word: word_weight(total, count) for word, count in having.items()}
    whole = sum(weights.values())
    matches = [
        WordMatch(clip, sum(weights[w] for w in shared) / whole, tuple(shared), clip in named)
        for clip, words in found.items()
        if (shared := [w for w in weights if w in words])
    ]
    return sorted(matches, key=lambda m: (not m.named, -m.score, m.clip_id))[:top_k]
