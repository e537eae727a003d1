"""Words of names and metadata, and how well a query's words match them.

Texts are compared in one form: Unicode NFKC, case folded, split at blanks, hyphens, underscores, digits and camelCase,
and reduced to stems (``stems.py``), so "raining" finds "Rainy_Roof-02". Scripts that put no blanks between words (Han,
kana, Hangul, Thai, ...) have no words to split: there, a word of the query matches inside of a longer run, too.
Otherwise only whole words match: "wind" does not find "window".

Each word of a query has the weight log(1 + N / n) for N recordings of which n carry it, so a rare word counts more. The
score of a recording is the weight of the words it carries, divided by the weight of all words of the query. Recordings
whose file name equals the query come before all others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import PurePath
from typing import Any

from askaudio.index.filters import NUMBERS, unicode_text
from askaudio.index.stems import stem

# Engines keep words and terms of filters (``filters.terms_of``) in indexes, and numbers (``filters.DOC_NUMBERS``) in
# columns. They make them again where this number is not the one that they were made with. Increase it with every change
# of what ``words_of`` or ``terms_of`` return, and of ``DOC_NUMBERS``.
RULES = 3
# metadata keys that describe the file or serve indexing; every other text is searched
_NOT_WORDS = frozenset((*NUMBERS, "format", "stamp", "windows", "content_hash", "measured"))
_STOP = frozenset(
    "a an and are as at by for from in into is it of off on or out over some the to up with".split()  # noqa: SIM905
)
_LOWER, _UPPER = (
    "a-z\u00df-\u00f6\u00f8-\u00ff\u03ac-\u03ce\u0430-\u045f",
    "A-Z\u00c0-\u00d6\u00d8-\u00de\u0386-\u03ab\u0400-\u042f",
)
_CAMEL = re.compile(f"(?<=[{_LOWER}])(?=[{_UPPER}])|(?<=[{_UPPER}])(?=[{_UPPER}][{_LOWER}])")
_ASCII_WORD = re.compile("[A-Za-z]+|[0-9]+")
# Thai to Myanmar, Khmer, kana, Han, Hangul
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


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


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    r"""Letters with their combining marks, or digits; ``\w`` lacks the marks, and so cuts words of Thai and Hindi."""
    marks = "".join(chr(c) for c in range(0x300, 0x1F000) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
    return re.compile(rf"(?:[^\W\d_][{marks}]*)+|\d+")


def spelled_words(text: str) -> dict[str, str]:
    """Each word of a text in the form that is compared, in order -> the word to show for it.

    What is shown is the beginning that the word shares with its other forms, so that it can be marked in a name.

    Example:
        >>> spelled_words("Doors creaking, noise in the Cellar_02")
        {'door': 'door', 'creak': 'creak', 'nois': 'noise', 'cellar': 'cellar', '2': '02'}
    """
    spelled: dict[str, str] = {}
    for word in _split(text):
        compared, typed = _compared(word), word.lower()
        same = next((n for n, (a, b) in enumerate(zip(compared, typed, strict=False)) if a != b), len(compared))
        shared = typed[: same + (typed[same : same + 1] == "e")]
        spelled.setdefault(compared, shared if same > 2 else typed)
    return spelled


def split_words(text: str) -> list[str]:
    """The words of a text in order, in the form that is compared.

    Example:
        >>> split_words("DOORWood_Creaky-cellarDoors take07")
        ['door', 'wood', 'creak', 'cellar', 'door', 'take', '7']
    """
    return [_compared(word) for word in _split(text)]


def _split(text: str) -> list[str]:
    if text.isascii():
        words = _ASCII_WORD.findall(_CAMEL.sub(" ", text))
    else:
        text = unicodedata.normalize("NFKC", unicode_text(text))
        words = _word_pattern().findall(_CAMEL.sub(" ", text))
    return [word for word in words if word.lower() not in _STOP]


@lru_cache(maxsize=50_000)  # libraries repeat their words
def _compared(word: str) -> str:
    return stem(word.casefold()) if not word.isdecimal() else word.lstrip("0") or "0"


def matches_inside(word: str) -> bool:
    """Whether a word also matches inside of a longer one: it is of a script without blanks between words."""
    return _UNSPACED.search(word) is not None


def carried_words(query: Iterable[str], words: Collection[str]) -> set[str]:
    """The words of a query that a recording with these words carries."""
    return {word for word in query if word in words or (matches_inside(word) and any(word in other for other in words))}


def words_of(path: str, metadata: Mapping[str, Any]) -> set[str]:
    """All words of a recording: its file name and every text of its metadata.

    Folder names are too general and left out.
    """
    texts = [PurePath(path).stem]
    for name, value in metadata.items():
        if name not in _NOT_WORDS and value and not isinstance(value, Mapping | bool):
            texts += map(str, value) if isinstance(value, list | tuple) else [str(value)]
    return {word for text in texts for word in split_words(text)}


def name_of(path: str) -> str:
    """The words of a file's name in order, as one text: ``/a/DoorSlams_02.wav`` -> ``door slam 2``."""
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
