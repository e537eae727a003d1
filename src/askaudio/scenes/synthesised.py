"""Sounds made from nothing: a kind's generator with drawn attributes, then loudness and distance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.scenes.attributes import AT_MOST_ONE, GAIN_DB
from askaudio.scenes.effects import far_away
from askaudio.scenes.kinds import animals, blasts, household, machines, music, nature, signals, water
from askaudio.scenes.kinds.registry import KINDS
from askaudio.scenes.loudness import fade, trim
from askaudio.scenes.source import Part, Sound
from askaudio.scenes.wording import Wording

FAMILIES = (nature, water, animals, signals, machines, music, household, blasts)  # importing them fills KINDS


class SynthesisedSource:
    """The registered kinds; under a Zipf law their frequency falls in an order drawn from the seed.

    Args:
        kinds: Names of the kinds to use; None takes all.
        seed: Seed of the order.

    Raises:
        ConfigError: A kind is not known.
    """

    def __init__(self, kinds: Sequence[str] | None = None, seed: int = 0) -> None:
        names = list(KINDS) if kinds is None else list(kinds)
        unknown = [name for name in names if name not in KINDS]
        if unknown or not names:
            raise ConfigError(f"unknown kinds of sound {unknown}; known are: {', '.join(sorted(KINDS))}")
        order = sorted(set(names), key=lambda n: hashlib.sha256(f"{seed}|{n}".encode()).hexdigest())
        self._labels = tuple(order)

    @property
    def labels(self) -> tuple[str, ...]:
        """Kinds, most frequent first."""
        return self._labels

    @property
    def wordings(self) -> Mapping[str, Wording]:
        """Kind -> its phrases."""
        return {name: KINDS[name].wording for name in self._labels}

    def describe(self) -> dict[str, object]:
        """The kinds, in order."""
        return {"kind": "synthesis", "labels": list(self._labels)}

    def draw(
        self, label: str, part: Part, rng: np.random.Generator, max_duration_s: float, sample_rate_hz: int
    ) -> Sound:
        """Make a sound of the kind with attributes drawn from ``rng``.

        Arguments are those of ``SoundSource.draw``; ``part`` has no effect.
        """
        kind = KINDS[label]
        attributes = {name: str(rng.choice(values)) for name, values in kind.values.items()}
        kept = int(rng.integers(len(AT_MOST_ONE) + 1))
        drop = [name for k, name in enumerate(AT_MOST_ONE) if k != kept]
        length = max_duration_s * float(rng.uniform(0.7, 1.0))
        samples = trim(kind.make(rng, length, sample_rate_hz, attributes), sample_rate_hz)
        attributes = {name: value for name, value in attributes.items() if name not in drop}
        if attributes.get("distance") == "far":
            tail_s = max_duration_s - len(samples) / sample_rate_hz
            samples = far_away(samples, rng, sample_rate_hz, tail_s)
        gain_db = sum(GAIN_DB[attributes[name]] for name in AT_MOST_ONE if name in attributes)
        return Sound(fade(samples, sample_rate_hz, 0.003), attributes, gain_db=gain_db)
