"""A captioned set as raw features: what reliability and diagnosis need, from frozen towers or from any encoder.

Computed once and kept in the feature cache. Cost: one pass of the audio tower over every window of every sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.audio.decode import decode
from askaudio.audio.windows import fixed_windows
from askaudio.config.schema import DataRecipe, ModelRecipe, Recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.files import sha256_file
from askaudio.core.types import FloatArray, IntArray, Progress, silent
from askaudio.data.cache import FeatureCache, default_root
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.encoders.encoder import Encoder, pool_windows
from askaudio.encoders.load import load
from askaudio.pipeline.inputs import read_inputs


@dataclass(frozen=True)
class PairFeatures:
    """N pairs of a clip and a caption.

    Attributes:
        pairs: Clip and caption of each pair.
        audio: (N, Da), the mean over a clip's windows.
        text: (N, Dt).
        codes: (N,) number of each pair's clip.
        source: What made the features, for people.
    """

    pairs: Sequence[tuple[Clip, Caption]]
    audio: FloatArray
    text: FloatArray
    codes: IntArray
    source: str


def pair_features(
    manifest: Manifest,
    tower: str | None = None,
    model: str | None = None,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> PairFeatures:
    """Features of every captioned pair.

    Args:
        manifest: Clips; those without a caption are left out.
        tower: EfficientAT's ONNX file; texts then go through MiniLM.
        model: Any encoder, as ``models.build.load`` opens it; instead of ``tower``.
        cache: Folder of computed features; default ``~/.cache/askaudio/features``.
        progress: Told how many sounds and texts are there.

    Raises:
        ConfigError: Neither or both of tower and model are given.
        DataError: No clip has a caption, or a clip has no sound in it.
        AudioDecodeError: A sound is broken; the message names it.
    """
    if bool(tower) == bool(model):
        raise ConfigError(
            "say what makes the features, one of: --tower PATH/mn04_as.onnx (frozen EfficientAT and MiniLM, best, "
            "since they never saw your pairs), or --model SPEC (an encoder folder, a run folder, or toy)"
        )
    manifest = manifest.where([bool(clip.captions) for clip in manifest])
    if not len(manifest):
        raise DataError(f"{manifest.name} has no clip with a caption; see: askaudio data check")
    pairs = [(clip, caption) for clip in manifest for caption in clip.captions]
    texts = sorted({caption.text for _, caption in pairs})
    root = Path(cache or default_root())
    if tower:
        recipe = Recipe(data=DataRecipe(cache=str(root)), model=ModelRecipe(audio_weights=tower))
        inputs = read_inputs(recipe, manifest, progress)
        of_clip = [inputs.audio[clip.clip_id].mean(axis=0) for clip in manifest]
        of_text = {text: inputs.texts[row] for text, row in inputs.text_rows.items()}
        source = f"frozen towers ({Path(tower).name}, minilm)"
    else:
        encoder = load(str(model))
        of_clip = _sounds(encoder, manifest, root, progress)
        of_text = dict(zip(texts, _texts(encoder, texts, root, progress), strict=True))
        source = f"model {encoder.name}"
    codes = np.repeat(np.arange(len(manifest)), [len(clip.captions) for clip in manifest])
    text = np.stack([of_text[caption.text] for _, caption in pairs])
    return PairFeatures(pairs, np.stack(of_clip)[codes].astype(np.float32), text.astype(np.float32), codes, source)


def _sounds(encoder: Encoder, manifest: Manifest, root: Path, progress: Progress) -> list[Any]:
    """One vector a clip."""

    def of_clip(clip: Clip) -> FloatArray:
        windows = fixed_windows(
            decode(clip.path, encoder.sample_rate_hz), encoder.sample_rate_hz, encoder.window_s, encoder.hop_s
        )
        if not windows:
            raise DataError(f"{clip.path} has no sound in it; take it out of {manifest.name}")
        return pool_windows(encoder.encode_audio([window.samples for window in windows]))

    def compute(positions: list[int]) -> list[Any]:
        return [of_clip(manifest.clips[position]) for position in positions]

    keys = [sha256_file(clip.path) for clip in manifest]
    return FeatureCache(root, {"encoder": encoder.fingerprint, "side": "audio"}).collect(
        keys, compute, progress=progress
    )


def _texts(encoder: Encoder, texts: list[str], root: Path, progress: Progress) -> list[Any]:
    def compute(positions: list[int]) -> list[Any]:
        return list(encoder.encode_text([texts[position] for position in positions]))

    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    cache = FeatureCache(root, {"encoder": encoder.fingerprint, "side": "text"})
    return cache.collect(keys, compute, pack=8192, chunk=512, progress=progress)
