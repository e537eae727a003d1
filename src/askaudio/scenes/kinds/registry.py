"""The one list of synthesised kinds: name -> generator, the values of its attributes, its phrases.

A generator is ``f(rng, duration_s, sample_rate_hz, attributes) -> (S,) float32`` of at most ``duration_s``; its
loudness is free (the mixer sets it) but its attributes must be heard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes import attributes
from askaudio.scenes.wording import AttributeWords, Wording

Attributes = Mapping[str, str]
Generator = Callable[[np.random.Generator, float, int, Attributes], FloatArray]

COUNTS = {"1": 1, "2": 2, "3": 3, "4": 4}
WORDS: dict[str, AttributeWords] = {
    **attributes.WORDS,
    "pitch": AttributeWords({"low": ("low-pitched", "deep", "low"), "high": ("high-pitched", "high", "bright")}),
    "speed": AttributeWords({"slow": ("slow", "unhurried"), "fast": ("fast", "rapid", "quick")}),
    "strength": AttributeWords({"light": ("light", "gentle", "soft"), "heavy": ("heavy", "strong", "intense")}),
    "size": AttributeWords({"small": ("small", "little"), "large": ("large", "big")}),
    "ground": AttributeWords(
        {"wood": ("on wood",), "gravel": ("on gravel",), "snow": ("in snow",), "stone": ("on stone",)}, tail=True
    ),
    "direction": AttributeWords({"rising": ("rising",), "falling": ("falling",)}),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of synthesised sound; ``values`` lists what each of its attributes may be."""

    name: str
    make: Generator
    values: Mapping[str, tuple[str, ...]]
    wording: Wording


KINDS: dict[str, Kind] = {}


def kind(
    name: str, nouns: tuple[str, ...], clauses: tuple[str, ...], **values: tuple[str, ...]
) -> Callable[[Generator], Generator]:
    """Register a generator under a name, with its phrases and the values of its attributes."""

    def register(make: Generator) -> Generator:
        every = {**values, "loudness": ("quiet", "loud"), "distance": ("near", "far")}
        KINDS[name] = Kind(name, make, every, Wording(name, nouns, clauses, {a: WORDS[a] for a in every}))
        return make

    return register
