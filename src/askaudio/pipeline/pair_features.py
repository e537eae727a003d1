"""Features of every captioned pair, for reliability estimates and diagnosis: of frozen towers, or of any encoder.

Features are computed once and kept in the feature cache. Cost: the audio tower runs once on every window of every
sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.config.schema import DataRecipe, ModelRecipe, Recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.files import sha256_file
from askaudio.core.types import FloatArray, IntArray, Progress, silent
from askaudio.data.cache import FeatureCache, default_root
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load_encoder
from askaudio.encoders.recording import encode_recording
from askaudio.pipeline.inputs import read_inputs


@dataclass(frozen=True)
class PairFeatures:
    """Features of N pairs of a clip and a caption.

    Attributes:
        pairs: Clip and caption of each pair.
        audio: (N, Da), the mean over a clip's windows.
        text: (N, Dt).
        codes: (N,) number of each pair's clip.
        source: Name of what computed the features.
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
        model: Spec of any encoder (``load_encoder``), instead of ``tower``.
        cache: Folder of computed features; default ``~/.cache/askaudio/features``.
        progress: Called with the sounds and texts done.

    Raises:
        ConfigError: Neither or both of tower and model are given.
        DataError: No clip has a caption.
        AudioDecodeError: A sound is broken or holds no samples; the message names it.
    """
    check_choice(tower, model)
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
        encoder = load_encoder(str(model))
        of_clip = _sounds(encoder, manifest, root, progress)
        of_text = dict(zip(texts, encode_captions(encoder, texts, root, progress), strict=True))
        source = f"model {encoder.name}"
    codes = np.repeat(np.arange(len(manifest)), [len(clip.captions) for clip in manifest])
    text = np.stack([of_text[caption.text] for _, caption in pairs])
    return PairFeatures(pairs, np.stack(of_clip)[codes].astype(np.float32), text.astype(np.float32), codes, source)


def check_choice(tower: str | None, model: str | None) -> None:
    """Refuse neither or both of tower and model."""
    if bool(tower) == bool(model):
        raise ConfigError(
            "choose the features, one of: --tower PATH/mn04_as.onnx (frozen EfficientAT and MiniLM, best, "
            "since they were not trained on your pairs), or --model SPEC (an encoder folder, a run folder, or toy)"
        )


def _sounds(encoder: Encoder, manifest: Manifest, root: Path, progress: Progress) -> list[Any]:
    """One vector (D,) per clip."""

    def compute(positions: list[int]) -> list[Any]:
        return [encode_recording(encoder, manifest.clips[position].path).pooled for position in positions]

    keys = [sha256_file(clip.path) for clip in manifest]
    return FeatureCache(root, {"encoder": encoder.fingerprint, "side": "audio"}).collect(
        keys, compute, progress=progress
    )


def encode_windows(encoder: Encoder, manifest: Manifest, root: Path, progress: Progress) -> list[Any]:
    """Vectors (W, D) of the windows of each clip."""

    def compute(positions: list[int]) -> list[Any]:
        return [encode_recording(encoder, manifest.clips[position].path).vectors for position in positions]

    keys = [sha256_file(clip.path) for clip in manifest]
    cache = FeatureCache(root, {"encoder": encoder.fingerprint, "side": "windows"})
    return cache.collect(keys, compute, progress=progress)


def encode_captions(encoder: Encoder, texts: list[str], root: Path, progress: Progress) -> list[Any]:
    """One vector (D,) per text."""

    def compute(positions: list[int]) -> list[Any]:
        return list(encoder.encode_text([texts[position] for position in positions]))

    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    cache = FeatureCache(root, {"encoder": encoder.fingerprint, "side": "text"})
    return cache.collect(keys, compute, pack=8192, chunk=512, progress=progress)
