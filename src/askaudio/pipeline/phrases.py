"""Segments of clips and phrases of captions as features, for the reliability of phrases.

A clip is divided into ``SEGMENTS`` equal parts of its time: of the frames of a frozen tower, or of an encoder's
windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray, IntArray, Progress, silent
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.data.phrases import Phrase, split_phrases, without_phrases
from askaudio.knowledge.reliability.phrases import estimate_phrases
from askaudio.models.frame_head import overlaps

SEGMENTS = 4
TextFeatures = Callable[[list[str]], FloatArray]


@dataclass(frozen=True)
class PhraseFeatures:
    """Features of N couples of a clip and a phrase of one of its captions.

    Attributes:
        couples: Clip, caption and phrase of each couple.
        segments: (M, 4, Da) of each clip.
        texts: (U, Dt) of each distinct phrase, in lower case.
        clip: (N,) row of each couple's clip.
        phrase: (N,) row of each couple's phrase.
        source: Name of what computed the features.
    """

    couples: Sequence[tuple[Clip, Caption, Phrase]]
    segments: FloatArray
    texts: FloatArray
    clip: IntArray
    phrase: IntArray
    source: str

    @classmethod
    def of(
        cls, manifest: Manifest, audio: Mapping[str, Any], text: TextFeatures, source: str = "features"
    ) -> PhraseFeatures:
        """Split captions into phrases and clips into segments.

        Args:
            manifest: M clips with captions.
            audio: Clip id -> (W, Da) windows, or (W, Da, T) frames of windows.
            text: Texts -> (U, Dt) features.
            source: Name of what computes the features.
        """
        found = [
            (row, clip, caption, phrase)
            for row, clip in enumerate(manifest)
            for caption in clip.captions
            for phrase in split_phrases(caption.text)
        ]
        if not found:
            raise DataError(f"{manifest.name} has no caption with a phrase; see: askaudio data check")
        texts = sorted({phrase.text.lower() for *_, phrase in found})
        rows = {one: k for k, one in enumerate(texts)}
        return cls(
            [(clip, caption, phrase) for _, clip, caption, phrase in found],
            np.stack([segments_of(audio[clip.clip_id]) for clip in manifest]),
            text(texts),
            np.array([row for row, *_ in found]),
            np.array([rows[phrase.text.lower()] for *_, phrase in found]),
            source,
        )


def segments_of(windows: Any, parts: int = SEGMENTS) -> FloatArray:
    """Means of equal parts of the time: (W, D) or (W, D, T) -> (parts, D); parts of one long frame are equal."""
    x = np.asarray(windows, dtype=np.float32)
    steps = x if x.ndim == 2 else np.moveaxis(x, 1, 2).reshape(-1, x.shape[1])  # (W T, D)
    weights = overlaps(torch.tensor([len(steps)]), len(steps), parts)[0].numpy()  # (parts, W T)
    return weights @ steps


def without_distrusted_phrases(
    manifest: Manifest,
    audio: Mapping[str, Any],
    text: TextFeatures,
    cut: float = 0.5,
    progress: Progress = silent,
) -> Manifest:
    """Leave out of every caption the phrases that its sound does not support.

    A caption without any supported phrase is left out whole if its clip has another caption, else it stays.

    Args:
        manifest: Clips with captions, those of a training split.
        audio: See ``PhraseFeatures.of``.
        text: See ``PhraseFeatures.of``.
        cut: Phrases with a lower posterior are left out.
        progress: Called once per stage.

    Returns:
        The same clips and caption ids, some captions shorter or gone.
    """
    found = PhraseFeatures.of(manifest, audio, text)
    segments, texts, clip, phrase = map(torch.from_numpy, (found.segments, found.texts, found.clip, found.phrase))
    posterior = estimate_phrases(segments, texts, clip, phrase, codes=_groups(manifest), progress=progress).posterior
    doubted: dict[str, list[Phrase]] = {}
    for (_, caption, one), value in zip(found.couples, posterior.tolist(), strict=True):
        if value < cut:
            doubted.setdefault(caption.caption_id, []).append(one)
    clips = []
    for clip_ in manifest:
        shorter = [
            Caption(c.caption_id, without_phrases(c.text, doubted.get(c.caption_id, []))) for c in clip_.captions
        ]
        kept = tuple(caption for caption in shorter if caption.text)
        clips.append(replace(clip_, captions=kept or clip_.captions))
    return replace(manifest, clips=tuple(clips))


def with_supported_captions(
    manifest: Manifest, audio: Mapping[str, Any], text: TextFeatures, progress: Progress = silent
) -> Manifest:  # fmt: skip
    """A whole set in which the training split was treated by ``without_distrusted_phrases``."""
    shorter = without_distrusted_phrases(manifest.split("train"), audio, text, progress=progress)
    changed = {clip.clip_id: clip for clip in shorter}
    return replace(manifest, clips=tuple(changed.get(clip.clip_id, clip) for clip in manifest))


def _groups(manifest: Manifest) -> torch.Tensor:
    """(M,) equal numbers for clips of one recording."""
    number: dict[str, int] = {}
    return torch.tensor([number.setdefault(clip.group or clip.clip_id, len(number)) for clip in manifest])
