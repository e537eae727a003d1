"""Near misses: captions that differ from a true one in one fact and are therefore wrong.

Each comes as a minimal pair: the true text and the false text share sentence pattern and words, so that only the
changed fact can tell them apart. The truth of a generated scene is exact, hence so is the falsehood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.scenes.captions import Style, draw_style, patterns_for, word
from askaudio.scenes.event import Event, Relation, events_of
from askaudio.scenes.wording import Choice, Wording, clause, nameable, noun

Kind = Literal["order", "attribute", "count", "negation", "label"]


class NearMiss(NamedTuple):
    """Kind of the change, the wrong caption, and the true caption it was made from."""

    kind: Kind
    text: str
    true_text: str


def near_misses(
    events: Sequence[Event], relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> list[tuple[str, str]]:
    """(kind, text) of the near misses of a scene; see ``minimal_pairs``.

    Args:
        events: The scene's events, in order.
        relation: Relation of the events.
        wordings: Label -> its phrases; has every label of ``events``.
        rng: Source of every choice.
    """
    return [(pair.kind, pair.text) for pair in minimal_pairs(events, relation, wordings, rng)]


def near_miss_set(
    manifest: Manifest, wordings: Mapping[str, Wording], seed: int = 0
) -> tuple[Manifest, list[list[tuple[str, str]]]]:
    """A manifest and its near misses for evaluation: each caption is the true text of one minimal pair.

    Args:
        manifest: Generated scenes.
        wordings: Label -> its phrases (``library.wordings_of``).
        seed: Seed of every choice; a clip's near misses do not depend on the other clips.

    Returns:
        The clips with those captions, and for each caption, in order, its list of one (kind, text).

    Raises:
        DataError: A clip is no generated scene.
    """
    clips: list[Clip] = []
    lists: list[list[tuple[str, str]]] = []
    for clip in manifest:
        events, relation = events_of(clip)
        rng = np.random.default_rng([seed, *clip.clip_id.encode()])
        pairs = minimal_pairs(events, relation, wordings, rng)
        captions = tuple(Caption(f"{clip.clip_id}#{pair.kind}", pair.true_text) for pair in pairs)
        clips.append(replace(clip, captions=captions))
        lists += [[(pair.kind, pair.text)] for pair in pairs]
    return Manifest(manifest.name, tuple(clips)), lists


def minimal_pairs(
    events: Sequence[Event], relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> list[NearMiss]:
    """One near miss of every sort that the scene allows.

    "order" needs a sequence of events, "attribute" and "count" need an attribute that phrases can name, "negation" and
    "label" (another sound in the place of one) fit every scene.

    Args:
        events: The scene's events, in order.
        relation: Relation of the events.
        wordings: Label -> its phrases; other labels than the scene's are what "label" puts in.
        rng: Source of every choice.

    Returns:
        Near misses whose text differs from their true text.
    """
    makers: tuple[Callable[..., NearMiss | None], ...] = (_order, _attribute, _count, _negation, _label)
    found = [make(tuple(events), relation, wordings, rng) for make in makers]
    return [miss for miss in found if miss is not None and miss.text != miss.true_text]


_Scene = tuple[Event, ...]


def _order(
    events: _Scene, relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> NearMiss | None:
    """Swap two consecutive events of a sequence."""
    if relation != "sequence":
        return None
    style = _style(events, relation, wordings, rng, "k")
    k = int(rng.integers(len(events) - 1))
    swap = list(range(len(events)))
    swap[k], swap[k + 1] = k + 1, k
    moved = Style(style.pattern, tuple(style.choices[j] for j in swap))  # the words move with their events
    return NearMiss("order", word([events[j] for j in swap], moved, wordings), word(events, style, wordings))


def _attribute(
    events: _Scene, relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> NearMiss | None:
    """Change an attribute other than the count."""
    return _other_value("attribute", events, relation, wordings, rng, lambda name: name != "count")


def _count(
    events: _Scene, relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> NearMiss | None:
    """Change the count of an event."""
    return _other_value("count", events, relation, wordings, rng, lambda name: name == "count")


def _other_value(
    kind: Kind,
    events: _Scene,
    relation: Relation,
    wordings: Mapping[str, Wording],
    rng: np.random.Generator,
    wanted: Callable[[str], bool],
) -> NearMiss | None:
    places = [(k, name) for k, e in enumerate(events) for name in nameable(e, wordings[e.label]) if wanted(name)]
    style = _style(events, relation, wordings, rng, "")
    for j in rng.permutation(len(places)):
        k, name = places[int(j)]
        event, wording = events[k], wordings[events[k].label]
        others = sorted(set(wording.attributes[name].words) - {event.attributes[name]})
        if not others:
            continue
        value = str(rng.choice(others))
        wrong = replace(event, attributes={**event.attributes, name: value})
        for template in range(max(len(wording.nouns), len(wording.clauses))):  # a phrase with room for the attribute
            choices = list(style.choices)
            choices[k] = Choice(template, choices[k].word, choices[k].named | {name})
            named = Style(style.pattern, tuple(choices))
            text = word([*events[:k], wrong, *events[k + 1 :]], named, wordings)
            if text != word(events, named, wordings):
                return NearMiss(kind, text, word(events, named, wordings))
    return None


def _negation(
    events: _Scene, relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> NearMiss | None:
    """Negate a sound of the scene."""
    k = int(rng.integers(len(events)))
    style = draw_style(events, "", wordings, rng)
    absent = noun(events[k], wordings[events[k].label], style.choices[k])
    if len(events) == 1:
        return NearMiss("negation", f"{absent} cannot be heard", f"{absent} can be heard")
    j = (k + 1) % len(events)
    there = clause(events[j], wordings[events[j].label], style.choices[j])
    return NearMiss("negation", f"{there}, without {absent}", f"{there}, with {absent}")


def _label(
    events: _Scene, relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator
) -> NearMiss | None:
    """Replace one event by another sound."""
    others = sorted(set(wordings) - {e.label for e in events})
    if not others:
        return None
    k = int(rng.integers(len(events)))
    style = _style(events, relation, wordings, rng, "")
    wrong = replace(events[k], label=str(rng.choice(others)), attributes={})
    return NearMiss(
        "label", word([*events[:k], wrong, *events[k + 1 :]], style, wordings), word(events, style, wordings)
    )


def _style(
    events: _Scene, relation: Relation, wordings: Mapping[str, Wording], rng: np.random.Generator, without: str
) -> Style:
    """A style whose pattern has none of the parts ``without`` ("k": key words do not tell an order)."""
    patterns = [p for p in patterns_for(events, relation) if not without or f"{{{without}1}}" not in p]
    return draw_style(events, patterns[int(rng.integers(len(patterns)))], wordings, rng)
