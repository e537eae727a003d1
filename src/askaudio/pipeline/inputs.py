"""From a recipe's data section to arrays: clips with splits, what the towers take, pairs to train on, sets to score.

Everything that does not depend on training is computed once, in one pass, and kept in the feature cache: a frozen
tower's features or the log-mels of every window of every clip, and the features of every wording.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from askaudio.audio.decode import decode
from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.audio.windows import fixed_windows
from askaudio.config.schema import DataRecipe, ModelRecipe, Recipe
from askaudio.core.errors import DataError
from askaudio.core.files import sha256_file
from askaudio.core.types import FloatArray, Progress, Split, silent
from askaudio.data.cache import FeatureCache, default_root
from askaudio.data.manifest import Clip, Manifest
from askaudio.encoders.efficientat import FRONT_END
from askaudio.encoders.load import settled
from askaudio.evaluation.relevance import Relevance
from askaudio.models.frozen_encoder import base_encoder
from askaudio.models.sources import ENCODER, audio_features, text_features
from askaudio.pipeline.clips import read_clips
from askaudio.training.dataset import PairDataset
from askaudio.training.retrieval import RetrievalSet

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """All clips of a recipe as arrays.

    Attributes:
        recipe: Where they come from.
        manifest: Captioned clips with splits.
        audio: Clip id -> (W, ...) what the audio side takes, for each window.
        texts: (U, C) features of each wording.
        text_rows: Wording -> row of ``texts``.
    """

    recipe: DataRecipe
    manifest: Manifest
    audio: dict[str, Array]
    texts: FloatArray
    text_rows: dict[str, int]

    def pairs(self, seed: int = 0, split: Split = "train") -> PairDataset:
        """Pairs to train on."""
        clips = self._split(split)
        wordings = [[[self.text_rows[t] for t in wordings_of(c.text, clip, self.recipe.prompts)] for c in clip.captions]
                    for clip in clips]  # fmt: skip
        return PairDataset(
            clips,
            [self.audio[clip.clip_id] for clip in clips],
            self.texts,
            wordings,
            captions=self.recipe.captions,
            windows=self.recipe.windows,
            same_text=self.recipe.same_text,
            seed=seed,
        )

    def queries(self, split: Split) -> RetrievalSet:
        """A split to score a model on: each caption a query, or each distinct text where texts are shared."""
        clips = self._split(split)
        relevance = Relevance.from_clips(clips, by="text" if self.recipe.same_text else "caption")
        rows = [self.text_rows[relevance.texts[query]] for query in relevance.query_ids]
        return RetrievalSet([self.audio[clip.clip_id] for clip in clips], self.texts[rows], relevance)

    def _split(self, split: Split) -> Manifest:
        clips = self.manifest.split(split)
        if not len(clips):
            raise DataError(
                f"{self.manifest.name} has no captioned clip in its {split} split; "
                "write splits into the manifest, or let them be dealt out by group: data.split=group"
            )
        return clips


def wordings_of(text: str, clip: Clip, prompts: Sequence[str]) -> list[str]:
    """A caption and its variants in training, the caption itself first."""
    return [text, *(prompt.replace("{text}", text).replace("{label}", clip.label) for prompt in prompts)]


def read_inputs(recipe: Recipe, manifest: Manifest | None = None, progress: Progress = silent) -> Inputs:
    """Compute, or take from the cache, everything that a recipe's towers take.

    Args:
        recipe: Sections data and model are read.
        manifest: Clips, where they are at hand; default ``read_clips``.
        progress: Told how many sounds are there.

    Raises:
        DataError: A damaged cache, an unreadable manifest.
        AudioDecodeError: A sound is broken; the message names it.
    """
    manifest = read_clips(recipe.data) if manifest is None else manifest
    root = recipe.data.cache or default_root()
    audio = _audio(recipe.model, manifest, root, progress)
    wordings = {t for clip in manifest for c in clip.captions for t in wordings_of(c.text, clip, recipe.data.prompts)}
    text_rows = {text: row for row, text in enumerate(sorted(wordings))}
    texts = _texts(text_source(recipe.model), list(text_rows), root, progress)
    return Inputs(recipe.data, manifest, audio, texts, text_rows)


def front_end(model: ModelRecipe) -> FrontEnd:
    """What the audio side hears: the pretrained tower's own front end, or that of the recipe."""
    if model.init:
        return base_encoder(model.init).front_end
    if model.audio == "efficientat":
        return FRONT_END
    edge_hz = model.sample_rate_hz * 15 / 32  # a little below half the rate
    return FrontEnd(
        LogMel(sample_rate_hz=model.sample_rate_hz, n_mels=model.n_mels, f_max_hz=edge_hz),
        window_s=model.window_s,
        hop_s=model.window_s,
    )


def audio_source(model: ModelRecipe) -> str:
    """Name of the frozen audio tower, as checkpoints write it; empty for a trained one."""
    if model.init:
        return f"{ENCODER}:{settled(model.init)}"
    return f"efficientat:{model.audio_weights}" if model.audio == "efficientat" else ""


def text_source(model: ModelRecipe) -> str:
    """Name of the frozen text tower, as checkpoints write it."""
    return f"{ENCODER}:{settled(model.init)}" if model.init else model.text


def _audio(model: ModelRecipe, manifest: Manifest, root: Any, progress: Progress) -> dict[str, Array]:
    """Clip id -> (W, 384) frozen features, or (W, F, T) log-mels in half precision."""
    front = front_end(model)
    settings: dict[str, Any] = {"front_end": front.to_json()}
    of_windows: Callable[[list[FloatArray]], Array]
    if audio_source(model):
        tower = audio_features(audio_source(model))
        settings["tower"] = tower.fingerprint
        of_windows = tower.features
    else:
        settings["type"] = "float16"

        def of_windows(windows: list[FloatArray]) -> Array:
            return np.stack([front(window) for window in windows]).astype(np.float16)

    def of_clip(clip: Clip) -> Array:
        samples = decode(clip.path, front.sample_rate_hz)
        windows = fixed_windows(samples, front.sample_rate_hz, front.window_s, front.hop_s)
        if not windows:
            raise DataError(f"{clip.path} has no sound in it; take it out of {manifest.name}, or data.exclude its id")
        return of_windows([window.samples for window in windows])

    # one clip a thread: decoding, log-mel and tower all leave the interpreter's lock
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        keys = []
        for key in pool.map(sha256_file, [clip.path for clip in manifest]):
            keys.append(key)
            progress(len(keys), len(manifest), "sounds read")

        def compute(positions: list[int]) -> list[Array]:
            return list(pool.map(of_clip, [manifest.clips[position] for position in positions]))

        arrays = FeatureCache(root, settings).collect(keys, compute, progress=progress)
    return {clip.clip_id: array for clip, array in zip(manifest, arrays, strict=True)}


def _texts(name: str, texts: list[str], root: Any, progress: Progress) -> FloatArray:
    """(U, C) features of U wordings."""
    tower = text_features(name)
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]

    def compute(positions: list[int]) -> list[Array]:
        return list(tower.features([texts[position] for position in positions]))

    cache = FeatureCache(root, {"tower": tower.fingerprint})
    return np.stack(cache.collect(keys, compute, pack=8192, chunk=512, progress=progress))
