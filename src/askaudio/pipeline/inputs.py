"""From a recipe to arrays: clips with splits, inputs of the towers, pairs to train on, sets to score.

Everything that does not depend on training is computed once, in one pass, and kept in the feature cache: a frozen
tower's features or the log-mels of every window of every clip, and the features of every wording.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from askaudio.audio.decode import read_windows
from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.config.schema import DataRecipe, ModelRecipe, Recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import FloatArray, Progress, Split, silent
from askaudio.data.cache import FeatureCache, default_root
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.near_misses import sure_near_misses
from askaudio.encoders.efficientat import FRONT_END
from askaudio.encoders.load import settled
from askaudio.evaluation.relevance import Relevance
from askaudio.models.by_name import TowerAudio, TowerTexts
from askaudio.models.frozen_encoder import (
    ENCODER,
    AudioFeatures,
    FrozenTowers,
    TextFeatures,
    open_towers,
    text_features,
)
from askaudio.pipeline.clips import read_clips
from askaudio.pipeline.phrases import with_supported_captions
from askaudio.pipeline.pretrained import Pretrained, open_pretrained
from askaudio.pipeline.readable import broken_sounds, sound_keys, without_broken
from askaudio.training.dataset import PairDataset
from askaudio.training.processes import training_device
from askaudio.training.retrieval import RetrievalSet
from askaudio.training.stream import Sound

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """All clips of a recipe as arrays.

    Attributes:
        recipe: Where they come from.
        manifest: Captioned clips with splits.
        audio: Clip id -> (W, ...) input of the audio side for each window, or a ``Sound`` that is decoded on demand.
        texts: (U, C) features of each wording, or its token ids (U, L) where the text tower is trained.
        text_rows: Wording -> row of ``texts``.
        front_end: How the sounds were cut, and what the audio side computes first.
        towers: The frozen towers of earlier versions' kind, which are not part of the model.
        pretrained: The towers that are part of the model, trained or not.
        near: Caption id -> near misses, for a training against them.
    """

    recipe: DataRecipe
    manifest: Manifest
    audio: Mapping[str, Any]
    texts: Array
    text_rows: dict[str, int]
    front_end: FrontEnd
    towers: FrozenTowers
    pretrained: Pretrained = field(default_factory=Pretrained)
    near: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def pairs(self, seed: int = 0, split: Split = "train") -> PairDataset:
        """Pairs to train on."""
        clips = self._split(split)
        wordings = [[[self.text_rows[t] for t in wordings_of(c.text, clip, self.recipe.prompts)] for c in clip.captions]
                    for clip in clips]  # fmt: skip
        near = [[[self.text_rows[t] for t in self.near.get(c.caption_id, ())] for c in clip.captions] for clip in clips]
        return PairDataset(
            clips,
            [self.audio[clip.clip_id] for clip in clips],
            self.texts,
            wordings,
            captions=self.recipe.captions,
            windows=self.recipe.windows,
            same_text=self.recipe.same_text,
            near=near if self.near else None,
            seed=seed,
            mix=self.recipe.mix,
            tokens=self.pretrained.tokens if self.recipe.mix else None,
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
                "write splits into the manifest, or split by group: data.split=group"
            )
        return clips


def wordings_of(text: str, clip: Clip, prompts: Sequence[str]) -> list[str]:
    """A caption and its variants in training, the caption itself first.

    Args:
        text: The caption.
        clip: Clip of the caption; its label fills ``{label}``.
        prompts: Templates with ``{text}`` or ``{label}``, such as ``"the sound of {label}"``; each adds one variant.
    """
    return [text, *(prompt.replace("{text}", text).replace("{label}", clip.label) for prompt in prompts)]


def read_inputs(recipe: Recipe, manifest: Manifest | None = None, progress: Progress = silent) -> Inputs:
    """Compute, or read from the cache, the inputs of a recipe's towers.

    Args:
        recipe: Its sections data and model are read.
        manifest: Clips with splits; default ``read_clips``.
        progress: Called with the number of sounds and texts that are done.

    Raises:
        DataError: A damaged cache, an unreadable manifest, or sounds that cannot be read, without
            ``data.skip_broken``; the message counts and names them before anything is computed.
    """
    manifest = read_clips(recipe.data) if manifest is None else manifest
    root = recipe.data.cache or default_root()
    pretrained = open_pretrained(recipe.model, recipe.seed)
    front_end, towers = open_sources(recipe.model, pretrained)
    before = towers.audio or pretrained.before(front_end, recipe)
    manifest, audio = _audio(recipe.data, front_end, before, manifest, progress)
    if recipe.data.doubted_phrases == "drop":
        if towers.audio is None:
            raise ConfigError(
                "data.doubted_phrases: drop judges phrases by a frozen audio tower, and this recipe trains its own; "
                "take model.audio=efficientat, or correct the captions by: askaudio data suspects --phrases"
            )
        manifest = with_supported_captions(manifest, audio, partial(text_rows_of, towers, root=root), progress)
    wordings = {t for clip in manifest for c in clip.captions for t in wordings_of(c.text, clip, recipe.data.prompts)}
    near = training_near_misses(recipe.data, manifest)
    wordings.update(text for texts in near.values() for text in texts)
    text_rows = {text: row for row, text in enumerate(sorted(wordings))}
    if pretrained.text is not None and not pretrained.text_ready:
        texts: Array = pretrained.token_rows(list(text_rows))
    else:
        device = training_device(recipe.train.device)
        tower = towers.text if pretrained.text is None else TowerTexts(pretrained.text, device)
        assert tower is not None  # a text side is frozen or part of the model
        texts = _texts(tower, list(text_rows), root, progress)
    for part in (pretrained.audio, pretrained.text):
        if part is not None:
            part.cpu()  # the model is built on the CPU, so that its first weights do not depend on the device
    return Inputs(recipe.data, manifest, audio, texts, text_rows, front_end, towers, pretrained, near)


def training_near_misses(recipe: DataRecipe, manifest: Manifest) -> dict[str, list[str]]:
    """Caption id -> near misses of the kinds of ``data.near_misses``, for the captions of the training split."""
    if not recipe.near_misses:
        return {}
    found = sure_near_misses(manifest.split("train"), recipe.near_misses, recipe.ontology or None)
    return {caption_id: [text for _, text in pairs] for caption_id, pairs in found.items()}


def open_sources(model: ModelRecipe, pretrained: Pretrained | None = None) -> tuple[FrontEnd, FrozenTowers]:
    """Front end of a model section, and its frozen towers; the encoder of ``model.init`` is opened once.

    Args:
        model: The model section.
        pretrained: Towers that are part of the model; the others are opened here.
    """
    pretrained = pretrained or Pretrained()
    if model.init:
        source = f"{ENCODER}:{settled(model.init)}"
        towers = open_towers(source, source)
        assert towers.audio is not None
        return towers.audio.front_end, towers
    text = model.text if pretrained.text is None else None
    if pretrained.front_end is not None:
        return pretrained.front_end, open_towers(None, text)
    if model.audio == "efficientat":
        kind = "efficientat" if model.audio_head == "mean" else "efficientat_frames"
        return FRONT_END, open_towers(f"{kind}:{model.audio_weights}", text)
    front_end = FrontEnd(
        LogMel(
            sample_rate_hz=model.sample_rate_hz,
            n_mels=model.n_mels,
            f_max_hz=model.sample_rate_hz * 15 / 32,  # a little below half the rate
        ),
        window_s=model.window_s,
        hop_s=model.window_s,
    )
    return front_end, open_towers(None, text)


def _audio(
    recipe: DataRecipe,
    front_end: FrontEnd,
    tower: AudioFeatures | TowerAudio | None,
    manifest: Manifest,
    progress: Progress,
) -> tuple[Manifest, dict[str, Any]]:
    """The clips that can be read, and clip id -> what the audio side takes for each window.

    That is (W, C) features or (W, C, T) frames or maps of a frozen tower, (W, F, T) log-mels (float16), or a sound.
    """
    settings: dict[str, Any] = {"front_end": front_end.to_json()}
    if tower is None:
        settings["type"] = "float16"
    else:
        settings["tower"] = tower.fingerprint

    def of_clip(clip: Clip) -> Array:
        rate, window_s, hop_s = front_end.sample_rate_hz, front_end.window_s, front_end.hop_s
        windows, _ = read_windows(clip.path, rate, window_s, hop_s, lambda cut: [window.samples for window in cut])
        if tower is not None:
            found = tower.features(windows)
            return found if found.ndim == 2 else found.astype(np.float16)  # frames take 32 times the space
        return np.stack([front_end(window) for window in windows]).astype(np.float16)

    root = recipe.cache or default_root()
    cache = FeatureCache(root, settings)
    # one clip a thread: decoding, log-mel and tower all release the interpreter's lock
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = [clip.path for clip in manifest]
        keys = sound_keys(paths, pool, progress)
        reasons = broken_sounds(paths, keys, front_end, features=cache, root=root, pool=pool, progress=progress)
        good = without_broken(manifest, reasons, recipe.skip_broken, recipe.manifest or manifest.name)

        def compute(positions: list[int]) -> list[Array]:
            return list(pool.map(of_clip, [good.clips[position] for position in positions]))

        if recipe.decode == "stream":
            return good, {clip.clip_id: Sound(clip.path, front_end) for clip in good}
        good_keys = [key for position, key in enumerate(keys) if position not in reasons]
        arrays = cache.collect(good_keys, compute, progress=progress)
    return good, {clip.clip_id: array for clip, array in zip(good, arrays, strict=True)}


def text_rows_of(towers: FrozenTowers, texts: list[str], root: Any, progress: Progress = silent) -> FloatArray:
    """(U, C) features of U texts by the frozen text tower (MiniLM where there is none), cached."""
    return _texts(towers.text or text_features("minilm"), texts, root, progress)


def _texts(tower: TextFeatures | TowerTexts, texts: list[str], root: Any, progress: Progress) -> FloatArray:
    """(U, C) features of U wordings."""
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]

    def compute(positions: list[int]) -> list[Array]:
        return list(tower.features([texts[position] for position in positions]))

    cache = FeatureCache(root, {"tower": tower.fingerprint})
    return np.stack(cache.collect(keys, compute, pack=8192, chunk=512, progress=progress))
