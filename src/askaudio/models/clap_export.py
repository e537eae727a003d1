"""A ClapModel -> an encoder folder that search runs without torch, checked against the library that made it.

The graphs keep that library's names and shapes, as public ONNX exports of CLAP do, so that the pulled model ``clap``
and an export of your own are run by the same code. Audio enters as one window of fixed length; a text has any length.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.files import sha256_file, write_json
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.models.clap import SETTINGS
from askaudio.models.export import (
    PROBE_TEXTS,
    TOLERANCE,
    ExportReport,
    check_target,
    probe_sounds,
    put_in_place,
    trace,
)
from askaudio.models.huggingface import load_clap, locate, open_huggingface
from askaudio.models.onnx import AUDIO_FILE, FILES, SETTINGS_FILE, TEXT_FILE, TOKENIZER_FILE, OnnxEncoder
from askaudio.models.precision import Precision, store_as


def export_clap(
    source: str, folder: Path | str, name: str = "clap", precision: Precision = "fp32", progress: Progress = silent
) -> ExportReport:
    """Write an encoder folder.

    Args:
        source: Folder or name of a ClapModel, as ``hf:`` takes it.
        folder: Target; an older encoder folder there is replaced, anything else refused.
        name: The encoder's name for people.
        precision: How the text tower's weights are stored.
        progress: Called after each of the five steps.

    Raises:
        ModelError: It is no ClapModel, one with feature fusion, or the export differs by more than 1e-4.
    """
    folder, place = Path(folder), locate(source)
    check_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    model = load_clap(place)
    if model.config.audio_config.enable_fusion:
        raise ModelError(f"{source} fuses random crops of long sounds; export one without fusion, or use hf:{source}")
    front_end, tokenizer = read_front_end(place), _tokenizer_json(place)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        progress(0, 5, "audio")
        frames = round(front_end.window_s * front_end.sample_rate_hz) // front_end.log_mel.hop + 1
        window = torch.zeros(1, 1, frames, front_end.log_mel.n_mels)
        (work / AUDIO_FILE).write_bytes(trace(_Audio(model), {"input_features": window}, {}))
        progress(1, 5, "text")
        ids = torch.tensor([[0, 3, 3, 3, 2]])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        (work / TEXT_FILE).write_bytes(trace(_Text(model), inputs, {name: {1: "L"} for name in inputs}))
        (work / TOKENIZER_FILE).write_text(tokenizer, encoding="utf-8")
        _write_settings(work, name, model.config.projection_dim, front_end, "fp32")
        progress(2, 5, "check against transformers")
        errors, texts = _check(source, OnnxEncoder(work))
        progress(3, 5, f"store as {precision}")
        store_as(work / TEXT_FILE, precision)
        _write_settings(work, name, model.config.projection_dim, front_end, precision)
        cosine = float((OnnxEncoder(work).encode_text(PROBE_TEXTS) * texts).sum(1).min())
        progress(4, 5, "put in place")
        size = sum((work / file).stat().st_size for file in FILES) / 1e6
        put_in_place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(5, 5)
    return ExportReport(str(folder), *errors, cosine, round(size, 1))


def read_front_end(folder: Path) -> FrontEnd:
    """The front end that a model's ``preprocessor_config.json`` describes.

    Raises:
        ModelError: It describes one that is not made here.
    """
    transformers = require("transformers", "hf")
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    if extractor.truncation == "fusion" or extractor.padding != "repeatpad" or extractor.top_db is not None:
        raise ModelError(f"{folder}: expected truncation rand_trunc, padding repeatpad and no top_db; use hf:{folder}")
    mel = SlaneyMel(
        sample_rate_hz=extractor.sampling_rate,
        n_mels=extractor.feature_size,
        n_fft=extractor.fft_window_size,
        hop=extractor.hop_length,
        f_min_hz=float(extractor.frequency_min),
        f_max_hz=float(extractor.frequency_max),
    )
    window_s = float(extractor.max_length_s)
    return FrontEnd(mel, window_s=window_s, hop_s=window_s, short="tile", short_s=window_s)


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


def _write_settings(folder: Path, name: str, embed_dim: int, front_end: FrontEnd, precision: str) -> None:
    settings = {
        **SETTINGS,
        "name": name,
        "embed_dim": embed_dim,
        "front_end": front_end.to_json(),
        "text_precision": precision,
        "sha256": {file: sha256_file(folder / file) for file in FILES},
    }
    write_json(folder / SETTINGS_FILE, settings)


def _tokenizer_json(folder: Path) -> str:
    """The tokenizer as ``tokenizers`` serialises it, cut at what the text tower takes."""
    transformers = require("transformers", "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(min(tokenizer.model_max_length, 512))
    backend.no_padding()
    return backend.to_str()


def _check(source: str, encoder: OnnxEncoder) -> tuple[tuple[float, float], FloatArray]:
    """Largest differences (audio, text) from the library's own extractor, tokenizer and towers."""
    reference = open_huggingface(source)
    sounds = probe_sounds(encoder.front_end)
    texts = encoder.encode_text(PROBE_TEXTS)
    audio_error = float(np.abs(encoder.encode_audio(sounds) - reference.encode_audio(sounds)).max())
    text_error = float(np.abs(texts - reference.encode_text(PROBE_TEXTS)).max())
    if not max(audio_error, text_error) <= TOLERANCE:
        raise ModelError(
            f"the exported model differs from transformers by {audio_error:.1e} (audio) and {text_error:.1e} (text), "
            f"allowed is {TOLERANCE:.0e}; nothing was written"
        )
    return (audio_error, text_error), texts
