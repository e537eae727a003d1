"""One scene: draw labels and their relation, fetch the sounds, place and mix them, word the result.

Every draw comes from generators seeded by (seed, part, index), one for the sound and one for the words, so a scene
does not depend on how many others are made, in which order, or in which process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.core.types import FloatArray
from askaudio.data.manifest import Caption, Clip
from askaudio.scenes.captions import captions_for
from askaudio.scenes.event import Event, Relation, Scene, truth
from askaudio.scenes.loudness import at_loudness
from askaudio.scenes.source import PARTS, Part, Sound, SoundSource

_N_EVENTS = (0.25, 0.45, 0.30)  # shares of scenes with one, two, three events
_RELATIONS: tuple[Relation, ...] = ("sequence", "together", "background")
_RELATION_SHARES = (0.5, 0.25, 0.25)
_GAP_S = 0.15  # least silence between the events of a sequence
_LEVEL_DB = -23.0  # reference loudness of an event
_FRONT_DB = (-3.0, 3.0)
_BACK_DB = (-14.0, -9.0)
_PEAK = 0.89  # highest sample of a scene


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """What a scene looks like, apart from its sounds.

    Args:
        seed: Seed of every draw.
        zipf: Exponent of the label frequencies; 0 makes all labels equally frequent.
        duration_s: Length of each scene.
        sample_rate_hz: Rate of each scene.
        max_events: Most events in a scene, 1 to 3.
        n_captions: Captions a scene.

    Raises:
        ConfigError: A value is out of range.
    """

    seed: int = 0
    zipf: float = 0.8
    duration_s: float = 10.0
    sample_rate_hz: int = 32_000
    max_events: int = 3
    n_captions: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.max_events <= 3:
            raise ConfigError(f"max_events must be 1, 2 or 3, got {self.max_events}")
        if self.duration_s < 2 or self.sample_rate_hz < 8000 or self.n_captions < 1:
            raise ConfigError(
                "scenes need duration_s >= 2, sample_rate_hz >= 8000 and n_captions >= 1, got "
                f"{self.duration_s}, {self.sample_rate_hz}, {self.n_captions}"
            )
        if self.zipf < 0 or self.seed < 0:
            raise ConfigError(f"zipf and seed must not be negative, got {self.zipf} and {self.seed}")


@dataclass(frozen=True, slots=True)
class _Placed:
    """A sound with its place in the scene; ``start`` in samples."""

    label: str
    sound: Sound
    gain_db: float
    start: int

    def event(self, sample_rate_hz: int) -> Event:
        return Event(
            label=self.label,
            start_s=round(self.start / sample_rate_hz, 3),
            end_s=round((self.start + len(self.sound.samples)) / sample_rate_hz, 3),
            attributes=dict(self.sound.attributes),
            gain_db=round(self.gain_db, 1),
            recording=self.sound.recording,
            repeats=self.sound.repeats,
        )


def make_scene(source: SoundSource, settings: SceneSettings, part: Part, index: int) -> Scene:
    """Make scene ``index`` of a part; a function of its arguments alone.

    Args:
        source: Where the sounds come from.
        settings: What a scene looks like.
        part: Part of the library that the scene belongs to.
        index: Number of the scene within its part, from 0.
    """
    sound_rng, word_rng = (np.random.default_rng([settings.seed, PARTS.index(part), index, k]) for k in (0, 1))
    relation, placed = _arrange(source, settings, part, sound_rng)
    events = tuple(p.event(settings.sample_rate_hz) for p in placed)
    texts = captions_for(events, relation, source.wordings, word_rng, settings.n_captions)
    clip_id = f"{part}-{index:06d}"
    clip = Clip(
        clip_id=clip_id,
        path=f"audio/{part}/{clip_id}.flac",
        captions=tuple(Caption(f"{clip_id}#{k}", text) for k, text in enumerate(texts)),
        split="train" if part == "external" else part,  # an external library is training data
        group=clip_id,
        label="; ".join(e.label for e in events),
        duration_s=settings.duration_s,
        licence=" | ".join(sorted({p.sound.licence for p in placed if p.sound.licence})),
        source="scene of recordings" if placed[0].sound.recording else "synthesised scene",
        extra=truth(events, relation),
    )
    return Scene(clip, _mix(placed, settings), events, relation)


def _arrange(
    source: SoundSource, settings: SceneSettings, part: Part, rng: np.random.Generator
) -> tuple[Relation, list[_Placed]]:
    """Draw labels, relation, sounds, loudness and places."""
    labels = _draw_labels(source.labels, settings, rng)
    drawn = _RELATIONS[int(rng.choice(len(_RELATIONS), p=_RELATION_SHARES))]
    relation: Relation = "single" if len(labels) == 1 else drawn
    rate = settings.sample_rate_hz
    limits = _limits(len(labels), relation, settings.duration_s, rng)
    sounds = [source.draw(label, part, rng, limit, rate) for label, limit in zip(labels, limits, strict=True)]
    ranges = [_BACK_DB if relation == "background" and k else _FRONT_DB for k in range(len(labels))]
    gains_db = [float(rng.uniform(*r)) + s.gain_db for r, s in zip(ranges, sounds, strict=True)]
    starts = _place([len(s.samples) for s in sounds], relation, settings, rng)
    return relation, [_Placed(*p) for p in zip(labels, sounds, gains_db, starts, strict=True)]


def label_weights(n: int, zipf: float) -> FloatArray:
    """Zipf weights (n,): the label of rank r has a share proportional to 1 / r ** zipf."""
    weights = 1.0 / np.arange(1, n + 1) ** zipf
    return (weights / weights.sum()).astype(np.float64)  # type: ignore[return-value]


def _draw_labels(labels: tuple[str, ...], settings: SceneSettings, rng: np.random.Generator) -> list[str]:
    shares = np.array(_N_EVENTS[: settings.max_events])
    n = min(1 + int(rng.choice(settings.max_events, p=shares / shares.sum())), len(labels))
    chosen = rng.choice(len(labels), size=n, replace=False, p=label_weights(len(labels), settings.zipf))
    return [labels[int(k)] for k in chosen]


def _limits(n: int, relation: Relation, duration_s: float, rng: np.random.Generator) -> list[float]:
    """Longest duration of each event in seconds."""
    if relation == "sequence":
        return [(duration_s - _GAP_S * n) / n * float(rng.uniform(0.7, 1.0)) for _ in range(n)]
    if relation == "background":
        return [duration_s * float(rng.uniform(0.3, 0.7)), *([duration_s] * (n - 1))]
    return [duration_s * float(rng.uniform(0.6, 1.0)) for _ in range(n)]


def _place(lengths: list[int], relation: Relation, settings: SceneSettings, rng: np.random.Generator) -> list[int]:
    """First sample of each event: in turn for a sequence, else so that all sound at one common moment."""
    total, least_gap = round(settings.duration_s * settings.sample_rate_hz), int(_GAP_S * settings.sample_rate_hz)
    n = np.array(lengths, dtype=np.int64)
    if relation == "sequence":
        spare = total - int(n.sum()) - least_gap * (len(n) - 1)
        gaps = rng.dirichlet(np.ones(len(n) + 1)) * max(0, spare)
        before = np.concatenate([[0], np.cumsum(n[:-1] + least_gap)])  # what lies before each event at least
        return [int(x) for x in np.cumsum(gaps[:-1]) + before]
    if relation == "single":
        return [int(rng.random() * (total - n[0]))]
    # One moment lies inside every event: each start is drawn between the latest and the earliest that cover it.
    moment = int(rng.uniform(0.25, 0.75) * total)
    low = np.maximum(0, moment - n + 1)
    high = np.maximum(low, np.minimum(moment, total - n))
    return [int(x) for x in low + rng.random(len(n)) * (high - low)]


def _mix(placed: list[_Placed], settings: SceneSettings) -> FloatArray:
    """Waveform (S,): every sound at its loudness; scaled down where the sum would clip."""
    rate = settings.sample_rate_hz
    out = np.zeros(round(settings.duration_s * rate), dtype=np.float32)
    for p in placed:
        out[p.start : p.start + len(p.sound.samples)] += at_loudness(p.sound.samples, rate, _LEVEL_DB + p.gain_db)
    peak = float(np.abs(out).max())
    return out if peak <= _PEAK else out * np.float32(_PEAK / peak)
