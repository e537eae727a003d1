"""Export a ClapModel as an encoder folder that search runs without torch, checked against `transformers`.

The graphs keep the names and shapes of `transformers`, as public ONNX exports of CLAP do. So the downloaded model
``clap`` and an export of your own are run by the same code. Audio is one window of fixed length; a text has any length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.types import Progress, silent
from askaudio.encoders.clap import SETTINGS
from askaudio.encoders.huggingface import load_clap, locate, open_huggingface
from askaudio.export.dual_encoder import trace
from askaudio.export.encoder_folder import Draft, ExportReport, check_target, write_encoder
from askaudio.export.precision import Precision
from askaudio.models.hf_front_end import clap_front_end


def export_clap(
    source: str, folder: Path | str, *, name: str = "clap", precision: Precision = "fp32", progress: Progress = silent
) -> ExportReport:
    """Write an encoder folder.

    Args:
        source: Folder or name of a ClapModel on the Hugging Face Hub.
        folder: Target. An existing encoder folder is replaced, a folder with other content is refused.
        name: Name of the encoder in reports.
        precision: Storage of the text tower's weights; the audio tower stays in ``"fp32"``.
        progress: Called after each of the five steps.

    Raises:
        ModelError: Not a ClapModel, one with feature fusion, or the export differs by more than 1e-4.
    """
    folder, place = Path(folder), locate(source)
    check_target(folder)
    model = load_clap(place)
    if model.config.audio_config.enable_fusion:
        raise ModelError(f"{source} fuses random crops of long sounds; export one without fusion, or use hf:{source}")
    front_end, tokenizer = read_front_end(place), _tokenizer_json(place)
    reference = open_huggingface(source)
    draft = Draft(
        settings={
            **SETTINGS,
            "name": name,
            "embed_dim": model.config.projection_dim,
            "front_end": front_end.to_json(),
        },
        audio=lambda: _audio_graph(model, front_end),
        text=lambda: _text_graph(model),
        tokenizer=tokenizer,
        original="transformers",
        audio_vectors=reference.encode_audio,
        text_vectors=reference.encode_text,
    )
    return write_encoder(draft, folder, precision, "fp32", progress)


def _audio_graph(model: Any, front_end: FrontEnd) -> bytes:
    bands, frames = front_end(np.zeros(front_end.sample_rate_hz, dtype=np.float32)).shape
    window = torch.zeros(1, 1, frames, bands)
    return trace(_Audio(model), {"input_features": window}, {})


def _text_graph(model: Any) -> bytes:
    ids = torch.tensor([[0, 3, 3, 3, 2]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return trace(_Text(model), inputs, {name: {1: "L"} for name in inputs})


def read_front_end(folder: Path) -> FrontEnd:
    """The front end that a model's ``preprocessor_config.json`` describes.

    Raises:
        ModelError: It describes settings that ``FrontEnd`` does not have.
    """
    transformers = require("transformers", "hf")
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    try:
        return clap_front_end(extractor)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}; use hf:{folder}") from error


class _Audio(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_features: torch.Tensor) -> torch.Tensor:
        """(1, 1, T, F) -> (1, D)."""
        return self.model.get_audio_features(input_features=input_features).pooler_output


class _Text(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(1, L) twice -> (1, D)."""
        return self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask).pooler_output


def _tokenizer_json(folder: Path) -> str:
    """The tokenizer as JSON of ``tokenizers``, truncating to the length that the text tower accepts."""
    transformers = require("transformers", "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(min(tokenizer.model_max_length, 512))
    backend.no_padding()
    return backend.to_str()
