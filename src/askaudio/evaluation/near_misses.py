"""Near-miss texts of captions: order swapped, attribute swapped, count changed, an event negated.

They are made by rules on the words of an English caption; where no rule applies, a caption has no near miss of that
kind. For generated scenes the exact near misses are known and are used instead, in the same (kind, text) form.
The kinds follow CompA (2310.08753: order and attribute), T-CLAP (2404.17806: time) and UIQ (2604.18360: negation).
"""

from __future__ import annotations

import re
from typing import TypeAlias

NearMiss: TypeAlias = tuple[str, str]  # (kind, text)
KINDS = ("order", "attribute", "count", "negation")

_FLIPPED = {"before": "after", "after": "before"}
_IN_TURN = re.compile(
    r",?\s+(followed by|and then|then|before|after)\s+(?!(?:that|which|it|this|a while|some time)\b)", re.I
)
_JOINED = re.compile(r"(,?\s+(?:followed by|and then|then|before|after|and|while|as|with)\s+|,\s+)", re.I)
_OPPOSITES = (
    "loud quiet, loudly quietly, louder quieter, high low, higher lower, high-pitched low-pitched, fast slow, "
    "faster slower, quickly slowly, rapidly slowly, nearby distant, big small, large small, heavy light, "
    "heavily lightly, man woman, men women, male female, boy girl, boys girls, adult child, indoors outdoors, "
    "inside outside, approaching receding, approaches recedes, open close, opens closes, "
    "opening closing, long short, soft hard, softly harshly, deep shrill, rough smooth, dry wet, faint loud, "
    "continuous intermittent, continuously intermittently, metal wooden, old young, happy sad, starts stops"
)
_PAIRS = [tuple(pair.split()) for pair in _OPPOSITES.split(", ")]
# of two pairs that share a word the earlier one wins
_OPPOSITE = {word: other for a, b in reversed(_PAIRS) for word, other in ((a, b), (b, a))}
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNT = re.compile(
    r"\b(once|twice|thrice|(?:two|three|four|five|six|seven|eight|nine|ten|\d{1,2})(?=\s))(\s+times\b)?", re.I
)
_PRONOUN = re.compile(r"(?:it|they|he|she|we|you|each|them|itself|no|not)\b", re.I)
_WORD = re.compile(r"(?:\b(an? ))?\b([a-z]+(?:-pitched)?)\b", re.I)
_ARTICLE = re.compile(r"^(?:a|an|the|some|several|many|multiple)\s+", re.I)


def near_misses(text: str) -> list[NearMiss]:
    """Near misses of one caption, at most one of each kind, in the order of ``KINDS``.

    Example:
        >>> near_misses("A dog barks twice followed by a loud bell")[0]
        ('order', 'A loud bell followed by a dog barks twice')
    """
    rules = {"order": _order, "attribute": _attribute, "count": _count, "negation": _negation}
    plain = text.strip().rstrip(".").strip()
    made = ((kind, rule(plain)) for kind, rule in rules.items())
    return [(kind, new) for kind, new in made if new and new.lower() != plain.lower()]


def _order(text: str) -> str | None:
    """The two events in the other order: "X before Y" -> "X after Y", "X then Y" -> "Y then X"."""
    found = _IN_TURN.search(text)
    if not found or not text[: found.start()].strip() or not text[found.end() :].strip():
        return None
    word = found[1].lower()
    if word in _FLIPPED:
        return text[: found.start(1)] + _FLIPPED[word] + text[found.end(1) :]
    first, second = text[: found.start()], text[found.end() :]
    return _capital(second, like=text) + found[0] + (first[:1].lower() + first[1:])


def _attribute(text: str) -> str | None:
    """Replace every attribute by its opposite; if both of a pair occur, they thereby exchange places."""
    changed = False

    def exchange(match: re.Match[str]) -> str:
        nonlocal changed
        article, word = match[1], match[2]
        other = _OPPOSITE.get(word.lower())
        if other is None:
            return match[0]
        changed = True
        if article:
            article = article[0] + ("n " if other[0] in "aeiou" else " ")
        return (article or "") + _capital(other, like=word)

    new = _WORD.sub(exchange, text)
    return new if changed else None


def _count(text: str) -> str | None:
    """Change the first count: two more up to five, else two fewer."""
    found = _COUNT.search(text)
    if not found:
        return None
    word = found[1].lower()
    adverbs = {"once": 1, "twice": 2, "thrice": 3}
    value = adverbs.get(word) or (int(word) if word.isdigit() else _NUMBERS.index(word) + 1)
    other = value + 2 if value <= 5 else value - 2
    name = str(other) if word.isdigit() or other > len(_NUMBERS) else _NUMBERS[other - 1]
    times = " times" if word in adverbs else (found[2] or "")
    return text[: found.start()] + _capital(name, like=found[0]) + times + text[found.end() :]


def _negation(text: str) -> str | None:
    """Negate the last event: "X and Y" -> "X but no Y"; a caption of one event becomes "no X"."""
    parts = _JOINED.split(text)
    last = _ARTICLE.sub("", parts[-1]).strip()
    if not last or _PRONOUN.match(last):
        return None
    if len(parts) == 1:
        return _capital(f"no {last[:1].lower()}{last[1:]}", like=text)
    return f"{''.join(parts[:-2])} but no {last}"


def _capital(text: str, like: str) -> str:
    return text[:1].upper() + text[1:] if like[:1].isupper() else text
