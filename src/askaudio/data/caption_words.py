"""Questions about the words of a caption and its phrases: which sounds they may mean, whether they stand alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from askaudio.data.phrases import Phrase
from askaudio.data.sound_words import GENERIC, GERUNDS, KIN, SINGULAR, SOURCES, THIRD_PERSON, VERBS
from askaudio.evaluation.words import content_words
from askaudio.index.stems import stem

Form = Literal["clause", "gerund", "activity", "noun"]
FORMS: tuple[Form, ...] = ("clause", "gerund", "activity", "noun")
"""Forms of phrases: "a dog barks", "a dog barking", "barking of dogs", "a loud bark"."""
TOKEN = re.compile(r"[\w'-]+")
NO_NOUN = re.compile(
    r"(?:it|its|they|he|she|we|you|each|them|their|his|her|itself|another|more|again|that|this|which|who|there|same|"
    r"the (?:same|other|sound|noise|sounds|noises)|others?|one|some more|is|are|was|were|being|has|have|no|not|none|"
    r"or|and|as|throughout|less|decreas\w+|increas\w+|becomes?|gets?|comes?|goes|stops?|ends?|starts?|begins?|continues?|"
    r"returns?|fades?|slows?|at|in|on|to|into|off|out|from|by|for|when|if|until|because|very|louder|faster)\b",
    re.I,
)

_NEGATED = re.compile(
    r"\b(?:no|not|without|never|nothing|none|silen\w+|stop\w*|n't|cease\w*|nobody|neither|nor)\b", re.I
)


def negated(text: str) -> bool:
    """Whether the text denies a sound or says that it ends."""
    return bool(_NEGATED.search(text))


def words_of(text: str) -> list[str]:
    """Words in lower case, in order."""
    return [w.lower() for w in TOKEN.findall(text)]


@lru_cache(maxsize=65536)
def stems_of(text: str) -> frozenset[str]:
    """Stems of the content words."""
    return frozenset(map(stem, content_words(text)))


def groups_of(stems: Iterable[str]) -> set[str]:
    """Groups of sounds that the stems may describe; a stem of no group is a group of its own."""
    found: set[str] = set()
    for one in stems:
        found |= KIN.get(one, {one} - GENERIC)
    return found


@lru_cache(maxsize=65536)
def sound_groups(text: str) -> frozenset[str]:
    """Groups of sounds that the words of a text may describe."""
    return frozenset(groups_of(stems_of(text)))


def audible(text: str) -> bool:
    """Whether the phrase has a word that is known to name a sound, or a source of sound."""
    return bool(stems_of(text) & KIN.keys() - GENERIC)


def standalone(text: str) -> bool:
    """Whether a part of a caption says something by itself: it begins with no pronoun and no verb without a subject."""
    words = words_of(text)
    if not words or NO_NOUN.match(text):
        return False
    return words[0] not in THIRD_PERSON or words[0] in SINGULAR


def has_own_subject(caption: str, phrases: tuple[Phrase, ...], k: int) -> bool:
    """Whether phrase ``k`` shares no subject with the one before it or after it ("a dog barks and whines")."""
    if not standalone(phrases[k].text) or _continues(phrases, k):
        return False
    return k + 1 == len(phrases) or (standalone(phrases[k + 1].text) and not _continues(phrases, k + 1))


def _continues(phrases: tuple[Phrase, ...], k: int) -> bool:
    """Whether the phrase is a second activity of the subject before it: "a crowd is clapping" | "talking"."""
    first = words_of(phrases[k].text)[0]
    if k == 0 or phrases[k].relation != "and" or not first.endswith("ing"):
        return False
    return form_of(phrases[k - 1].text) in ("clause", "gerund") or (
        words_of(phrases[k - 1].text)[0].endswith("ing") and k > 1
    )


@lru_cache(maxsize=65536)
def form_of(text: str) -> Form:
    """Form of a phrase."""
    words = words_of(text)
    if any(w in ("is", "are", "was", "were") or (w in THIRD_PERSON and w not in SINGULAR) for w in words[1:]):
        return "clause"
    if words[0].endswith("ing"):
        return "activity"
    if any(w in GERUNDS or w in ("being", "playing", "using") for w in words[1:]):
        return "gerund"
    bare = [w in VERBS and w not in SOURCES for w in words]
    return "clause" if any(bare[1:]) and (words[0] in SINGULAR or words[0].endswith("s")) else "noun"


def capital(text: str, like: str) -> str:
    """The text with a capital first letter where ``like`` has one."""
    return text[:1].upper() + text[1:] if like[:1].isupper() else text


def lower_first(text: str) -> str:
    """Lower-case first letter, except of "I" and of words in capitals."""
    return text if text[1:2].isupper() or text[:2] == "I " else text[:1].lower() + text[1:]


def with_article(text: str, start: int, stop: int, new: str) -> str:
    """Replace ``text[start:stop]``; "a" or "an" before it is made to fit."""
    before = re.sub(
        r"\b([Aa])n?(\s+)$", lambda m: m[1] + ("n" if new[:1].lower() in "aeiou" else "") + m[2], text[:start]
    )
    return before + new + text[stop:]
