"""Where the sounds of a scene come from: recordings or synthesis, behind one small contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.scenes.wording import Wording

# A part is a split, or "external": scenes of recordings that neither training nor test ever uses.
Part = Literal["train", "val", "test", "external"]
PARTS: tuple[Part, ...] = ("train", "val", "test", "external")


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound of a label: waveform (S,) float32, what may be said about it, and how loud it is against others."""

    samples: FloatArray
    attributes: Mapping[str, str] = field(default_factory=dict)
    recording: str = ""
    licence: str = ""
    repeats: int = 1
    gain_db: float = 0.0


class SoundSource(Protocol):
    """Gives sounds by label. Labels are ordered: the first is the most frequent under a Zipf law."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, most frequent first."""
        ...

    @property
    def wordings(self) -> Mapping[str, Wording]:
        """Label -> its phrases."""
        ...

    def draw(
        self, label: str, part: Part, rng: np.random.Generator, max_duration_s: float, sample_rate_hz: int
    ) -> Sound:
        """A sound of the label of at most ``max_duration_s``; the same for the same state of ``rng``.

        Args:
            label: A label of this source.
            part: Part of the library that the scene belongs to.
            rng: Source of every choice.
            max_duration_s: Largest length in seconds.
            sample_rate_hz: Sample rate of the result.
        """
        ...

    def describe(self) -> dict[str, object]:
        """What the sounds depend on, as JSON: part of the fingerprint of a written library."""
        ...
