"""Frozen towers by name, as a checkpoint writes them: ``"efficientat:PATH"`` for audio, ``"minilm"`` for text."""

from __future__ import annotations

from pathlib import Path

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.models.efficientat import FRONT_END, EfficientATFeatures
from askaudio.models.minilm import MiniLMFeatures


def audio_features(source: str, threads: int = 1, front_end: FrontEnd = FRONT_END) -> EfficientATFeatures:
    """Open the frozen audio tower of a source, with the front end that its projection was trained on.

    Raises:
        ModelError: The source is unknown or its file is missing.
    """
    kind, _, path = source.partition(":")
    if kind != "efficientat" or not path:
        raise ModelError(f"unknown frozen audio tower {source!r}; expected efficientat:PATH_OF_THE_ONNX_FILE")
    return EfficientATFeatures(Path(path).expanduser(), threads, front_end)


def text_features(source: str) -> MiniLMFeatures:
    """Open the frozen text tower of a source.

    Raises:
        ModelError: The source is unknown.
        MissingExtraError: Its package is not installed.
    """
    if source != "minilm":
        raise ModelError(f"unknown frozen text tower {source!r}; expected minilm")
    return MiniLMFeatures()
