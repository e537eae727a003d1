"""Audio towers of the transformers library: HTSAT (CLAP), AST, Whisper's encoder, WavLM, HuBERT, data2vec, PE-AV.

The front end is computed in numpy and compared with the library's feature extractor when the tower is loaded, so that
the trained model is served without the library.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.types import Json
from askaudio.models.hf_front_end import WINDOW_S, front_end_of
from askaudio.models.hf_part import (
    AUDIO,
    EXTRA,
    build_part,
    is_checkpointing,
    layers_of,
    load_part,
    set_checkpointing,
    settings_of,
)
from askaudio.models.tower import masked_mean

Result = tuple[Tensor, Tensor | None, Tensor]  # frames (B, T', C), mask (B, T'), vector (B, C)


class HfAudioTower(nn.Module):
    """Spectrograms or waveforms (B, F, T) -> frames (B, T', C) and a vector (B, C).

    Args:
        tower: Class of the library.
        config: Its configuration.
        model: The loaded tower; None builds one with random weights.

    Raises:
        MissingExtraError: transformers is not installed.
    """

    kind = "hf_audio"
    windows_at_once = 16  # in one forward pass of evaluation

    def __init__(self, tower: str, config: Json, model: nn.Module | None = None) -> None:
        super().__init__()
        built: Any = build_part(tower, config) if model is None else model
        self.model = built
        self._run = _RUNS[tower]
        if tower == "PeAudioEncoder":  # the library computes both without gradient
            for part in (built.embedder.dac_encoder, built.embedder.bottleneck):
                part.requires_grad_(False)
        self.dim = self.frame_dim = int(_width(built.config))
        self._settings = {"tower": tower, "config": config}

    def frame_states(self, log_mel: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Frames (B, T', C) and mask (B, T'), None where all are real; arguments as in ``forward``."""
        states, mask, _ = self._run(self.model, log_mel, frames)
        return states, mask

    def forward(self, log_mel: Tensor, frames: Tensor | None = None) -> Tensor:
        """Vectors (B, C).

        Args:
            log_mel: What the front end gives, (B, F, T), zeros after a clip's end.
            frames: Number of real frames of each clip (B,); None where all T are real.
        """
        return self._run(self.model, log_mel, frames)[2]

    @property
    def checkpointing(self) -> bool:
        """Whether layers are computed again in the backward pass."""
        return is_checkpointing(self.model)

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        set_checkpointing(self.model, on)

    def layer_stack(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers, and the modules after them."""
        return layers_of(self.model)

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return dict(self._settings)

    @classmethod
    def from_folder(cls, folder: Path, window_s: float = WINDOW_S) -> tuple[HfAudioTower, FrontEnd]:
        """The tower of a saved model, and its front end.

        Args:
            folder: Of the model.
            window_s: Length of a window in seconds, where the tower takes sounds of any length.

        Raises:
            ModelError: Another architecture, damaged weights, or a front end that is unknown.
        """
        model = load_part(folder, AUDIO)
        if getattr(model.config, "enable_fusion", False):
            raise ModelError(
                f"{folder} fuses random crops of long sounds; take an unfused one: laion/clap-htsat-unfused"
            )
        auto = require("transformers", EXTRA).AutoFeatureExtractor
        try:
            extractor = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} has no feature extractor that can be read: {error}") from error
        return cls(**settings_of(model), model=model), front_end_of(extractor, window_s)


def _width(config: Any) -> int:
    """Channels of the frames; Swin doubles its width at each stage."""
    if config.model_type == "clap_audio_model":
        return int(config.patch_embeds_hidden_size * 2 ** (len(config.depths) - 1))
    return int(getattr(config, "hidden_size", None) or config.d_model)


def _htsat(model: Any, log_mel: Tensor, frames: Tensor | None) -> Result:
    """The front end repeats a short clip to the full window, so all frames are real."""
    out = model(input_features=log_mel.transpose(1, 2).unsqueeze(1))
    return out.last_hidden_state.mean(2).transpose(1, 2), None, out.pooler_output


def _ast(model: Any, log_mel: Tensor, frames: Tensor | None) -> Result:
    """Two tokens and then patches, row by row of the spectrogram; the front end fills up to the full length."""
    out = model(input_values=log_mel.transpose(1, 2))
    rows, _ = model.embeddings.get_shape(model.config)
    patches = out.last_hidden_state[:, 2:].unflatten(1, (rows, -1))  # (B, rows, T', C)
    return patches.mean(1), None, out.pooler_output


def _whisper(model: Any, log_mel: Tensor, frames: Tensor | None) -> Result:
    """The front end fills up to 30 s of sound, for which the tower has places."""
    states = model(log_mel).last_hidden_state
    return states, None, states.mean(1)


def _samples(model: Any, log_mel: Tensor, frames: Tensor | None) -> Result:
    """WavLM, HuBERT, wav2vec 2 and data2vec take samples and a mask of them."""
    mask = None if frames is None else torch.arange(log_mel.shape[2], device=log_mel.device) < frames[:, None]
    states = model(log_mel[:, 0], attention_mask=None if mask is None else mask.long()).last_hidden_state
    if mask is not None:
        mask = model._get_feature_vector_attention_mask(states.shape[1], mask.long()).bool()
    return states, mask, masked_mean(states, mask)


def _pe_audio(model: Any, log_mel: Tensor, frames: Tensor | None) -> Result:
    """The vector is the first token's state."""
    mask = None if frames is None else torch.arange(log_mel.shape[2], device=log_mel.device) < frames[:, None]
    out = model(log_mel, padding_mask=mask)
    return out.last_hidden_state, out.output_mask, out.pooler_output


_RUNS: dict[str, Callable[[Any, Tensor, Tensor | None], Result]] = {
    "ClapAudioModel": _htsat,
    "ASTModel": _ast,
    "WhisperEncoder": _whisper,
    "WavLMModel": _samples,
    "HubertModel": _samples,
    "Wav2Vec2Model": _samples,
    "Data2VecAudioModel": _samples,
    "PeAudioEncoder": _pe_audio,
}
