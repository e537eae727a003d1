"""How one event is put into words: a noun phrase, a clause or key words, with or without its attributes.

A template may hold the place ``{adj}`` for adjectives; words such as "three times" or "far away" go to the end. The
article before an adjective is put right ("a old" -> "an old").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from askaudio.scenes.event import Event

_VOWEL = re.compile(r"\b([Aa])n? (?=([a-z]))")


@dataclass(frozen=True, slots=True)
class AttributeWords:
    """Words for one attribute: value -> equal words. ``tail`` words end the phrase, others are adjectives."""

    words: Mapping[str, tuple[str, ...]]
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Wording:
    """Phrases for one label.

    Args:
        keyword: The bare name.
        nouns: Noun phrases, such as "a {adj} siren"; at least two.
        clauses: Sentences in the present tense without full stop; at least two.
        attributes: Attribute -> its words.
    """

    keyword: str
    nouns: tuple[str, ...]
    clauses: tuple[str, ...]
    attributes: Mapping[str, AttributeWords] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the possible words are taken: numbers that are reduced modulo what there is."""

    template: int
    word: int
    named: frozenset[str]


def noun(event: Event, wording: Wording, choice: Choice) -> str:
    """A noun phrase, such as "a slow siren far away".

    Args:
        event: The event to name.
        wording: Phrases of the event's label.
        choice: Which template, word and attributes are taken.
    """
    return _fill(wording.nouns[choice.template % len(wording.nouns)], event, wording, choice)


def clause(event: Event, wording: Wording, choice: Choice) -> str:
    """A sentence without full stop, such as "a siren wails far away".

    Args:
        event: The event to name.
        wording: Phrases of the event's label.
        choice: Which template, word and attributes are taken.
    """
    return _fill(wording.clauses[choice.template % len(wording.clauses)], event, wording, choice)


def keywords(event: Event, wording: Wording, choice: Choice) -> str:
    """Bare words, such as "slow siren".

    Args:
        event: The event to name.
        wording: Phrases of the event's label.
        choice: Which template, word and attributes are taken.
    """
    return _fill("{adj} " + wording.keyword, event, wording, choice)


def nameable(event: Event, wording: Wording, among: Collection[str] | None = None) -> list[str]:
    """Attributes of the event for which there are words, in a fixed order.

    Args:
        event: The event to name.
        wording: Phrases of the event's label.
        among: Attributes to consider; None considers all.
    """
    names = sorted(event.attributes) if among is None else sorted(set(event.attributes) & set(among))
    return [a for a in names if event.attributes[a] in wording.attributes.get(a, AttributeWords({})).words]


def _fill(template: str, event: Event, wording: Wording, choice: Choice) -> str:
    adjectives: list[str] = []
    tails: list[str] = []
    for name in nameable(event, wording, choice.named):
        entry = wording.attributes[name]
        words = entry.words[event.attributes[name]]
        (tails if entry.tail else adjectives).append(words[choice.word % len(words)])
    text = template.replace("{adj}", " ".join(adjectives))
    text = " ".join(" ".join([text, *tails]).split())
    return _VOWEL.sub(lambda m: m[1] + ("n " if m[2] in "aeiou" else " "), text) if "{adj}" in template else text
