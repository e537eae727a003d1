"""Towers by the names of a recipe: ``efficientat``, ``cnn14``, ``ced``, ``minilm``, ``hf:NAME_OR_FOLDER``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.files import fingerprint
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.huggingface import locate
from askaudio.models.ced import CedTower
from askaudio.models.cnn14 import Cnn14Tower
from askaudio.models.hf_audio import HfAudioTower
from askaudio.models.hf_part import config_of
from askaudio.models.hf_text import HfTextTower, Pooling
from askaudio.models.minilm import MiniLMTower, pad_tokens
from askaudio.models.mobilenet import MobileNetTower
from askaudio.models.tower import AudioTower

FILES: dict[str, type[MobileNetTower] | type[Cnn14Tower] | type[CedTower]] = {
    "efficientat": MobileNetTower,
    "cnn14": Cnn14Tower,
    "ced": CedTower,
}
OURS = ("ced", "dasheng")  # model_type of the architectures that ``CedTower`` defines
HUB = "hf:"
_TEXTS_AT_ONCE = 64


def audio_tower(name: str, weights: str, window_s: float) -> tuple[nn.Module, FrontEnd]:
    """The pretrained audio tower of a name, in evaluation mode, and its front end.

    Args:
        name: ``efficientat``, ``cnn14``, ``ced`` or ``hf:NAME_OR_FOLDER``.
        weights: The authors' file or folder, for the first three; or ``hf:NAME`` of a fetched one.
        window_s: Length of a window in seconds, where the tower takes sounds of any length.

    Raises:
        ModelError: Unknown, not on this machine, or damaged.
    """
    if name.startswith(HUB):
        folder = _folder(name)
        if config_of(folder).get("model_type") not in OURS:
            return HfAudioTower.from_folder(folder, window_s)
        name, weights = "ced", str(folder)  # a folder of the hub whose architecture is defined here
    if name not in FILES:
        raise ModelError(f"unknown audio tower {name!r}; expected {', '.join(FILES)} or hf:NAME_OR_FOLDER")
    place = _folder(weights) if weights.startswith(HUB) else weights
    tower: AudioTower = FILES[name].from_file(place)
    return tower, replace(tower.front_end, window_s=window_s, hop_s=window_s)


def text_tower(name: str, pooling: Pooling = "mean", prefix: str = "") -> nn.Module:
    """The pretrained text tower of a name, in evaluation mode.

    Args:
        name: ``minilm`` or ``hf:NAME_OR_FOLDER``.
        pooling: For ``hf:``, how a text's tokens become one vector.
        prefix: For ``hf:``, put before every text.

    Raises:
        ModelError: Unknown, not on this machine, or damaged.
    """
    if name.startswith(HUB):
        return HfTextTower.from_folder(_folder(name), pooling, prefix)
    if name != "minilm":
        raise ModelError(f"unknown text tower {name!r}; expected minilm or hf:NAME_OR_FOLDER")
    return MiniLMTower().eval()


def _folder(name: str) -> Path:
    return locate(name.removeprefix(HUB))


class TowerAudio:
    """The part of an audio tower that is not trained, whose output is computed once for each window.

    Args:
        tower: In evaluation mode.
        front_end: From waveforms to its input.
        stages: Stages to run; None for the whole tower.
        frames: Of the whole tower, give its frames instead of the vector.
        device: Where it runs; the tower is moved there.
    """

    def __init__(
        self,
        tower: Any,
        front_end: FrontEnd,
        stages: int | None = None,
        frames: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.fingerprint = fingerprint([_checksum(tower), front_end.to_json(), stages, frames])
        self.tower, self.front_end, self.stages, self.frames = tower.to(device), front_end, stages, frames
        self.device = device

    @torch.inference_mode()
    def features(self, waveforms: Sequence[FloatArray], progress: Progress = silent) -> FloatArray:
        """Vectors (B, A), or maps or frames (B, C, T) as float16, of B windows (S_i,) of one recording.

        A recording's windows have one length, or it has only one.
        """
        rows = []
        for number, waveform in enumerate(waveforms, start=1):
            log_mel = torch.from_numpy(self.front_end(waveform))[None].to(self.device)
            if self.stages is not None:
                found = self.tower.lower(log_mel, stages=self.stages)[0].half()
            elif self.frames:
                found = self.tower.frame_states(log_mel)[0].transpose(1, 2).half()
            else:
                found = self.tower(log_mel)
            rows.append(found[0].cpu().numpy())
            progress(number, len(waveforms))
        return np.stack(rows)


class TowerTexts:
    """A frozen text tower, whose vectors are computed once.

    Args:
        tower: In evaluation mode.
        device: Where it runs; the tower is moved there.
    """

    def __init__(self, tower: Any, device: torch.device | str = "cpu") -> None:
        self.fingerprint = fingerprint([_checksum(tower), tower.tokenizer_json()])
        self.tower, self.dim, self.device = tower.to(device), tower.dim, device

    @torch.inference_mode()
    def features(self, texts: Sequence[str], progress: Progress = silent) -> FloatArray:
        """Vectors (B, C) of B texts."""
        rows = self.tower.token_ids(texts)
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        for first in range(0, len(order), _TEXTS_AT_ONCE):
            chosen = order[first : first + _TEXTS_AT_ONCE]
            ids, mask = pad_tokens([rows[k] for k in chosen])
            given = (torch.from_numpy(part).to(self.device) for part in (ids, mask))
            out[chosen] = self.tower(*given).cpu().numpy()
            progress(first + len(chosen), len(order))
        return out


def _checksum(tower: nn.Module) -> str:
    """Of all weights and their names."""
    digest = hashlib.sha256()
    for name, value in sorted(tower.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
