"""Captions with realistic errors, for measuring how training bears them; each function says which pairs are wrong.

All of them change a given share of the captions of one split and leave the rest, and the other splits, as they are.
Returned with the manifest: a mask over its captions in order, true where the caption is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import BoolArray, Split
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.scenes.captions import captions_for
from askaudio.scenes.event import Event, Relation, events_of
from askaudio.scenes.wording import Wording

Pair = tuple[int, int]  # (place of the clip in the manifest, place of the caption in the clip)


def exchange_captions(
    manifest: Manifest, share: float, seed: int = 0, split: Split = "train"
) -> tuple[Manifest, BoolArray]:
    """Exchange captions between clips at random; of generated scenes, never between two that hold the same events.

    Args:
        manifest: Clips with captions.
        share: Share of the pairs that become wrong, in [0, 1].
        seed: Seed of the choice.
        split: The split to change.

    Returns:
        The manifest, and the mask (number of captions,) of wrong pairs.
    """
    rng = np.random.default_rng([seed, 1])
    chosen = _choose(_pairs(manifest, split), share, rng)
    content = [_content(clip) for clip in manifest]
    number = {key: k for k, key in enumerate(dict.fromkeys(content))}
    givers = _deranged([number[content[clip]] for clip, _ in chosen], rng)
    texts = {pair: _text(manifest, chosen[j]) for pair, j in zip(chosen, givers, strict=True)}
    return _with_texts(manifest, texts)


def similar_captions(
    manifest: Manifest, share: float, seed: int = 0, split: Split = "train"
) -> tuple[Manifest, BoolArray]:
    """Give pairs the caption of a similar scene: one that shares a label, but not all of them.

    Raises:
        DataError: The clips are not generated scenes, or too few have a similar one.
    """
    rng = np.random.default_rng([seed, 2])
    labels = [frozenset(e.label for e in events_of(c)[0]) if c.split == split else frozenset() for c in manifest]
    having: dict[str, list[int]] = {}
    for k, of_clip in enumerate(labels):
        for label in of_clip:
            having.setdefault(label, []).append(k)

    def similar(clip: int) -> list[int]:
        near = {j for label in labels[clip] for j in having[label]}
        return sorted(j for j in near if labels[j] != labels[clip] and manifest.clips[j].captions)

    eligible = [pair for pair in _pairs(manifest, split) if similar(pair[0])]
    texts = {}
    for pair in _choose(eligible, share, rng, len(_pairs(manifest, split))):
        near = similar(pair[0])
        captions = manifest.clips[near[int(rng.integers(len(near)))]].captions
        texts[pair] = captions[int(rng.integers(len(captions)))].text
    return _with_texts(manifest, texts)


def drop_event(
    manifest: Manifest, wordings: Mapping[str, Wording], share: float, seed: int = 0, split: Split = "train"
) -> tuple[Manifest, BoolArray]:
    """Leave one event out of captions (scenes of two or three events only).

    Raises:
        DataError: The clips are not generated scenes, or too few have two events.
    """

    def without_one(events: tuple[Event, ...], rng: np.random.Generator) -> tuple[Event, ...] | None:
        k = int(rng.integers(len(events)))
        return None if len(events) == 1 else (*events[:k], *events[k + 1 :])

    return _reworded(manifest, wordings, share, np.random.default_rng([seed, 3]), split, without_one)


def wrong_event(
    manifest: Manifest, wordings: Mapping[str, Wording], share: float, seed: int = 0, split: Split = "train"
) -> tuple[Manifest, BoolArray]:
    """Name a sound that is not there instead of one that is.

    Raises:
        DataError: The clips are not generated scenes.
    """

    def with_other(events: tuple[Event, ...], rng: np.random.Generator) -> tuple[Event, ...] | None:
        others = sorted(set(wordings) - {e.label for e in events})
        k = int(rng.integers(len(events)))
        wrong = replace(events[k], label=str(rng.choice(others)), attributes={})
        return (*events[:k], wrong, *events[k + 1 :])

    return _reworded(manifest, wordings, share, np.random.default_rng([seed, 4]), split, with_other)


def _reworded(
    manifest: Manifest,
    wordings: Mapping[str, Wording],
    share: float,
    rng: np.random.Generator,
    split: Split,
    change: Callable[[tuple[Event, ...], np.random.Generator], tuple[Event, ...] | None],
) -> tuple[Manifest, BoolArray]:
    pairs = _pairs(manifest, split)
    probe = np.random.default_rng(0)
    eligible = [pair for pair in pairs if change(events_of(manifest.clips[pair[0]])[0], probe) is not None]
    texts = {}
    for pair in _choose(eligible, share, rng, len(pairs)):
        events, relation = events_of(manifest.clips[pair[0]])
        changed = change(events, rng)
        if changed is not None:
            left: Relation = "single" if len(changed) == 1 else relation
            texts[pair] = captions_for(changed, left, wordings, rng, 1)[0]
    return _with_texts(manifest, texts)


def _content(clip: Clip) -> str:
    """What a clip holds: its labels and their relation if that is known, else the clip itself."""
    if "events" not in clip.extra:
        return clip.clip_id
    events, relation = events_of(clip)
    return "|".join([relation, *(e.label for e in events)])


def _pairs(manifest: Manifest, split: Split) -> list[Pair]:
    return [(k, j) for k, clip in enumerate(manifest) if clip.split == split for j in range(len(clip.captions))]


def _choose(eligible: list[Pair], share: float, rng: np.random.Generator, n_pairs: int | None = None) -> list[Pair]:
    """``share`` of all pairs, drawn from the eligible ones."""
    if not 0 <= share <= 1:
        raise ConfigError(f"the share of wrong captions must be between 0 and 1, got {share}")
    wanted = round(share * (len(eligible) if n_pairs is None else n_pairs))
    if wanted > len(eligible):
        raise DataError(f"{wanted} captions were to be made wrong, but only {len(eligible)} can be; lower the share")
    return [eligible[int(k)] for k in sorted(rng.choice(len(eligible), size=wanted, replace=False))]


def _deranged(owner: list[int], rng: np.random.Generator) -> list[int]:
    """A permutation of places in which no place goes to one of the same owner.

    Places sorted by owner and moved on by the size of the largest owner's share meet another owner, unless one
    owner has more than half of them.
    """
    if len(owner) < 2:
        if owner:
            raise DataError("one caption alone cannot be exchanged; raise the share")
        return []
    tie = rng.permutation(len(owner))
    shuffled = rng.permutation(max(owner) + 1)  # owners in random order, so that givers are random
    order = sorted(range(len(owner)), key=lambda k: (shuffled[owner[k]], tie[k]))
    largest = max(np.bincount(owner))
    if 2 * largest > len(owner):
        raise DataError("one clip holds more than half of the captions to be exchanged; raise the share")
    step = int(rng.integers(largest, len(owner) - largest + 1))
    givers = [0] * len(owner)
    for place, k in enumerate(order):
        givers[k] = order[(place + step) % len(order)]
    return givers


def _text(manifest: Manifest, pair: Pair) -> str:
    return manifest.clips[pair[0]].captions[pair[1]].text


def _with_texts(manifest: Manifest, texts: Mapping[Pair, str]) -> tuple[Manifest, BoolArray]:
    clips: list[Clip] = []
    wrong: list[bool] = []
    for k, clip in enumerate(manifest):
        own = {c.text for c in clip.captions}
        captions = []
        for j, caption in enumerate(clip.captions):
            text = texts.get((k, j), caption.text)
            wrong.append((k, j) in texts and text not in own)  # a caption that another clip shares is not wrong
            captions.append(Caption(caption.caption_id, text))
        clips.append(replace(clip, captions=tuple(captions)))
    return Manifest(manifest.name, tuple(clips)), np.array(wrong, dtype=np.bool_)
