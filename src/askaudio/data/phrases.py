"""Split an English caption into phrases, each of which names about one sound, with its place in the caption.

The rules look for the words that join sounds ("and", "then", "followed by", "while", "with", commas) and leave those
out that join words within one phrase ("back and forth", "a loud, high-pitched beep", "as if"). There is no language
model and no grammar: a phrase is a guess, about as good as the captions of AudioCaps and Clotho are regular. Cost:
20 microseconds a caption.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from askaudio.data.sound_words import GENERIC, KIN, SOURCES, THIRD_PERSON, VERBS
from askaudio.index.stems import stem

Relation = Literal["", "then", "after", "while", "and"]
"""How a phrase follows the one before it: later, earlier, at the same time, or unknown; "" for the first."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a caption.

    Attributes:
        start: First character in the caption.
        stop: Character after the last one.
        text: ``caption[start:stop]``.
        relation: Place in time beside the phrase before it.
    """

    start: int
    stop: int
    text: str
    relation: Relation = ""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SOON = r"(?:and\s+)?(?:(?:just|right|shortly|immediately|soon)\s+)?"
_BY = r"(?:(?:and|which|that|it|this|all)\s+)*(?:(?:is|are|being|then)\s+)*(?:\w+ly\s+|soon\s+)?"
_THEN = (
    rf"{_BY}followed\s+(?:\w+ly\s+)?by\b|{_SOON}(?:before|until|prior\s+to)\b|(?:and\s+)?(?:then|afterwards?|after\s+(?:that|this|which)|(?:an?\s+\w+\s+)?later|"
    r"subsequently|eventually|finally|thereafter)\b(?:\s+followed\s+by\b)?"
)
_AFTER = rf"{_SOON}after\b|{_BY}preceded\s+by\b"
_WHILE = (
    r"(?:and\s+|but\s+)?(?:(?:is|are)\s+)?(?:while|whilst|as|during|amidst|amid|alongside|when|with|at\s+the\s+same\s+time\s+as|"
    r"together\s+with|along\s+with|accompanied\s+by|mixed\s+with|combined\s+with|interspersed\s+with|in\s+front\s+of|"
    r"(?:can\s+be\s+)?heard\s+(?:\w+ly\s+)?behind)\b"
)
_AND = r"[,;]?\s+(?:and|but|plus|as\s+well\s+as|&)(?=\s)|[,;]\s+|\s+-+\s+|[.!?]\s+(?=\w)"
_JOINT = re.compile(
    rf"(?P<then>[,;]?\s+(?:{_THEN}))|(?P<after>[,;]?\s+(?:{_AFTER}))|(?P<while>[,;]?\s+(?:{_WHILE}))|(?P<and>{_AND})",
    re.I,
)
_LEAD = re.compile(
    r"\s*(?:(?P<then>(?:right |just |shortly |immediately )?after)|(?P<after>before|prior to)|"
    r"(?P<while>while|whilst|as|during|amid|amidst|when|with)|(?P<and>first|initially|firstly))\b,?\s+",
    re.I,
)
_WORD = re.compile(r"[\w'-]+")
# Words that name no sound by themselves: a phrase of such words alone belongs to its neighbor.
_LIGHT = _set(
    "a an the some this that these those it its their his her very quite rather really more most less too "
    "so then again once twice times time back forth up down in out on off over away by near nearby close "
    "closer far farther further at of from to into onto around about through throughout and or for "
    "background foreground distance distant end beginning middle loud louder loudly quiet quieter quietly "
    "soft softer softly faint fainter high higher low lower pitch pitched deep shrill slow slower fast "
    "faster quick short long steady constant continuous intermittent repeated rapid sudden brief gentle "
    "hard heavy light big small large little old young sharp dull clear muffled distorted different "
    "various several many multiple few two three four five six first second third last next another other "
    "each same one ones wet dry metal metallic wooden plastic indoors outdoors outside inside together "
    "apart first all while now there here is are was were metal-like high-pitched low-pitched"
)
_PLACES = _set("on onto into against at from to through")
_PAIRS = _set(
    "back-forth on-off up-down in-out over-over again-again here-there black-white to-fro round-round "
    "more-more stop-go starts-stops start-stop starting-stopping open-close opens-closes opening-closing "
    "opened-closed up-downs coming-going come-go left-right side-side rise-fall rises-falls rising- "
    "falling inhales-exhales ebbs-flows louder-louder closer-closer"
)
# After "as" and "with": words that begin a comparison or a property instead of a sound.
_NO_SOUND_AFTER = {
    "as": _set("if though well it its such they he she long soon fast loud quickly time"),
    "with": _set(
        "his her their its each one no another something someone them it varying different little great ease "
        "force speed intervals interval pauses breaks every"
    ),
    "when": frozenset(),
}
_PROPERTY = re.compile(
    r"(?:an?\s+|the\s+|some\s+)?(?:[\w-]+\s+){0,2}(?:pitch|tone|echo|rhythm|pace|volume|frequency|force|intensity|speed|"
    r"rate|reverb|accent|voice|hand|hands|microphone|hammer|stick|knife|tool|pattern|intervals?|pauses?|breaks?|"
    r"effect|emotion|accents?|lisp|frequencies|variations?|objects?|tempo|timbre|vigor)\b",
    re.I,
)
_NO_EVENT_AFTER = re.compile(
    r"\s*,?\s*(?:that|which|this|it|a\s+while|some\s+time|long|another|each|the\s+other|day)\b", re.I
)


def split_phrases(caption: str) -> tuple[Phrase, ...]:
    """Phrases of a caption, in order; they do not overlap, and together with the joining words they are the caption.

    Args:
        caption: An English caption. A caption without any word has no phrase.

    Example:
        >>> for phrase in split_phrases("A dog barks and birds sing, then a car passes by"):
        ...     print(phrase.start, phrase.stop, phrase.relation, phrase.text)
        0 11  A dog barks
        16 26 and birds sing
        33 48 then a car passes by
    """
    lead = _LEAD.match(caption)
    start = lead.end() if lead else 0
    parts: list[tuple[int, int, Relation]] = []
    relation: Relation = ""
    for found in _JOINT.finditer(caption, start):
        if _within_phrase(caption, start, found):
            continue
        parts.append((start, found.start(), relation))
        start, relation = found.end(), _relation(found)
    parts.append((start, len(caption), relation))
    phrases = _whole(caption, parts)
    if lead and len(phrases) > 1 and not lead["and"] and phrases[1].relation == "and":
        second = phrases[1]  # "After A, B": the word before the first phrase says how the second is related to it
        phrases[1] = Phrase(second.start, second.stop, second.text, _relation(lead))
    return tuple(phrases)


def without_phrases(caption: str, left_out: Collection[Phrase]) -> str:
    """The caption without some of its phrases and the words that join them; "" where none is left.

    Args:
        caption: The caption.
        left_out: Some of ``split_phrases(caption)``.

    Example:
        >>> text = "A dog barks, then a car passes and rain falls"
        >>> without_phrases(text, split_phrases(text)[1:2])
        'A dog barks, then rain falls'
    """
    if not left_out:
        return caption
    text, stop, joint = "", 0, ""
    for phrase in split_phrases(caption):
        joint = joint or caption[stop : phrase.start]  # of several joining words the first stays
        stop = phrase.stop
        if phrase not in left_out:
            text, joint = text + joint * bool(text) + phrase.text, ""
    capital = text[:1].upper() if caption[:1].isupper() else text[:1]
    return (capital + text[1:] + caption[stop:]) if text else ""


def _relation(found: re.Match[str]) -> Relation:
    return next(name for name in ("then", "after", "while", "and") if found[name])  # type: ignore[return-value]


def _within_phrase(caption: str, start: int, joint: re.Match[str]) -> bool:
    """Whether a joining word joins parts of one phrase."""
    left = [w.lower() for w in _WORD.findall(caption[start : joint.start()])]
    right = [w.lower() for w in _WORD.findall(caption[joint.end() : joint.end() + 60])]
    if not left or not right:
        return True
    word = joint[0].strip(" ,;").lower()
    if joint["then"] or joint["after"]:
        return word in ("before", "after", "until") and bool(_NO_EVENT_AFTER.match(caption, joint.end()))
    if joint["while"]:
        return _compares(caption, joint.end(), word.split()[-1], left[-1], right[0])
    if word in ("and", "", "but", "&"):
        alike = left[-1] == right[0] or f"{left[-1]}-{right[0]}" in _PAIRS
        between = word == "and" and ("between" in left[-5:] or _two_nouns(left, caption, joint.end()))
        return (
            alike
            or between
            or _bare_verb(left, _rest(caption, joint.end()))
            or right[0] in _PLACES
            or all(w in _LIGHT or w.endswith("ly") for w in left)
        )
    return False


def _rest(caption: str, start: int) -> list[str]:
    """Words from a place to the next word that joins phrases."""
    following = _JOINT.search(caption, start)
    return [w.lower() for w in _WORD.findall(caption[start : following.start() if following else None])]


def _bare_verb(left: list[str], right: list[str]) -> bool:
    """Whether a verb without a subject follows another of the same form, alone: "kids shout and laugh"."""
    if len(right) != 1 or right[0] in SOURCES:
        return False
    return any(right[0] in forms and not forms.isdisjoint(left[1:]) for forms in (VERBS, THIRD_PERSON.keys()))


def _two_nouns(left: list[str], caption: str, end: int) -> bool:
    """Whether "and" joins two bare nouns after "of": "the clanking of pots and pans"."""
    right = caption[end:]
    nxt = _JOINT.search(right)
    return (
        left[-2:-1] == ["of"] and left[-1].endswith("s") and len((right[: nxt.start()] if nxt else right).split()) == 1
    )


def _compares(caption: str, end: int, word: str, before: str, after: str) -> bool:
    """Whether "as" or "with" begins a comparison or a property: "as if", "with a high pitch"."""
    if after in _NO_SOUND_AFTER.get(word, ()):
        return True
    if word == "as":
        following = _WORD.findall(caption[end : end + 40])
        return before in ("such", "same", "well", "known", "as", "so", "act") or "as" in following[1:2]
    fixed = ("filled", "covered", "done", "playing", "dealing", "interacting", "messing", "hit", "tapped", "struck")
    if word != "with" or before in fixed or _PROPERTY.match(caption, end + 1):
        return word == "with"
    sounds = any(stem(w) in KIN or stem(w) in GENERIC or w.endswith("ing") for w in _rest(caption, end))
    return not sounds  # "strikes a rock with a pickaxe"


def _whole(caption: str, parts: list[tuple[int, int, Relation]]) -> list[Phrase]:
    """Parts -> phrases without blanks at their ends; parts of light words are joined to the part before or after."""
    phrases: list[Phrase] = []
    waiting: tuple[int, Relation] | None = None  # start and relation of light words at the beginning
    for begin, end, relation in parts:
        text = caption[begin:end]
        start = begin + len(text) - len(text.lstrip(" ,;.-"))
        stop = begin + len(text.rstrip(" ,;.!?-"))
        words = [w.lower() for w in _WORD.findall(caption[start:stop])]
        if not words:
            continue
        if all(w in _LIGHT or (w.endswith("ly") and w != "fly") for w in words):
            if phrases:
                last = phrases[-1]
                phrases[-1] = Phrase(last.start, stop, caption[last.start : stop], last.relation)
            else:
                waiting = waiting or (start, relation)
            continue
        if waiting:
            start, relation, waiting = waiting[0], waiting[1], None
        phrases.append(Phrase(start, stop, caption[start:stop], relation if phrases else ""))
    if waiting and not phrases:
        stop = len(caption.rstrip(" ,;.!?-"))
        phrases.append(Phrase(waiting[0], stop, caption[waiting[0] : stop]))
    return phrases
