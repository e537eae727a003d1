"""An encoder whose two sides are frozen features: what ``askaudio train --init`` starts from.

Features are the encoder's own unit vectors, so a projection that begins as the identity begins with the encoder's own
score. The result is exported as the encoder's graphs with the trained projections behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.load import load
from askaudio.encoders.onnx import TOKENIZER_FILE, OnnxEncoder
from askaudio.models.graphs import audio_graph, text_graph

_AT_ONCE = 16


def base_encoder(spec: str) -> OnnxEncoder:
    """Open the encoder that a training starts from.

    Raises:
        ModelError: It is not here, or has no graphs that could be written out again.
    """
    encoder = load(spec)
    if not isinstance(encoder, OnnxEncoder):
        hint = f"; export it first: askaudio export {spec} OUT" if spec.startswith("hf:") else ""
        raise ModelError(
            f"training cannot start from {spec}: expected small, efficientat, clap, an encoder folder or a run folder"
            + hint
        )
    return encoder


class EncoderAudio:
    """Frozen audio features of an encoder.

    Args:
        spec: Name or folder of the encoder.
    """

    graph_output = ""  # the graph's only one

    def __init__(self, spec: str) -> None:
        self.encoder = base_encoder(spec)
        self.dim = self.encoder.embed_dim
        self.front_end = self.encoder.front_end
        self.checksum = self.encoder.fingerprint
        self.fingerprint = f"encoder {self.encoder.fingerprint} audio"

    def features(self, waveforms: Sequence[FloatArray], progress: Progress = silent) -> FloatArray:
        """Unit vectors (B, D) of B waveforms (S_i,)."""
        return self.encoder.encode_audio(waveforms)

    def graph(self) -> Any:
        """``log_mel`` -> unit vectors, as an ``onnx.ModelProto``."""
        return audio_graph(self.encoder)


class EncoderText:
    """Frozen text features of an encoder.

    Args:
        spec: Name or folder of the encoder.
    """

    def __init__(self, spec: str) -> None:
        self.encoder = base_encoder(spec)
        self.dim = self.encoder.embed_dim
        self.fingerprint = f"encoder {self.encoder.fingerprint} text"

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
