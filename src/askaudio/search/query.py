"""What is asked: parts of text, audio or stored clips, each with a weight; a negative weight means "not like that"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from askaudio.core.errors import ConfigError

AudioSource: TypeAlias = str | Path | bytes
PartKind = Literal["text", "audio", "clip"]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a query.

    Attributes:
        kind: "text" (words), "audio" (a file's path or its bytes) or "clip" (the id of a stored clip).
        value: The words, the file or the clip_id.
        weight: Its share in the query; below zero, sounds like it sink in the ranking.
    """

    kind: PartKind
    value: AudioSource
    weight: float = 1.0


def make_parts(
    text: str | Sequence[str] | None = None,
    audio: AudioSource | Sequence[AudioSource] | None = None,
    more: Sequence[Part] = (),
) -> tuple[Part, ...]:
    """Put the short forms (words, files) and ready parts together.

    Raises:
        ConfigError: Nothing is asked, a text is empty, or nothing has a positive weight.
    """
    texts = [text] if isinstance(text, str) else list(text or ())
    sounds = [audio] if isinstance(audio, str | Path | bytes) else list(audio or ())
    parts = (*(Part("text", t) for t in texts), *(Part("audio", a) for a in sounds), *more)
    if not any(part.weight > 0 for part in parts):
        raise ConfigError(
            "a query needs words or a sound to look for (what to avoid comes on top), got "
            f'{"nothing" if not parts else "only things to avoid"}; for example: askaudio search "rain on a tin roof"'
        )
    for part in parts:
        if part.kind == "text" and not str(part.value).strip():
            raise ConfigError("a query text is empty; expected words that describe a sound")
    return parts
