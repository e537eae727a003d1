"""Stems of English words, so that "creaking doors" finds "creaky door": plural, -ing, -ed and -y.

The steps are 1a, 1b and 5a of Porter's algorithm, which keep words apart that differ in a silent e ("tap" and "tape"),
and -y, which Porter leaves in place ("rain" and "rainy"). Words of other languages are changed in the same way on both
sides, which does no harm.

Source: M. F. Porter, An algorithm for suffix stripping, Program 14(3), 1980.
Differs: no suffixes that make other words, such as -ation or -er; -y is removed.
"""

from __future__ import annotations

import re

_IRREGULAR = {
    "children": "child", "feet": "foot", "geese": "goose", "knives": "knife", "leaves": "leaf", "men": "man",
    "mice": "mouse", "people": "person", "teeth": "tooth", "wives": "wife", "wolves": "wolf", "women": "woman",
    "axes": "axe", "buses": "bus", "gases": "gas", "icy": "ice", "used": "use", "using": "use",
}  # fmt: skip
# without -y these would equal another word: "party" is no "part"
_KEEP_Y = frozenset(
    "army battery belly berry bully bunny carry copy county factory fairy holy jelly kitty lady lobby marry navy party "  # noqa: SIM905
    "penny pony ruby story study tally".split()
)
_VOWEL = re.compile("[aeiouy\u00e0-\u00ff]")
_MEASURE = re.compile("[aeiouy]+[^aeiouy]+")
_SHORT_END = re.compile("[^aeiou][aeiouy][^aeiouwxy]$")
_DOUBLE_END = re.compile(r"([^aeioulsz])\1$")


def stem(word: str) -> str:
    """The stem of a word in lower case.

    Example:
        >>> [stem(w) for w in ("rain", "raining", "rains", "rained", "rainy")]
        ['rain', 'rain', 'rain', 'rain', 'rain']
        >>> stem("dripping"), stem("taps"), stem("taping"), stem("glasses"), stem("squeezes") == stem("squeezing")
        ('drip', 'tap', 'tape', 'glass', True)
    """
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3:
        return word
    word = _without_past(_without_plural(word))
    if word.endswith("y") and word not in _KEEP_Y and len(word) > 3 and word[-2] not in "aeiouy":
        word = _completed(word[:-1])
    return _without_silent_e(word)


def _without_plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")) or (word.endswith("oes") and len(word) > 5):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _without_past(word: str) -> str:
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and not word.endswith("eed") and len(rest) > 1 and _VOWEL.search(rest):
            return _completed(rest)
    return word


def _completed(rest: str) -> str:
    """A word whose ending was removed: dripp -> drip, driv -> drive."""
    if _DOUBLE_END.search(rest):
        return rest[:-1]
    return rest + "e" if _is_short(rest) or rest.endswith(("at", "bl", "iz")) else rest


def _is_short(rest: str) -> bool:
    """Whether a part is one syllable that ends in one vowel and one consonant: a silent e after it changes the word."""
    return len(_MEASURE.findall(rest)) == 1 and _SHORT_END.search(rest) is not None


def _without_silent_e(word: str) -> str:
    rest = word.removesuffix("e")
    return word if rest == word or not _MEASURE.search(rest) or _is_short(rest) else rest
