"""From a recipe to the grain of events: phrases and segments of the training pairs, and their reliability."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from askaudio.config.schema import Recipe
from askaudio.core.errors import ConfigError
from askaudio.data.cache import default_root
from askaudio.data.manifest import Manifest
from askaudio.knowledge.reliability.phrases import estimate_phrases
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from askaudio.pipeline.inputs import Inputs, text_rows_of
from askaudio.pipeline.objective import build_loss, build_policy
from askaudio.pipeline.phrases import SEGMENTS, PhraseFeatures, segments_of
from askaudio.training.dataset import PairDataset
from askaudio.training.phrase_grain import Couples, PhraseGrain

_STEPS = 4  # frames of a segment, for a head over frames


def build_phrase_grain(recipe: Recipe, inputs: Inputs, model: DualEncoder, pairs: PairDataset) -> PhraseGrain | None:
    """The grain of events of a recipe; None where ``knowledge.phrase_weight`` is 0.

    Args:
        recipe: Its sections knowledge and loss.
        inputs: Names the text tower.
        model: Encodes couples.
        pairs: The training pairs.

    Raises:
        ConfigError: The model's audio side is no head over features of a frozen tower.
    """
    knowledge = recipe.knowledge
    if not knowledge.phrase_weight:
        return None
    if model.audio_tower is not None or model.text_tower is not None or not isinstance(pairs.audio[0], np.ndarray):
        raise ConfigError("knowledge.phrase_weight: phrases need frozen towers; take model.audio=efficientat, or 0")
    root = recipe.data.cache or default_root()
    audio = {clip.clip_id: rows for clip, rows in zip(pairs.clips, pairs.audio, strict=True)}
    found = PhraseFeatures.of(Manifest("train", pairs.clips), audio, lambda t: text_rows_of(inputs.towers, t, root))
    number = {c.caption_id: k for k, c in enumerate(c for clip in pairs.clips for c in clip.captions)}
    entry = torch.tensor([number[caption.caption_id] for _, caption, _ in found.couples])
    clip, phrase, texts = (torch.from_numpy(x) for x in (found.clip, found.phrase, found.texts))
    couples = Couples(_segments(model, pairs, found), texts, clip, phrase, entry)
    reliability: Tensor | None = None
    if knowledge.reliability in ("posterior", "cut"):
        estimate = estimate_phrases(torch.from_numpy(found.segments), texts, clip, phrase)
        reliability = estimate.gate(0.5 if knowledge.reliability == "cut" else None)
    based = knowledge.kind in ("ask", "static", "fine")
    return PhraseGrain(
        model, couples, build_loss(recipe.loss), knowledge.phrase_weight,
        refine=build_policy(knowledge, model.embed_dim) if based else None,
        neighbors=knowledge.neighbors, reliability=reliability,
    )  # fmt: skip


def _segments(model: DualEncoder, pairs: PairDataset, found: PhraseFeatures) -> Tensor:
    """What the audio head takes for each segment: its mean (M, S, A), or a few frames of it (M, S, A, 4)."""
    if isinstance(model.audio_projection, Projection):
        return torch.from_numpy(found.segments)
    steps = np.stack([segments_of(rows, SEGMENTS * _STEPS) for rows in pairs.audio])  # (M, S x 4, A)
    return torch.from_numpy(steps).reshape(len(steps), SEGMENTS, _STEPS, -1).transpose(2, 3).contiguous()
