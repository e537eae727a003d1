"""Add realistic errors to captions, to measure how well a training tolerates them.

Each function changes a given share of the captions of the training split and returns a new manifest, with a mask over
its captions in order that is true where the caption is wrong. Other splits are not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import BoolArray
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.scenes.captions import captions_for
from askaudio.scenes.event import Event, Relation, events_of
from askaudio.scenes.wording import Wording

Pair = tuple[int, int]  # (index of the clip in the manifest, index of the caption in the clip)
SPLIT = "train"  # the split that is changed


def exchange_captions(manifest: Manifest, share: float, seed: int = 0) -> tuple[Manifest, BoolArray]:
    """Exchange captions between clips at random; never between two generated scenes with the same events.

    Args:
        manifest: Clips with captions.
        share: Share of the pairs that become wrong, in [0, 1].
        seed: Seed of the choice.

    Returns:
        The manifest, and the mask (number of captions,) of wrong pairs.

    Raises:
        ConfigError: The share is not in [0, 1].
        DataError: The captions cannot be exchanged.
    """
    rng = np.random.default_rng([seed, 1])
    chosen = _choose(_pairs(manifest), share, rng)
    content = [_content(clip) for clip in manifest]
    number = {key: k for k, key in enumerate(dict.fromkeys(content))}
    givers = _deranged([number[content[clip]] for clip, _ in chosen], rng)
    texts = {pair: _text(manifest, chosen[j]) for pair, j in zip(chosen, givers, strict=True)}
    return _with_texts(manifest, texts)


def similar_captions(manifest: Manifest, share: float, seed: int = 0) -> tuple[Manifest, BoolArray]:
    """Replace captions by one of a similar scene, which shares some labels but not all.

    Args:
        manifest: Generated scenes with captions.
        share: Share of the pairs that become wrong, in [0, 1].
        seed: Seed of the choice.

    Returns:
        The manifest, and the mask (number of captions,) of wrong pairs.

    Raises:
        DataError: The clips are not generated scenes, or too few have a similar one.
    """
    rng = np.random.default_rng([seed, 2])
    labels = [frozenset(e.label for e in events_of(c)[0]) if c.split == SPLIT else frozenset() for c in manifest]
    having: dict[str, list[int]] = {}
    for k, of_clip in enumerate(labels):
        for label in of_clip:
            having.setdefault(label, []).append(k)

    def similar(clip: int) -> list[int]:
        near = {j for label in labels[clip] for j in having[label]}
        return sorted(j for j in near if labels[j] != labels[clip] and manifest.clips[j].captions)

    eligible = [pair for pair in _pairs(manifest) if similar(pair[0])]
    texts = {}
    for pair in _choose(eligible, share, rng, len(_pairs(manifest))):
        near = similar(pair[0])
        captions = manifest.clips[near[int(rng.integers(len(near)))]].captions
        texts[pair] = captions[int(rng.integers(len(captions)))].text
    return _with_texts(manifest, texts)


def drop_event(
    manifest: Manifest, wordings: Mapping[str, Wording], share: float, seed: int = 0
) -> tuple[Manifest, BoolArray]:  # fmt: skip
    """Omit one event from captions of scenes with two or three events.

    Args:
        manifest: Generated scenes with captions.
        wordings: Label -> its phrases.
        share: Share of the pairs that become wrong, in [0, 1].
        seed: Seed of the choice.

    Returns:
        The manifest, and the mask (number of captions,) of wrong pairs.

    Raises:
        DataError: The clips are not generated scenes, or too few have two events.
    """

    def without_one(events: tuple[Event, ...], rng: np.random.Generator) -> tuple[Event, ...] | None:
        k = int(rng.integers(len(events)))
        return None if len(events) == 1 else (*events[:k], *events[k + 1 :])

    return _reworded(manifest, wordings, share, np.random.default_rng([seed, 3]), without_one)


def wrong_event(
    manifest: Manifest, wordings: Mapping[str, Wording], share: float, seed: int = 0
) -> tuple[Manifest, BoolArray]:  # fmt: skip
    """Replace one event in captions by a sound that the scene does not contain.

    Args:
        manifest: Generated scenes with captions.
        wordings: Label -> its phrases; the wrong label is one of them.
        share: Share of the pairs that become wrong, in [0, 1].
        seed: Seed of the choice.

    Returns:
        The manifest, and the mask (number of captions,) of wrong pairs.

    Raises:
        DataError: The clips are not generated scenes.
    """

    def with_other(events: tuple[Event, ...], rng: np.random.Generator) -> tuple[Event, ...] | None:
        others = sorted(set(wordings) - {e.label for e in events})
        k = int(rng.integers(len(events)))
        wrong = replace(events[k], label=str(rng.choice(others)), attributes={})
        return (*events[:k], wrong, *events[k + 1 :])

    return _reworded(manifest, wordings, share, np.random.default_rng([seed, 4]), with_other)


def _reworded(
    manifest: Manifest,
    wordings: Mapping[str, Wording],
    share: float,
    rng: np.random.Generator,
    change: Callable[[tuple[Event, ...], np.random.Generator], tuple[Event, ...] | None],
) -> tuple[Manifest, BoolArray]:
    pairs = _pairs(manifest)
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
    """Key of a clip's content: its labels and their relation for a generated scene, else its id."""
    if "events" not in clip.extra:
        return clip.clip_id
    events, relation = events_of(clip)
    return "|".join([relation, *(e.label for e in events)])


def _pairs(manifest: Manifest) -> list[Pair]:
    return [(k, j) for k, clip in enumerate(manifest) if clip.split == SPLIT for j in range(len(clip.captions))]


def _choose(eligible: list[Pair], share: float, rng: np.random.Generator, n_pairs: int | None = None) -> list[Pair]:
    """Draw ``share`` of all pairs from the eligible ones."""
    if not 0 <= share <= 1:
        raise ConfigError(f"the share of wrong captions must be between 0 and 1, got {share}")
    wanted = round(share * (len(eligible) if n_pairs is None else n_pairs))
    if wanted > len(eligible):
        raise DataError(f"{wanted} captions were to be made wrong, but only {len(eligible)} can be; lower the share")
    return [eligible[int(k)] for k in sorted(rng.choice(len(eligible), size=wanted, replace=False))]


def _deranged(owner: list[int], rng: np.random.Generator) -> list[int]:
    """A permutation in which no element is replaced by one of the same owner.

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
