"""Features of every phrase of every caption, of frozen towers or of any encoder; kept in the feature cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from askaudio.config.schema import DataRecipe, ModelRecipe, Recipe
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.data.cache import default_root
from askaudio.data.manifest import Manifest
from askaudio.encoders.load import load_encoder
from askaudio.pipeline.inputs import read_inputs, text_rows_of
from askaudio.pipeline.pair_features import check_choice, encode_captions, encode_windows
from askaudio.pipeline.phrases import PhraseFeatures


def phrase_features(
    manifest: Manifest,
    tower: str | None = None,
    model: str | None = None,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> PhraseFeatures:
    """Features of every phrase and of every clip's segments; arguments and errors are those of ``pair_features``."""
    check_choice(tower, model)
    manifest = manifest.where([bool(clip.captions) for clip in manifest])
    root = Path(cache or default_root())
    if tower:
        recipe = Recipe(data=DataRecipe(cache=str(root)), model=ModelRecipe(audio_weights=tower, audio_head="segments"))
        inputs = read_inputs(recipe, manifest, progress)
        name = f"frozen towers ({Path(tower).name}, minilm)"
        return PhraseFeatures.of(inputs.manifest, inputs.audio, lambda t: text_rows_of(inputs.towers, t, root), name)
    encoder = load_encoder(str(model))
    windows = encode_windows(encoder, manifest, root, progress)
    audio = {clip.clip_id: rows for clip, rows in zip(manifest, windows, strict=True)}

    def text(texts: list[str]) -> FloatArray:
        return np.stack(encode_captions(encoder, texts, root, progress))

    return PhraseFeatures.of(manifest, audio, text, f"model {encoder.name}")
