"""The pretrained towers of a recipe that become part of its model: opened, and set to what of them is trained.

A tower that is not trained at all is part of the model too, and of its checkpoint; its output is computed once. Frozen
``efficientat`` and ``minilm`` are the exception: they run outside of the model, from the file or package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.config.schema import HUB, ModelRecipe, Recipe
from askaudio.core.types import Json
from askaudio.models.by_name import TowerAudio, audio_tower, text_tower
from askaudio.models.dual_encoder import NO_TOKEN, DualEncoder
from askaudio.models.tower import AudioTower
from askaudio.models.tuning import frozen_stages, tune
from askaudio.training.processes import training_device


@dataclass
class Pretrained:
    """Towers of a model.

    Attributes:
        audio: None where the model has none, or one without pretraining.
        text: The same for texts.
        front_end: Of the audio tower.
        audio_ready: Nothing of the audio tower is trained, so its output comes in.
        text_ready: The same for texts.
        kept: Stages of the audio tower whose output is computed once; 0 for none.
    """

    audio: nn.Module | None = None
    text: nn.Module | None = None
    front_end: FrontEnd | None = None
    audio_ready: bool = False
    text_ready: bool = False
    kept: int = 0

    def before(self, front_end: FrontEnd, recipe: Recipe) -> TowerAudio | None:
        """What runs once on every window; None where spectrograms come in."""
        if self.audio is None:
            return None
        if self.audio_ready:
            frames = recipe.model.audio_head != "mean"
            return TowerAudio(self.audio, front_end, frames=frames, device=training_device(recipe.train.device))
        data = recipe.data
        if data.decode == "stream" or data.mask_time or data.mask_mels or not isinstance(self.audio, AudioTower):
            return None
        self.kept = frozen_stages(self.audio) if recipe.model.audio_train == "last" else 0
        if not self.kept:
            return None
        return TowerAudio(self.audio, front_end, self.kept, device=training_device(recipe.train.device))

    def settle(self, model: DualEncoder) -> None:
        """Tell a model what comes in while it is trained."""
        model.audio_ready, model.text_ready = self.audio_ready, self.text_ready
        if isinstance(model.audio_tower, AudioTower):
            model.audio_tower.skip = self.kept

    def tokens(self, text: str) -> npt.NDArray[np.int64]:
        """Token ids (L,) of one text."""
        tower: Any = self.text
        return np.asarray(tower.token_ids([text])[0], dtype=np.int64)

    def token_rows(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids (U, L) of U texts, with ``NO_TOKEN`` where a row has ended."""
        tower: Any = self.text
        rows = tower.token_ids(texts)
        out = np.full((len(rows), max(map(len, rows))), NO_TOKEN, dtype=np.int64)
        for number, row in enumerate(rows):
            out[number, : len(row)] = row
        return out


def open_pretrained(model: ModelRecipe, seed: int = 0) -> Pretrained:
    """Open the towers that become part of the model.

    Args:
        model: The model section.
        seed: Of the first weights of adapters.

    Raises:
        ModelError: A tower that is unknown, not on this machine, or damaged.
    """
    if model.init:
        return Pretrained()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _open(model)


def _open(model: ModelRecipe) -> Pretrained:
    found = Pretrained()
    adapters: Json = {"rank": model.lora_rank, "alpha": model.lora_alpha}
    inside = model.audio not in ("cnn", "efficientat") or (model.audio != "cnn" and model.audio_train != "frozen")
    if inside:
        found.audio, found.front_end = audio_tower(model.audio, model.audio_weights, model.window_s)
        tune(found.audio, model.audio_train, model.audio_layers, **adapters)
        found.audio_ready = model.audio_train == "frozen"
    if model.text.startswith(HUB) or model.text_train != "frozen":
        found.text = text_tower(model.text, model.text_pooling, model.text_prefix)
        tune(found.text, model.text_train, model.text_layers, **adapters)
        found.text_ready = model.text_train == "frozen" and model.text_pooling != "attention"
        if model.text_pooling == "attention" and model.text_train == "frozen":
            attend: Any = found.text.attend
            attend.requires_grad_(True)
    return found
