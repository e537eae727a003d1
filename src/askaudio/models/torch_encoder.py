"""A trained checkpoint as an encoder that runs in torch, for towers that are too large for an ONNX file.

Sounds and texts run one at a time, so that a vector does not depend on the other inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from askaudio.core.errors import ModelError
from askaudio.core.files import fingerprint, sha256_file
from askaudio.core.types import FloatArray
from askaudio.encoders.recording import FileEncoder
from askaudio.models.dual_encoder import SETTINGS_FILE, WEIGHTS_FILE, DualEncoder


class TorchEncoder(FileEncoder):
    """The encoder in a run folder.

    Args:
        folder: Holds ``weights.safetensors`` and ``dual_encoder.json``, with both towers.
        device: Where it runs.

    Raises:
        ModelError: No checkpoint, or a frozen tower that is not part of it.
    """

    def __init__(self, folder: Path | str, device: str = "cpu") -> None:
        model = DualEncoder.load(folder)
        if model.audio_tower is None or model.text_tower is None:
            raise ModelError(f"{folder} does not hold both towers; export it instead: askaudio export {folder} OUT")
        self.model = model.to(device)
        self.device = device
        self.name = Path(folder).resolve().name
        self.embed_dim = model.embed_dim
        self.sample_rate_hz = model.front_end.sample_rate_hz
        self.window_s, self.hop_s = model.front_end.window_s, model.front_end.hop_s
        self.fingerprint = fingerprint([sha256_file(Path(folder) / file) for file in (WEIGHTS_FILE, SETTINGS_FILE)])

    @torch.inference_mode()
    def encode_audio(self, waveforms: Sequence[FloatArray]) -> FloatArray:
        """Vectors (B, D) of B mono waveforms (S_i,) at ``sample_rate_hz``, each at most ``window_s`` long."""
        return self._rows([self.model.encode_audio((self._audio(sound),)) for sound in waveforms])

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Vectors (B, D) of B texts."""
        tower: Any = self.model.text_tower
        ids = [torch.tensor([row], device=self.device) for row in tower.token_ids(list(texts))]
        return self._rows([self.model.encode_text((row, torch.ones_like(row))) for row in ids])

    def _audio(self, sound: FloatArray) -> torch.Tensor:
        return torch.from_numpy(self.model.front_end(sound))[None].to(self.device)

    def _rows(self, vectors: list[torch.Tensor]) -> FloatArray:
        return torch.cat(vectors).cpu().numpy() if vectors else np.zeros((0, self.embed_dim), dtype=np.float32)
