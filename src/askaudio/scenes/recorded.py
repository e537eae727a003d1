"""Sounds cut from real recordings, by class; train, val, test and external scenes never share a group of recordings."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from askaudio.audio.decode import decode
from askaudio.core.errors import DataError
from askaudio.core.files import fingerprint
from askaudio.core.types import FloatArray
from askaudio.data.manifest import Clip, Manifest
from askaudio.scenes.attributes import bursts, give_attributes, with_attributes
from askaudio.scenes.loudness import fade, frame_power, trim
from askaudio.scenes.phrases import SoundClass, sort_recordings
from askaudio.scenes.same_audio import joined_groups
from askaudio.scenes.source import Part, Sound
from askaudio.scenes.wording import Wording

NEEDED: tuple[Part, ...] = ("train", "val", "test")
_SHARES: dict[Part, float] = {"test": 0.2, "val": 0.1}
_SHORT_S = 1.2  # a recording shorter than this may be played several times
_MAX_REPEATS = 3


def drop_sources(manifest: Manifest, exclude: Sequence[str]) -> Manifest:
    """Leave out recordings whose id, source or licence holds one of the words (say "urbansound8k" or "BY-NC")."""
    words = [w.lower() for w in exclude]
    return manifest.where(not any(w in f"{c.clip_id}|{c.source}|{c.licence}".lower() for w in words) for c in manifest)


def deal_groups(groups_of: Mapping[str, set[str]], external_share: float, seed: int) -> dict[str, Part]:
    """Deal groups of recordings to parts so that each class of three groups or more has train, val and test groups.

    Classes are served from the rarest on, groups in an order given by a hash of (seed, group). A class gives about
    20 % of its groups to test, 10 % to val, ``external_share`` of the rest to external scenes, at least one each to
    test, val and train.

    Args:
        groups_of: Class -> its groups; a group may belong to several classes.
        external_share: Share of the groups kept apart for an external library.
        seed: Another seed deals another way.

    Returns:
        Group -> part.
    """
    part_of: dict[str, Part] = {}
    for name in sorted(groups_of, key=lambda n: (len(groups_of[n]), n)):
        groups = sorted(groups_of[name], key=lambda g: hashlib.sha256(f"{seed}|{g}".encode()).hexdigest())
        have = Counter(part_of[g] for g in groups if g in part_of)
        free = [g for g in groups if g not in part_of]
        for part, count in _group_counts(len(groups), external_share).items():
            missing = max(0, count - have[part])
            part_of.update(dict.fromkeys(free[:missing], part))
            free = free[missing:]
        part_of.update(dict.fromkeys(free, "train"))
    return part_of


def _group_counts(n: int, external_share: float) -> dict[Part, int]:
    counts: dict[Part, int] = {part: max(1, round(share * n)) for part, share in _SHARES.items()}
    counts = {"train": 1, **counts}  # one group for training first, so that a class of three is complete
    counts["external"] = max(0, min(round(external_share * n), n - sum(counts.values())))
    return counts


class RecordedSource:
    """Recordings of a manifest, sorted into classes by a phrase table.

    Labels are ordered by their number of groups, so that under a Zipf law a frequent class has many different
    recordings and a rare class has few, as in collected data.

    Groups that hold the same recording under two names are joined first (``same_audio``).

    Args:
        manifest: The recordings; ``group`` names what must not be split.
        classes: The phrase table.
        n_classes: Keep this many classes, those with most groups; None keeps all that can be dealt to all parts.
        external_share: Share of each class's groups kept for the part "external".
        seed: Seed of the dealing of groups.
        attributes: Give sounds loudness, distance and count, which captions may name (``attributes.py``).

    Raises:
        DataError: Not one class has enough groups.
        AudioDecodeError: A recording is missing.
    """

    def __init__(
        self,
        manifest: Manifest,
        classes: tuple[SoundClass, ...],
        n_classes: int | None = None,
        external_share: float = 0.0,
        seed: int = 0,
        attributes: bool = False,
    ) -> None:
        clips_of = sort_recordings(manifest, classes)
        self.group_of = joined_groups(c for clips in clips_of.values() for c in clips)
        groups_of = {name: {self.group_of[c.clip_id] for c in clips} for name, clips in clips_of.items()}
        groups_of = {name: groups for name, groups in groups_of.items() if len(groups) >= len(NEEDED)}
        self.part_of = deal_groups(groups_of, external_share, seed)
        complete = [n for n, g in groups_of.items() if set(NEEDED) <= {self.part_of[x] for x in g}]
        self._labels = tuple(sorted(complete, key=lambda n: (-len(groups_of[n]), n))[:n_classes])
        if not self._labels:
            raise DataError(
                f"{manifest.name}: no class of the phrase table has {len(NEEDED)} groups of recordings "
                f"({len(manifest)} clips looked at); write a phrase table for your labels and give it with --phrases"
            )
        self._attributes = attributes
        self._wordings = {c.name: c.wording for c in classes if c.name in self._labels}
        if attributes:
            self._wordings = {name: with_attributes(wording) for name, wording in self._wordings.items()}
        self._clips = {name: self._by_part(clips_of[name]) for name in self._labels}

    def _by_part(self, clips: Sequence[Clip]) -> dict[Part, list[list[Clip]]]:
        groups: dict[str, list[Clip]] = {}
        for clip in clips:
            groups.setdefault(self.group_of[clip.clip_id], []).append(clip)
        out: dict[Part, list[list[Clip]]] = {}
        for group in sorted(groups):
            out.setdefault(self.part_of[group], []).append(groups[group])
        return out

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, those with most groups first."""
        return self._labels

    @property
    def wordings(self) -> Mapping[str, Wording]:
        """Class -> its phrases."""
        return self._wordings

    def groups(self, label: str, part: Part) -> list[list[Clip]]:
        """The recordings of a class in a part, by group."""
        return self._clips[label].get(part, [])

    def describe(self) -> dict[str, object]:
        """Classes, phrases and the recordings of each part."""
        clips = {n: {p: [[c.clip_id for c in g] for g in gs] for p, gs in v.items()} for n, v in self._clips.items()}
        words = {n: [*w.nouns, *w.clauses] for n, w in self._wordings.items()}
        about: dict[str, object] = {
            "kind": "recordings",
            "labels": list(self._labels),
            "content": fingerprint([clips, words]),
        }
        return {**about, "attributes": True} if self._attributes else about

    def draw(
        self, label: str, part: Part, rng: np.random.Generator, max_duration_s: float, sample_rate_hz: int
    ) -> Sound:
        """Take a group, then one of its recordings; cut or repeat it.

        Arguments are those of ``SoundSource.draw``.

        Raises:
            DataError: The class has no recording in this part, or only silent ones were met.
            AudioDecodeError: A recording cannot be decoded.
        """
        groups = self.groups(label, part)
        if not groups:
            raise DataError(f"class {label!r} has no recordings for {part} scenes; ask for a larger external share")
        for _ in range(20):
            group = groups[int(rng.integers(len(groups)))]
            clip = group[int(rng.integers(len(group)))]
            samples = trim(decode(clip.path, sample_rate_hz), sample_rate_hz)
            if len(samples):
                countable = len(samples) < _SHORT_S * sample_rate_hz and bursts(samples, sample_rate_hz) == 1
                samples, repeats = _fit(samples, rng, max_duration_s, sample_rate_hz)
                sound = Sound(samples, recording=clip.clip_id, licence=clip.licence, repeats=repeats)
                if self._attributes:
                    return give_attributes(sound, countable, rng, max_duration_s, sample_rate_hz)
                return sound
        raise DataError(f"class {label!r}: 20 recordings in a row were silent; check them with: askaudio data check")


def _fit(
    samples: FloatArray, rng: np.random.Generator, max_duration_s: float, sample_rate_hz: int
) -> tuple[FloatArray, int]:
    """Cut a long recording to a passage that sounds, repeat a short one; always the same number of draws."""
    where, gap_s, drawn = rng.random(), rng.uniform(0.15, 0.6), int(rng.integers(1, _MAX_REPEATS + 1))
    limit = int(max_duration_s * sample_rate_hz)
    if len(samples) > limit:
        start = int(where * (len(samples) - limit))
        power = frame_power(samples, sample_rate_hz)
        passage = samples[start : start + limit]
        if np.mean(passage**2) < 0.05 * power.mean():  # a pause: take the loudest place instead
            frame = len(samples) / len(power)
            start = min(max(0, int(power.argmax() * frame) - limit // 4), len(samples) - limit)
            passage = samples[start : start + limit]
        return fade(passage, sample_rate_hz), 1
    if len(samples) >= _SHORT_S * sample_rate_hz:
        return fade(samples, sample_rate_hz), 1
    gap = np.zeros(int(gap_s * sample_rate_hz), dtype=np.float32)
    repeats = min(drawn, max(1, (limit + len(gap)) // (len(samples) + len(gap))))
    one = fade(samples, sample_rate_hz, 0.003)
    return np.concatenate([one, *([gap, one] * (repeats - 1))]), repeats
