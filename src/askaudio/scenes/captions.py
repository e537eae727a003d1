"""Captions of a scene: true sentences of different patterns about its events.

A style holds every free choice (sentence pattern, words, which attributes are named), so the same style can word the
scene and a slightly changed scene: that gives minimal pairs (``near_miss``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from askaudio.core.errors import DataError
from askaudio.scenes.event import Event, Relation
from askaudio.scenes.wording import Choice, Wording, clause, keywords, nameable, noun

# {c} clause, {n} noun phrase, {k} key words, each with the number of the event
_SINGLE = ("{c1}", "{n1}", "{n1} can be heard", "this is {n1}", "a recording of {n1}", "one hears {n1}", "{k1}")
_SEQUENCE_2 = (
    "{c1}, then {c2}", "{c1} before {c2}", "{c2} after {c1}", "after {n1}, {c2}", "first {n1}, then {n2}",
    "{n1} followed by {n2}", "{n2} is preceded by {n1}", "{n1} can be heard and afterwards {n2}",
    "{c1} and a moment later {c2}", "{k1}, {k2}",
)  # fmt: skip
_SEQUENCE_3 = (
    "{c1}, then {c2}, and finally {c3}", "first {n1}, then {n2}, at last {n3}", "{n1} followed by {n2} and then {n3}",
    "{c1} before {c2}, and then {n3}", "{n1}, then {n2}, and after that {c3}", "{c3} after first {n1} and then {n2}",
    "{n1} can be heard, later {n2}, and in the end {n3}", "{k1}, {k2}, {k3}",
)  # fmt: skip
_TOGETHER_2 = (
    "{c1} while {c2}", "{c1} as {c2}", "{n1} together with {n2}", "{n1} and {n2} at the same time",
    "{n1} mixed with {n2}", "{n1} can be heard along with {n2}", "both {n1} and {n2} are heard at once", "{k1}, {k2}",
)  # fmt: skip
_TOGETHER_3 = (
    "{c1} while {c2} and {c3}", "{n1}, {n2} and {n3} all at once", "{n1} mixed with {n2} and {n3}",
    "{c1}, along with {n2} and {n3}", "{n1}, {n2} and {n3} can be heard together", "{k1}, {k2}, {k3}",
)  # fmt: skip
_BACKGROUND_2 = (
    "{c1} with {n2} in the background", "{c1} while in the background {c2}", "{n1} in front of {n2}",
    "{n2} is heard faintly behind {n1}", "{n1} over {n2}", "{k1}, {k2} in the background",
)  # fmt: skip
_BACKGROUND_3 = (
    "{c1} with {n2} and {n3} in the background", "{c1} while in the background {c2} and {c3}",
    "{n1} in front of {n2} and {n3}", "{n2} and {n3} are heard faintly behind {n1}", "{k1}, {k2}, {k3}",
)  # fmt: skip
PATTERNS: dict[tuple[Relation, int], tuple[str, ...]] = {
    ("single", 1): _SINGLE,
    ("sequence", 2): _SEQUENCE_2,
    ("sequence", 3): _SEQUENCE_3,
    ("together", 2): _TOGETHER_2,
    ("together", 3): _TOGETHER_3,
    ("background", 2): _BACKGROUND_2,
    ("background", 3): _BACKGROUND_3,
}
_SPEAK = {"c": clause, "n": noun, "k": keywords}
_N_NAMED = (0.25, 0.45, 0.3)  # how often none, one, two attributes of an event are named


@dataclass(frozen=True, slots=True)
class Style:
    """Every free choice of one caption: the sentence pattern and the words of each event."""

    pattern: str
    choices: tuple[Choice, ...]


def patterns_for(events: Sequence[Event], relation: Relation) -> tuple[str, ...]:
    """Sentence patterns that fit the scene.

    Raises:
        DataError: No pattern for this number of events in this relation.
    """
    found = PATTERNS.get((relation, len(events)))
    if found is None:
        raise DataError(f"no caption for {len(events)} events in relation {relation!r}; expected 1 to 3 events")
    return found


def draw_style(
    events: Sequence[Event], pattern: str, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> Style:
    """Draw the words for a sentence pattern.

    Args:
        events: The scene's events, in order.
        pattern: Sentence pattern of ``PATTERNS``, such as ``"{c1} while {c2}"``.
        wordings: Label -> its phrases; has every label of ``events``.
        rng: Source of every choice.
    """
    choices = []
    for event in events:
        names = nameable(event, wordings[event.label])
        n_named = min(int(rng.choice(len(_N_NAMED), p=_N_NAMED)), len(names))
        named = frozenset(names[int(k)] for k in rng.permutation(len(names))[:n_named])
        choices.append(Choice(int(rng.integers(1 << 16)), int(rng.integers(1 << 16)), named))
    return Style(pattern, tuple(choices))


def word(events: Sequence[Event], style: Style, wordings: Mapping[str, Wording]) -> str:
    """The caption of these events in this style.

    Args:
        events: The scene's events, in order.
        style: Sentence pattern, and one choice of words for each event.
        wordings: Label -> its phrases; has every label of ``events``.
    """
    parts = {
        f"{letter}{number}": speak(event, wordings[event.label], choice)
        for number, (event, choice) in enumerate(zip(events, style.choices, strict=True), start=1)
        for letter, speak in _SPEAK.items()
    }
    return style.pattern.format(**parts)


def captions_for(
    events: Sequence[Event],
    relation: Relation,
    wordings: Mapping[str, Wording],
    rng: np.random.Generator,
    n: int = 5,
) -> tuple[str, ...]:
    """Word a scene ``n`` times, each time with another sentence pattern as long as there are any.

    Args:
        events: The scene's events, in order.
        relation: Relation of the events.
        wordings: Label -> its phrases.
        rng: Source of every choice.
        n: Number of captions.

    Returns:
        ``n`` different texts (where the phrases allow it).
    """
    patterns = patterns_for(events, relation)
    order = rng.permutation(len(patterns))
    texts: list[str] = []
    for k in range(8 * n):  # a few tries more than needed, since two draws may give the same words
        pattern = patterns[order[k % len(patterns)]]
        text = word(events, draw_style(events, pattern, wordings, rng), wordings)
        if text not in texts or k >= 7 * n:
            texts.append(text)
        if len(texts) == n:
            break
    return tuple(texts)
