"""A query: parts of text, audio or stored clips, each with a weight; a negative weight means "not like this".

A sound may be a stretch of a recording: ``Part(..., start_s=12.5, end_s=15)``, or ``door.wav@12.5-15`` where a query is
written as text (command line, web API; ``read_stretch_text``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeAlias

from askaudio.core.errors import ConfigError

_MINUS = re.compile(r'(^|\s)-(?:"([^"]+)"?|([^\s"-]\S*))')
AudioSource: TypeAlias = str | Path | bytes
PartKind = Literal["text", "audio", "clip"]
_TIME = r"(?:(?:\d+:)?\d+:)?\d+(?:\.\d*)?"
_STRETCH = re.compile(rf"(.+)@({_TIME})-({_TIME})", re.DOTALL)
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
        start_s: Of audio or a clip: only the stretch from here, in seconds; None is the start.
        end_s: Of audio or a clip: only the stretch to here, in seconds; None is the end.

    Example:
        >>> Part("text", "thunder", weight=-0.75)
        Part(kind='text', value='thunder', weight=-0.75, language='', start_s=None, end_s=None)
    """

    kind: PartKind
    value: AudioSource
    weight: float = 1.0
    language: str = ""
    start_s: float | None = None
    end_s: float | None = None

    @property
    def is_stretch(self) -> bool:
        """Whether it is a stretch of a sound."""
        return self.start_s is not None or self.end_s is not None


def read_stretch_text(text: str) -> tuple[str, float | None, float | None]:
    """Name, start and end in seconds, from ``NAME@START-END``; a name without a stretch has neither.

    Example:
        >>> read_stretch_text("door.wav@12.5-15"), read_stretch_text("door.wav@1:02.5-1:03")
        (('door.wav', 12.5, 15.0), ('door.wav', 62.5, 63.0))
        >>> read_stretch_text("me@home.wav")
        ('me@home.wav', None, None)
    """
    match = _STRETCH.fullmatch(text)
    if match is None:
        return text, None, None
    return match[1], _seconds(match[2]), _seconds(match[3])


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
        audio: Sounds to look for: paths of files, or the bytes of files. "door.wav@12.5-15" is a stretch of a file.
        like: Ids of stored clips to look for; "ID@12.5-15" is a stretch of one.
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
        *(_sound("audio", value) for value in _listed(audio)),
        *(_sound("clip", value) for value in _listed(like)),
        *(Part("text", v, away) if isinstance(v, str) else _sound("audio", v, away) for v in _listed(avoid)),
        *(_sound("clip", value, away) for value in _listed(unlike)),
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
        if part.is_stretch and not 0 <= (part.start_s or 0.0) < (inf if part.end_s is None else part.end_s):
            raise ConfigError(f"a stretch from {part.start_s} to {part.end_s} s; expected 0 <= start < end")
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


def is_sound_file(text: str) -> bool:
    """Whether a text names an existing file, whole or with a stretch."""
    return Path(text).is_file() or Path(read_stretch_text(text)[0]).is_file()


def _sound(kind: PartKind, value: AudioSource, weight: float = 1.0) -> Part:
    """A part of a sound, with the stretch that its name ends in; a file of exactly this name is taken whole."""
    if isinstance(value, bytes) or (kind == "audio" and Path(value).is_file()):
        return Part(kind, value, weight)
    name, start_s, end_s = read_stretch_text(str(value))
    return Part(kind, name if isinstance(value, str) else Path(name), weight, start_s=start_s, end_s=end_s)


def _seconds(text: str) -> float:
    """Seconds from ``[[H:]M:]S``."""
    seconds = 0.0
    for field in text.split(":"):
        seconds = 60 * seconds + float(field)
    return seconds


def _listed(value: AudioSource | Sequence[Any] | None) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str | Path | bytes) else list(value)
