"""A trained dual encoder -> an encoder folder that search runs without torch, checked against torch.

Trained parts go through torch's TorchScript exporter: 2 to 5 s for MiniLM where the newer exporter takes 50 s, and
the parity check below sees to the rest. A frozen graph (EfficientAT's, or those of an encoder that training started
from) is joined with the trained projection into one file. The folder appears as a whole or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.files import sha256_file, write_json
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frozen_encoder import EncoderText
from askaudio.models.graphs import chain, from_log_mel
from askaudio.models.minilm import pad_tokens
from askaudio.models.onnx import AUDIO_FILE, FILES, FORMAT, SETTINGS_FILE, TEXT_FILE, TOKENIZER_FILE, OnnxEncoder
from askaudio.models.precision import Precision, store_as
from askaudio.models.sources import AudioFeatures, TextFeatures, audio_features, text_features

TOLERANCE = 1e-4
OPSET = 18
PROBE_TEXTS = ("a dog barks twice, then a door slams in a large hall", "rain", "")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written and how far it is from torch.

    Attributes:
        folder: The encoder folder.
        audio_error: Largest difference of an audio vector's numbers from torch.
        text_error: Largest difference of a text vector's numbers from torch, at full precision.
        text_cosine: Smallest cosine between a probe text's vector at full and at the stored precision.
        megabytes: Size of the folder.
    """

    folder: str
    audio_error: float
    text_error: float
    text_cosine: float
    megabytes: float


def export(
    model: DualEncoder,
    folder: Path | str,
    name: str = "askaudio",
    precision: Precision = "fp32",
    audio_source: str | None = None,
    progress: Progress = silent,
    audio_precision: Precision = "fp32",
) -> ExportReport:
    """Write an encoder folder.

    Args:
        model: Trained dual encoder; it is put into evaluation mode.
        folder: Target; an older encoder folder there is replaced, anything else refused.
        name: The encoder's name for people.
        precision: How the text tower's weights are stored: ``"fp32"``, ``"fp16"`` (half the size, same speed) or
            ``"int8"`` (a quarter).
        audio_source: Where the frozen audio tower is now, if it moved since training.
        progress: Called after each of the five steps.
        audio_precision: The same for the audio tower; ``"int8"`` reaches its linear layers only.

    Returns:
        Sizes and the measured differences.

    Raises:
        ModelError: A tower cannot be found, or the exported model differs from torch by more than 1e-4.
    """
    model, folder = model.eval(), Path(folder)
    check_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    frozen_audio = None if model.audio_tower else _frozen_audio(model, audio_source or model.audio_source)
    frozen_text = None if model.text_tower else text_features(model.text_source)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        progress(0, 5, "audio")
        (work / AUDIO_FILE).write_bytes(_audio_graph(model, frozen_audio))
        progress(1, 5, "text")
        (work / TEXT_FILE).write_bytes(_text_graph(model, frozen_text))
        (work / TOKENIZER_FILE).write_text(_tokenizer_json(model, frozen_text), encoding="utf-8")
        _write_settings(work, model, name, "fp32")
        progress(2, 5, "check against torch")
        errors, texts = _check(model, OnnxEncoder(work), frozen_audio, frozen_text)
        progress(3, 5, f"store as {precision}")
        store_as(work / TEXT_FILE, precision)
        store_as(work / AUDIO_FILE, audio_precision)
        _write_settings(work, model, name, precision)
        cosine = float((OnnxEncoder(work).encode_text(PROBE_TEXTS) * texts).sum(1).min())
        progress(4, 5, "put in place")
        size = sum((work / file).stat().st_size for file in FILES) / 1e6
        put_in_place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(5, 5)
    return ExportReport(str(folder), *errors, cosine, round(size, 1))


def as_json(report: ExportReport) -> dict[str, Any]:
    """The report as a JSON object."""
    return asdict(report)


def check_target(folder: Path) -> None:
    """See that a folder may be written.

    Raises:
        ModelError: It holds something that is no encoder.
    """
    if folder.exists() and not (folder / SETTINGS_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} exists and is no encoder folder; name a new or empty folder")


def put_in_place(work: Path, folder: Path) -> None:
    """Move a finished encoder folder to its place, in front of an older one."""
    work.chmod(0o755)
    if folder.exists():
        shutil.rmtree(folder)
    work.rename(folder)


def _write_settings(folder: Path, model: DualEncoder, name: str, precision: str) -> None:
    settings = {
        "format": FORMAT,
        "name": name,
        "embed_dim": model.embed_dim,
        "front_end": model.front_end.to_json(),
        "text_precision": precision,
        "sha256": {file: sha256_file(folder / file) for file in FILES},
    }
    write_json(folder / SETTINGS_FILE, settings)


def _frozen_audio(model: DualEncoder, source: str) -> AudioFeatures:
    features = audio_features(source, front_end=model.front_end)
    if model.audio_source_sha256 not in ("", features.checksum):
        raise ModelError(f"{source} is not the audio tower of this checkpoint (its checksum is another)")
    return features


class _Side(nn.Module):
    """Tower (or none), projection and unit length, for the exporter."""

    def __init__(self, tower: nn.Module | None, projection: nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        features = inputs[0] if self.tower is None else self.tower(*inputs)
        return nn.functional.normalize(self.projection(features), dim=-1)


def _audio_graph(model: DualEncoder, frozen: AudioFeatures | None) -> bytes:
    if frozen is None:
        return trained_audio_graph(model.audio_tower, model.audio_projection, model.front_end.log_mel.n_mels)
    tower = frozen.graph()
    joined = _with_head(tower, model.audio_projection, frozen.graph_output or tower.graph.output[0].name)
    return (from_log_mel(joined) if joined.graph.input[0].name == "spec" else joined).SerializeToString()


def trained_audio_graph(tower: Any, projection: nn.Module, n_mels: int) -> bytes:
    """An ONNX graph from ``log_mel`` (B, F, T) to unit vectors (B, D), of a trained tower and its projection."""
    example = torch.zeros(1, n_mels, 200)
    return trace(_Side(tower, projection), {"log_mel": example}, {"log_mel": {0: "B", 2: "T"}})


def _text_graph(model: DualEncoder, frozen: TextFeatures | None) -> bytes:
    if isinstance(frozen, EncoderText):
        tower = frozen.graph()
        return _with_head(tower, model.text_projection, tower.graph.output[0].name).SerializeToString()
    text_tower: Any = model.text_tower if frozen is None else frozen.tower
    ids = torch.ones(1, 6, dtype=torch.int64)
    axes = {0: "B", 1: "L"}
    side = _Side(text_tower, model.text_projection).eval()
    return trace(side, {"ids": ids, "mask": torch.ones_like(ids)}, {"ids": axes, "mask": axes})


def _tokenizer_json(model: DualEncoder, frozen: TextFeatures | None) -> str:
    if isinstance(frozen, EncoderText):
        return frozen.tokenizer_json()
    text_tower: Any = model.text_tower if frozen is None else frozen.tower
    return text_tower.tokenizer_json()


def _with_head(tower: Any, projection: Any, output: str) -> Any:
    """A frozen graph with a trained projection behind one of its outputs."""
    example = torch.zeros(1, projection.in_dim)
    head = trace(_Side(None, projection), {"features": example}, {"features": {0: "B"}})
    return chain(tower, require("onnx", "train").load_model_from_string(head), {output: "features"})


def trace(module: nn.Module, inputs: dict[str, torch.Tensor], axes: dict[str, dict[int, str]]) -> bytes:
    """An ONNX graph of a module in evaluation mode, from example inputs by name; its output is ``vector``."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of shape checks in transformers that hold for all lengths
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


def _check(
    model: DualEncoder,
    encoder: OnnxEncoder,
    frozen_audio: AudioFeatures | None,
    frozen_text: TextFeatures | None,
) -> tuple[tuple[float, float], FloatArray]:
    """Largest differences (audio, text) of the full-precision export from torch, and the probe texts' vectors."""
    sounds = probe_sounds(model.front_end)
    texts = encoder.encode_text(PROBE_TEXTS)
    audio_error = float(np.abs(encoder.encode_audio(sounds) - _torch_audio(model, frozen_audio, sounds)).max())
    text_error = float(np.abs(texts - _torch_text(model, frozen_text)).max())
    if not max(audio_error, text_error) <= TOLERANCE:
        raise ModelError(
            f"the exported model differs from torch by {audio_error:.1e} (audio) and {text_error:.1e} (text), "
            f"allowed is {TOLERANCE:.0e}; nothing was written"
        )
    return (audio_error, text_error), texts


def probe_sounds(front_end: FrontEnd) -> list[FloatArray]:
    """A full window of noise and tone, a short one, silence."""
    rate = front_end.sample_rate_hz
    rng = np.random.default_rng(0)
    time_s = np.arange(round(front_end.window_s * rate)) / rate
    loud = (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.05 * rng.standard_normal(len(time_s))).astype(np.float32)
    return [loud, loud[: rate // 3], np.zeros(rate, dtype=np.float32)]


@torch.inference_mode()
def _torch_audio(model: DualEncoder, frozen: AudioFeatures | None, sounds: Sequence[FloatArray]) -> FloatArray:
    if frozen is not None:
        return model.encode_audio(torch.from_numpy(frozen.features(sounds))).numpy()
    log_mels = [torch.from_numpy(model.front_end(sound))[None] for sound in sounds]
    return torch.cat([model.encode_audio((log_mel,)) for log_mel in log_mels]).numpy()


@torch.inference_mode()
def _torch_text(model: DualEncoder, frozen: TextFeatures | None) -> FloatArray:
    if frozen is not None:
        return model.encode_text(torch.from_numpy(frozen.features(PROBE_TEXTS))).numpy()
    text_tower: Any = model.text_tower
    ids, mask = pad_tokens(text_tower.token_ids(PROBE_TEXTS))
    return model.encode_text((torch.from_numpy(ids), torch.from_numpy(mask))).numpy()
