"""Long recordings with known moments: real sounds at known times and levels in a looped real ambience.

Lengths of moments follow CASTELLA's distribution (10 % of at most 1 s, median 4 s, 90 % under 23 s). A sound that is
shorter than its moment is repeated after short pauses, as a dog barks several times; a longer one is cut. Every sound
is trimmed to where it is at most 25 dB below its loudest place, so that its times are those that can be perceived in
the ambience. A recording depends on the sounds, the settings and its number only.

``write_long_recordings`` writes FLAC files and ``moments.jsonl``, which ``askaudio moments evaluate`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from askaudio.audio.decode import decode
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.files import atomic_path
from askaudio.core.text import json_line
from askaudio.core.types import FloatArray, Json, Progress, silent
from askaudio.data.manifest import Clip
from askaudio.scenes.loudness import at_loudness, fade, trim

LEVELS_DB = (-10.0, -5.0, 0.0, 5.0, 10.0)
TRUTH_FILE = "moments.jsonl"
_LONGEST_S, _SHORTEST_S = 30.0, 0.5
_MEDIAN_S, _SPREAD = 4.0, 1.366  # log-normal: 90 % are below 4 exp(1.2816 * 1.366) = 23 s
_AMBIENCE_DB = -35.0  # RMS of the ambience; at +10 dB few sounds reach full scale
_ACTIVE_DB = -25.0
_PAUSE_S = (0.05, 0.35)  # between repetitions of a short sound
_CROSSFADE_S = 1.0  # of the loops of the ambience
_GAP_S = 3.0  # least time between two moments
_PEAK = 0.95


@dataclass(frozen=True, slots=True)
class LongSettings:
    """What the recordings look like, apart from their sounds.

    Args:
        seed: Seed of every draw.
        sample_rate_hz: Sample rate of the recordings.
        shortest_s: Length of the shortest recording, in seconds.
        longest_s: Length of the longest one.
        most_labels: Most different sounds in a recording; each has one or two moments.
        levels_db: Levels of sounds against the ambience (active RMS against RMS), drawn with equal probability.

    Raises:
        ConfigError: A value is out of range.
    """

    seed: int = 0
    sample_rate_hz: int = 32_000
    shortest_s: float = 60.0
    longest_s: float = 240.0
    most_labels: int = 5
    levels_db: tuple[float, ...] = LEVELS_DB

    def __post_init__(self) -> None:
        if not 20 <= self.shortest_s <= self.longest_s or self.most_labels < 1 or not self.levels_db:
            raise ConfigError(
                "long recordings need 20 <= shortest_s <= longest_s, most_labels >= 1 and a level, got "
                f"{self.shortest_s:g}, {self.longest_s:g}, {self.most_labels} and {self.levels_db}"
            )


@dataclass(frozen=True, slots=True)
class LongRecording:
    """A waveform and its queries.

    Attributes:
        name: Name of the recording.
        samples: (S,) float32 in [-1, 1].
        queries: Rows of the truth file, one for each label.
    """

    name: str
    samples: FloatArray
    queries: tuple[Json, ...]


@dataclass(slots=True)
class _Label:
    """A sound class in one recording: the waveforms of its moments, and their starts in samples."""

    name: str
    level_db: float
    sounds: list[FloatArray]
    recordings: list[str]
    starts: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LongSource:
    """Sounds of one part of a data set; parts must not share a group of recordings.

    Attributes:
        classes: Name of a class -> its recordings.
        phrases: Name of a class -> texts that describe it, which become queries.
        ambiences: Recordings of ambiences.
        conflicts: Id of an ambience -> classes that it may contain, which are not placed in it.
    """

    classes: Mapping[str, Sequence[Clip]]
    phrases: Mapping[str, Sequence[str]]
    ambiences: Sequence[Clip]
    conflicts: Mapping[str, frozenset[str]] = field(default_factory=dict)


def make_long_recording(source: LongSource, settings: LongSettings, index: int) -> LongRecording:
    """Make recording ``index``; a function of its arguments alone.

    Raises:
        DataError: The source has no classes or ambiences.
        AudioDecodeError: A recording cannot be decoded.
    """
    if not source.classes or not source.ambiences:
        raise DataError("long recordings need at least one class of sounds and one ambience")
    rng = np.random.default_rng([settings.seed, index])
    rate = settings.sample_rate_hz
    n_samples = round(rng.uniform(settings.shortest_s, settings.longest_s) * rate)
    ambience = source.ambiences[int(rng.integers(len(source.ambiences)))]
    out = _looped(decode(ambience.path, rate), n_samples, rng, rate)
    labels = _draw_labels(source, settings, ambience.clip_id, n_samples / rate, rng)
    _place(labels, n_samples, rate, rng)
    for label in labels:
        for start, sound in zip(label.starts, label.sounds, strict=True):
            out[start : start + len(sound)] += at_loudness(sound, rate, _AMBIENCE_DB + label.level_db)
    peak = float(np.abs(out).max())
    name = f"long-{index:05d}"
    queries = tuple(
        _query(name, number, label, source, n_samples / rate, rate, rng) for number, label in enumerate(labels)
    )
    return LongRecording(name, out if peak <= _PEAK else out * np.float32(_PEAK / peak), queries)


def write_long_recordings(
    source: LongSource, folder: Path | str, count: int, settings: LongSettings, progress: Progress = silent
) -> Path:
    """Write recordings 0 to ``count`` - 1 as FLAC (16 bits), and their queries.

    Args:
        source: The sounds.
        folder: Target; made if missing. Recordings that it already holds are made again.
        count: Number of recordings.
        settings: What they look like.
        progress: Called after each recording.

    Returns:
        Path of the truth file.
    """
    folder = Path(folder)
    rows: list[Json] = []
    for index in range(count):
        recording = make_long_recording(source, settings, index)
        with atomic_path(folder / f"{recording.name}.flac") as temporary:
            soundfile.write(temporary, recording.samples, settings.sample_rate_hz, format="FLAC", subtype="PCM_16")
        rows += recording.queries
        progress(index + 1, count)
    with atomic_path(folder / TRUTH_FILE) as temporary:
        temporary.write_text("".join(map(json_line, rows)), encoding="utf-8")
    return folder / TRUTH_FILE


def _draw_labels(
    source: LongSource, settings: LongSettings, ambience: str, duration_s: float, rng: np.random.Generator
) -> list[_Label]:
    """Draw classes, levels and sounds, until about half of the recording is filled."""
    free = sorted(set(source.classes) - source.conflicts.get(ambience, frozenset()))
    n_labels = int(rng.integers(1, settings.most_labels + 1))
    labels: list[_Label] = []
    left_s = 0.5 * duration_s
    for k in rng.permutation(len(free))[:n_labels]:
        name, level_db = free[int(k)], float(rng.choice(settings.levels_db))
        label = _Label(name, level_db, [], [])
        for _ in range(2 if rng.random() < 0.3 else 1):
            length_s = min(_draw_length_s(rng), left_s)
            sound, recording = _draw_sound(source.classes[name], length_s, settings.sample_rate_hz, rng)
            label.sounds.append(sound)
            label.recordings.append(recording)
            left_s = max(_SHORTEST_S, left_s - len(sound) / settings.sample_rate_hz - _GAP_S)
        labels.append(label)
    return labels


def _draw_length_s(rng: np.random.Generator) -> float:
    return float(np.clip(_MEDIAN_S * np.exp(_SPREAD * rng.standard_normal()), 1.0, _LONGEST_S))


def _draw_sound(clips: Sequence[Clip], length_s: float, rate: int, rng: np.random.Generator) -> tuple[FloatArray, str]:
    """A sound of about ``length_s`` from one recording; shorter where its last pause would be part of it."""
    for _ in range(20):
        clip = clips[int(rng.integers(len(clips)))]
        sound = trim(decode(clip.path, rate), rate, _ACTIVE_DB)
        if len(sound):
            break
    else:
        raise DataError(f"20 recordings in a row were silent, the last one is {clip.path}")
    limit, pieces = round(length_s * rate), [sound]
    while sum(map(len, pieces)) < limit:
        pieces += [np.zeros(round(rng.uniform(*_PAUSE_S) * rate), dtype=np.float32), sound]
    whole = np.concatenate([fade(piece, rate, 0.003) for piece in pieces])
    return fade(trim(whole[:limit], rate, _ACTIVE_DB), rate), clip.clip_id


def _looped(samples: FloatArray, n_samples: int, rng: np.random.Generator, rate: int) -> FloatArray:
    """An ambience of ``n_samples`` at a fixed level, from a random place on, joined by crossfades of equal power."""
    samples = np.roll(samples, -int(rng.integers(len(samples))))
    n_fade = min(round(_CROSSFADE_S * rate), len(samples) // 4)
    ramp = np.sqrt(np.linspace(0.0, 1.0, n_fade, dtype=np.float32))
    out = np.zeros(n_samples + len(samples), dtype=np.float32)
    start = 0
    while start < n_samples:
        piece = samples.copy()
        if start:
            piece[:n_fade] *= ramp
        piece[len(piece) - n_fade :] *= ramp[::-1]
        out[start : start + len(piece)] += piece
        start += len(samples) - n_fade
    out = out[:n_samples]
    rms = float(np.sqrt(np.mean(out**2)))
    return out * np.float32(10 ** (_AMBIENCE_DB / 20) / rms) if rms > 0 else out


def _place(labels: list[_Label], n_samples: int, rate: int, rng: np.random.Generator) -> None:
    """Put all moments at random places, in random order, at least ``_GAP_S`` apart if there is room."""
    order = [(label, sound) for label in labels for sound in label.sounds]
    order = [order[int(k)] for k in rng.permutation(len(order))]
    spare = n_samples - sum(len(sound) for _, sound in order)
    least = min(round(_GAP_S * rate), spare // (len(order) + 1))
    gaps = rng.dirichlet(np.ones(len(order) + 1)) * (spare - least * (len(order) + 1))
    position, starts = 0, {}
    for (_, sound), gap in zip(order, gaps, strict=False):
        position += least + int(gap)
        starts[id(sound)] = position
        position += len(sound)
    for label in labels:
        label.starts = [starts[id(sound)] for sound in label.sounds]


def _query(
    name: str, number: int, label: _Label, source: LongSource, duration_s: float, rate: int, rng: np.random.Generator
) -> Json:
    texts = source.phrases[label.name]
    windows = [
        [round(start / rate, 3), round((start + len(sound)) / rate, 3)]
        for start, sound in sorted(zip(label.starts, label.sounds, strict=True), key=lambda pair: pair[0])
    ]
    return {
        "qid": f"{name}#{number}",
        "query": texts[int(rng.integers(len(texts)))],
        "vid": name,
        "duration": round(duration_s, 3),
        "relevant_windows": windows,
        "level_db": label.level_db,
        "label": label.name,
        "recordings": label.recordings,
    }
