"""Export a trained dual encoder as an encoder folder that search runs without torch, checked against torch.

Trained towers are exported with torch's TorchScript exporter, which takes 2 to 5 s for MiniLM where the newer exporter
takes 50 s. It does not detect every model that it cannot trace, so ``encoder_folder.py`` compares the result with
torch. A frozen tower is an ONNX graph already (of EfficientAT, or of the encoder that training started from); it is
joined with the trained projection into one graph.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.onnx import FORMAT
from askaudio.export.encoder_folder import Draft, ExportReport, check_target, write_encoder
from askaudio.export.precision import Precision
from askaudio.models.dual_encoder import DualEncoder, encode
from askaudio.models.frozen_encoder import AudioFeatures, EncoderText, FrozenTowers, TextFeatures, open_towers
from askaudio.models.graphs import chain, from_log_mel
from askaudio.models.minilm import pad_tokens

OPSET = 18
LARGEST_BYTES = 2_000_000_000  # protobuf holds less than 2 GiB


def export(
    model: DualEncoder,
    folder: Path | str,
    *,
    name: str = "askaudio",
    precision: Precision = "fp32",
    audio_precision: Precision = "fp32",
    audio_source: str | None = None,
    progress: Progress = silent,
    towers: FrozenTowers | None = None,
) -> ExportReport:
    """Write an encoder folder.

    Args:
        model: Trained dual encoder; it is put into evaluation mode.
        folder: Target. An existing encoder folder is replaced, a folder with other content is refused.
        name: Name of the encoder in reports.
        precision: Storage of the text tower's weights: ``"fp32"``, ``"fp16"`` (half the size, same speed) or
            ``"int8"`` (a quarter of the size).
        audio_precision: Storage of the audio tower's weights; ``"int8"`` affects its linear layers only.
        audio_source: Current place of the frozen audio tower, if it moved since training.
        progress: Called after each of the five steps.
        towers: The model's frozen towers, if they are open already.

    Returns:
        Sizes and the measured differences.

    Raises:
        ModelError: A tower cannot be found, or the exported model differs from torch by more than 1e-4.
    """
    model, folder = model.eval(), Path(folder)
    check_target(folder)
    if too_large(model):
        raise ModelError(
            "a tower is larger than 2 GB, the limit of an ONNX file; the run folder is complete, and torch scores it: "
            "askaudio table"
        )
    towers = towers or _frozen_towers(model, audio_source or model.audio_source)
    frozen_audio, frozen_text = towers.audio, towers.text
    draft = Draft(
        settings={
            "format": FORMAT,
            "name": name,
            "embed_dim": model.embed_dim,
            "front_end": model.front_end.to_json(),
        },
        audio=lambda: _audio_graph(model, frozen_audio),
        text=lambda: _text_graph(model, frozen_text),
        tokenizer=_tokenizer_json(model, frozen_text),
        original="torch",
        audio_vectors=lambda sounds: _torch_audio(model, frozen_audio, sounds),
        text_vectors=lambda texts: _torch_text(model, frozen_text, texts),
    )
    return write_encoder(draft, folder, precision, audio_precision, progress)


def too_large(model: DualEncoder) -> bool:
    """Whether the weights of a tower do not fit into one ONNX file."""
    sizes = [sum(p.nbytes for p in t.parameters()) for t in (model.audio_tower, model.text_tower) if t is not None]
    return max(sizes, default=0) > LARGEST_BYTES


def _frozen_towers(model: DualEncoder, source: str) -> FrozenTowers:
    towers = open_towers(
        None if model.audio_tower else source,
        None if model.text_tower else model.text_source,
        front_end=model.front_end,
    )
    if towers.audio and model.audio_source_sha256 not in ("", towers.audio.checksum):
        raise ModelError(f"{source} is not the audio tower of this checkpoint (its checksum differs)")
    return towers


class _Side(nn.Module):
    """One side of the model as a module: tower (or none), projection, scaling to length 1."""

    def __init__(self, tower: nn.Module | None, projection: nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return encode(self.tower, self.projection, inputs)


def _audio_graph(model: DualEncoder, frozen: AudioFeatures | None) -> bytes:
    if frozen is None:
        sound = np.zeros(round(model.front_end.window_s * model.front_end.sample_rate_hz), dtype=np.float32)
        return trained_audio_graph(model.audio_tower, model.audio_projection, *model.front_end(sound).shape)
    tower = frozen.graph()
    joined = _with_head(tower, model.audio_projection, frozen.graph_output or tower.graph.output[0].name)
    return (from_log_mel(joined) if joined.graph.input[0].name == "spec" else joined).SerializeToString()


def trained_audio_graph(tower: Any, projection: nn.Module, n_mels: int, frames: int = 200) -> bytes:
    """The ONNX graph of a trained tower and its projection: ``log_mel`` (B, F, T) -> unit vectors (B, D).

    Args:
        tower: Audio tower; maps ``log_mel`` (B, F, T) to features.
        projection: Maps the features to (B, D).
        n_mels: F, the number of mel bands.
        frames: T of the example; some towers take full windows only.
    """
    example = torch.zeros(1, n_mels, frames)
    return trace(_Side(tower, projection), {"log_mel": example}, {"log_mel": {0: "B", 2: "T"}})


def _text_graph(model: DualEncoder, frozen: TextFeatures | None) -> bytes:
    if isinstance(frozen, EncoderText):
        tower = frozen.graph()
        return _with_head(tower, model.text_projection, tower.graph.output[0].name).SerializeToString()
    ids = torch.ones(1, 6, dtype=torch.int64)
    axes = {0: "B", 1: "L"}
    side = _Side(_text_tower(model, frozen), model.text_projection)
    return trace(side, {"ids": ids, "mask": torch.ones_like(ids)}, {"ids": axes, "mask": axes})


def _tokenizer_json(model: DualEncoder, frozen: TextFeatures | None) -> str:
    if isinstance(frozen, EncoderText):
        return frozen.tokenizer_json()
    return _text_tower(model, frozen).tokenizer_json()


def _text_tower(model: DualEncoder, frozen: Any) -> Any:
    """The MiniLM tower: trained, or frozen behind its features."""
    return model.text_tower if frozen is None else frozen.tower


def _with_head(tower: Any, projection: Any, output: str) -> Any:
    """A frozen graph whose output of this name is the input of a trained projection."""
    over_frames = hasattr(projection, "pooled")
    example = torch.zeros(1, projection.in_dim, 32) if over_frames else torch.zeros(1, projection.in_dim)
    axes = {0: "B", 2: "T"} if over_frames else {0: "B"}
    head = trace(_Side(None, projection), {"features": example}, {"features": axes})
    return chain(tower, require("onnx", "train").load_model_from_string(head), {output: "features"})


def trace(module: nn.Module, inputs: dict[str, torch.Tensor], axes: dict[str, dict[int, str]]) -> bytes:
    """Trace a module as an ONNX graph with the output ``vector``.

    Args:
        module: It is put into evaluation mode.
        inputs: Example inputs by name.
        axes: For each input, names of the dimensions that may vary.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        # the tracer warns about shape checks in transformers that are true for all lengths
        warnings.simplefilter("ignore")
        file = Path(folder) / "traced.onnx"
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=["vector"],
            dynamic_axes={**axes, "vector": {0: "B"}},
            opset_version=OPSET,
            dynamo=False,
        )
        return file.read_bytes()


@torch.inference_mode()
def _torch_audio(model: DualEncoder, frozen: AudioFeatures | None, sounds: Sequence[FloatArray]) -> FloatArray:
    if frozen is not None:
        return model.encode_audio(torch.from_numpy(frozen.features(sounds))).numpy()
    log_mels = [torch.from_numpy(model.front_end(sound))[None] for sound in sounds]
    return torch.cat([model.encode_audio((log_mel,)) for log_mel in log_mels]).numpy()


@torch.inference_mode()
def _torch_text(model: DualEncoder, frozen: TextFeatures | None, texts: Sequence[str]) -> FloatArray:
    if frozen is not None:
        return model.encode_text(torch.from_numpy(frozen.features(texts))).numpy()
    text_tower: Any = model.text_tower
    ids, mask = pad_tokens(text_tower.token_ids(texts))
    return model.encode_text((torch.from_numpy(ids), torch.from_numpy(mask))).numpy()
