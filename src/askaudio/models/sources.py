"""Frozen towers by name, as a checkpoint writes them.

Audio: ``"efficientat:PATH"``; text: ``"minilm"``; either: ``"encoder:SPEC"``, that side of an encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.encoders.efficientat import FRONT_END, EfficientATFeatures
from askaudio.models.frozen_encoder import EncoderAudio, EncoderText
from askaudio.models.minilm import MiniLMFeatures

AudioFeatures: TypeAlias = EfficientATFeatures | EncoderAudio
TextFeatures: TypeAlias = MiniLMFeatures | EncoderText
ENCODER = "encoder"


def audio_features(source: str, threads: int = 1, front_end: FrontEnd = FRONT_END) -> AudioFeatures:
    """Open the frozen audio tower of a source, with the front end that its projection was trained on.

    Raises:
        ModelError: The source is unknown or its file is missing.
    """
    kind, _, path = source.partition(":")
    if kind == ENCODER and path:
        return EncoderAudio(path)
    if kind != "efficientat" or not path:
        raise ModelError(f"unknown frozen audio tower {source!r}; expected efficientat:PATH_OF_THE_ONNX_FILE")
    return EfficientATFeatures(Path(path).expanduser(), threads, front_end)


def text_features(source: str) -> TextFeatures:
    """Open the frozen text tower of a source.

    Raises:
        ModelError: The source is unknown.
        MissingExtraError: Its package is not installed.
    """
    kind, _, path = source.partition(":")
    if kind == ENCODER and path:
        return EncoderText(path)
    if source != "minilm":
        raise ModelError(f"unknown frozen text tower {source!r}; expected minilm")
    return MiniLMFeatures()
