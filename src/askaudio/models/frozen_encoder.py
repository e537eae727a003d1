"""Frozen towers by name, as a checkpoint writes them, and whole encoders whose two sides serve as such towers.

Names of audio towers: ``"efficientat:PATH"``, and ``"efficientat_frames:PATH"`` for its frames; of text towers:
``"minilm"``; of either: ``"encoder:SPEC"``, that side of an encoder, from which ``askaudio train --init`` starts. Its
features are the encoder's own unit vectors, so a projection that starts as the identity starts with the encoder's own
score. The trained model is exported as the encoder's graphs with the projections behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.efficientat import FRONT_END, EfficientATFeatures
from askaudio.encoders.efficientat_tower import FRAMES
from askaudio.encoders.load import load
from askaudio.encoders.onnx import TOKENIZER_FILE, OnnxEncoder
from askaudio.models.graphs import audio_graph, text_graph
from askaudio.models.minilm import MiniLMFeatures

ENCODER = "encoder"
_AT_ONCE = 16


class EfficientATFrames:
    """EfficientAT as a frozen tower that keeps the time, for a head over frames.

    Args:
        path: The published file, see ``EfficientATFeatures``.
        front_end: Windows and the rule for short sounds.
    """

    dim = EfficientATFeatures.dim
    graph_output = FRAMES

    def __init__(self, path: Path, front_end: FrontEnd = FRONT_END) -> None:
        self.tower = EfficientATFeatures(path, 1, front_end)
        self.front_end, self.checksum = front_end, self.tower.checksum
        self.fingerprint = f"{self.tower.fingerprint} {FRAMES}"

    def features(self, waveforms: Sequence[FloatArray], progress: Progress = silent) -> FloatArray:
        """Frames (B, 384, T) of B mono waveforms (S_i,) that the front end brings to one length."""
        rows = []
        for number, waveform in enumerate(waveforms, start=1):
            rows.append(self.tower.frames(waveform))
            progress(number, len(waveforms))
        return np.stack(rows)

    def graph(self) -> Any:
        """``spec`` -> ``frames`` among others, as an ``onnx.ModelProto``; do not change it."""
        return self.tower.graph()


class EncoderAudio:
    """Audio side of an encoder as a frozen tower.

    Args:
        encoder: The encoder.
    """

    graph_output = ""  # the graph's only one

    def __init__(self, encoder: OnnxEncoder) -> None:
        self.encoder = encoder
        self.dim = encoder.embed_dim
        self.front_end = encoder.front_end
        self.checksum = encoder.fingerprint
        self.fingerprint = f"encoder {encoder.fingerprint} audio"

    def features(self, waveforms: Sequence[FloatArray], progress: Progress = silent) -> FloatArray:
        """Unit vectors (B, D) of B waveforms (S_i,)."""
        return self.encoder.encode_audio(waveforms)

    def graph(self) -> Any:
        """``log_mel`` -> unit vectors, as an ``onnx.ModelProto``."""
        return audio_graph(self.encoder)


class EncoderText:
    """Text side of an encoder as a frozen tower.

    Args:
        encoder: The encoder.
    """

    def __init__(self, encoder: OnnxEncoder) -> None:
        self.encoder = encoder
        self.dim = encoder.embed_dim
        self.fingerprint = f"encoder {encoder.fingerprint} text"

    def features(self, texts: Sequence[str], progress: Progress = silent) -> FloatArray:
        """Unit vectors (B, D) of B texts."""
        rows = []
        for first in range(0, len(texts), _AT_ONCE):
            rows.append(self.encoder.encode_text(texts[first : first + _AT_ONCE]))
            progress(min(first + _AT_ONCE, len(texts)), len(texts))
        return np.concatenate(rows) if rows else self.encoder.encode_text([])

    def graph(self) -> Any:
        """``ids`` and ``mask`` -> unit vectors, as an ``onnx.ModelProto``."""
        return text_graph(self.encoder)

    def tokenizer_json(self) -> str:
        """The encoder's tokenizer."""
        return self.encoder.content(TOKENIZER_FILE).decode("utf-8")


AudioFeatures: TypeAlias = EfficientATFeatures | EfficientATFrames | EncoderAudio
TextFeatures: TypeAlias = MiniLMFeatures | EncoderText


@dataclass(frozen=True)
class FrozenTowers:
    """The opened frozen towers of a model.

    Attributes:
        audio_source: Name of the audio tower; None where it is trained.
        text_source: Name of the text tower; None where it is trained.
        audio: None where it is trained, or its features were made elsewhere.
        text: The same for the text tower.
    """

    audio_source: str | None
    text_source: str | None
    audio: AudioFeatures | None
    text: TextFeatures | None


def base_encoder(spec: str) -> OnnxEncoder:
    """Open the encoder that a training starts from.

    Raises:
        ModelError: It is missing, or has no graphs that could be exported again.
    """
    encoder = load(spec)
    if not isinstance(encoder, OnnxEncoder):
        hint = f"; export it first: askaudio export {spec} OUT" if spec.startswith("hf:") else ""
        raise ModelError(
            f"training cannot start from {spec}: expected small, efficientat, clap, an encoder folder or a run folder"
            + hint
        )
    return encoder


def audio_features(source: str, *, front_end: FrontEnd = FRONT_END) -> AudioFeatures:
    """Open the frozen audio tower of a name, with the front end on which its projection was trained.

    Raises:
        ModelError: The name is unknown, or its file is missing.
    """
    kind, _, path = source.partition(":")
    if kind == ENCODER and path:
        return EncoderAudio(base_encoder(path))
    if kind == "efficientat_frames" and path:
        return EfficientATFrames(Path(path).expanduser(), front_end)
    if kind != "efficientat" or not path:
        raise ModelError(f"unknown frozen audio tower {source!r}; expected efficientat:PATH_OF_THE_ONNX_FILE")
    return EfficientATFeatures(Path(path).expanduser(), 1, front_end)


def text_features(source: str) -> TextFeatures:
    """Open the frozen text tower of a name.

    Raises:
        ModelError: The name is unknown.
        MissingExtraError: Its package is not installed.
    """
    kind, _, path = source.partition(":")
    if kind == ENCODER and path:
        return EncoderText(base_encoder(path))
    if source != "minilm":
        raise ModelError(f"unknown frozen text tower {source!r}; expected minilm")
    return MiniLMFeatures()


def open_towers(audio_source: str | None, text_source: str | None, *, front_end: FrontEnd = FRONT_END) -> FrozenTowers:
    """Open both frozen towers of a model; an encoder that serves as both is opened once.

    Args:
        audio_source: Name of the audio tower; None for none.
        text_source: Name of the text tower; None for none.
        front_end: See ``audio_features``.
    """
    audio = audio_features(audio_source, front_end=front_end) if audio_source is not None else None
    if isinstance(audio, EncoderAudio) and audio_source == text_source:
        text: TextFeatures | None = EncoderText(audio.encoder)
    else:
        text = text_features(text_source) if text_source is not None else None
    return FrozenTowers(audio_source, text_source, audio, text)
