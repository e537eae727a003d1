"""A query: parts of text, audio or stored clips, each with a weight; a negative weight means "not like this"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from askaudio.core.errors import ConfigError

_MINUS = re.compile(r'(^|\s)-(?:"([^"]+)"?|([^\s"-]\S*))')
AudioSource: TypeAlias = str | Path | bytes
PartKind = Literal["text", "audio", "clip"]
# Default weight of what hits should not be like; measured in docs/decisions, "One weight for what to avoid".
AVOID_WEIGHT = 0.75


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a query, for queries that need a weight of their own for each part.

    Attributes:
        kind: "text" (words), "audio" (path of a file, or its bytes) or "clip" (id of a stored clip).
        value: The words, the file or the clip_id.
        weight: Share in the query; below zero, clips that are like this part move down.
        language: Of a text: a code such as "de", "en" for English; "" finds it by the script and the words.

    Example:
        >>> Part("text", "thunder", weight=-0.75)
        Part(kind='text', value='thunder', weight=-0.75, language='')
    """

    kind: PartKind
    value: AudioSource
    weight: float = 1.0
    language: str = ""


def split_minus(text: str) -> tuple[str, list[str]]:
    """Words to look for, and words to avoid: those after a minus, as in the search page.

    Example:
        >>> split_minus('rain -thunder -"car horn" lo-fi')
        ('rain lo-fi', ['thunder', 'car horn'])
    """
    avoid = [(quoted or word).strip() for _, quoted, word in _MINUS.findall(text)]
    return " ".join(_MINUS.sub(r"\1", text).split()), [words for words in avoid if words]


def make_parts(
    text: str | Sequence[str] | None = None,
    audio: AudioSource | Sequence[AudioSource] | None = None,
    *,
    like: str | Sequence[str] | None = None,
    avoid: AudioSource | Sequence[AudioSource] | None = None,
    unlike: str | Sequence[str] | None = None,
    more: Sequence[Part] = (),
    avoid_weight: float = AVOID_WEIGHT,
) -> tuple[Part, ...]:
    """Turn the arguments of a search into parts; Python, the command line, the web API and MCP all call it.

    Args:
        text: Words to look for.
        audio: Sounds to look for: paths of files, or the bytes of files.
        like: Ids of stored clips to look for.
        avoid: What hits should not be like: a string is words; a ``Path`` or bytes is a sound.
        unlike: Ids of stored clips that hits should not be like.
        more: Ready parts.
        avoid_weight: Weight of each part of ``avoid`` and ``unlike``; its sign does not matter.

    Returns:
        The parts in the order of the arguments.

    Raises:
        ConfigError: No part has a positive weight, or a text is empty.
    """
    away = -abs(avoid_weight)
    parts = (
        *(Part("text", value) for value in _listed(text)),
        *(Part("audio", value) for value in _listed(audio)),
        *(Part("clip", value) for value in _listed(like)),
        *(Part("text" if isinstance(value, str) else "audio", value, away) for value in _listed(avoid)),
        *(Part("clip", value, away) for value in _listed(unlike)),
        *more,
    )
    if not any(part.weight > 0 for part in parts):
        raise ConfigError(
            "a query needs words or a sound to look for (what to avoid comes on top), got "
            f'{"nothing" if not parts else "only things to avoid"}; for example: askaudio search "rain on a tin roof"'
        )
    for part in parts:
        if part.kind == "text" and not str(part.value).strip():
            raise ConfigError("a query text is empty; expected words that describe a sound")
    return parts


def weighted(parts: Sequence[Part], weights: Sequence[float]) -> tuple[Part, ...]:
    """Set the weights of the first parts, in order."""
    changed = (replace(part, weight=weight) for part, weight in zip(parts, weights, strict=False))
    return (*changed, *parts[len(weights) :])


def in_language(parts: Sequence[Part], language: str) -> tuple[Part, ...]:
    """Set the language of the texts that have none; "" leaves all as they are."""
    return tuple(
        replace(part, language=language) if part.kind == "text" and not part.language else part for part in parts
    )


def _listed(value: AudioSource | Sequence[Any] | None) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str | Path | bytes) else list(value)
