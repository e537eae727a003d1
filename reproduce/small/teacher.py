"""The teacher of the audio tower: EfficientAT's ONNX graph with its inner maps as additional outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from askaudio.encoders.efficientat import tower
from askaudio.encoders.session import open_session

# tensors of the published graph: ends of blocks at 1/4, 1/8, 1/16 and 1/32 of the spectrogram, and the last map
MAPS = (("add_193", 16), ("add_522", 16), ("add_1116", 48), ("add_1511", 64), ("hardswish_19", 384))


class Teacher:
    """Log-mel (B, 128, T) -> maps, embedding and logits, as float32 arrays."""

    def __init__(self, path: Path) -> None:
        model = onnx.ModelProto()
        model.CopyFrom(tower(path))
        for name, _ in MAPS:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        self._session = open_session(model.SerializeToString(), str(path))

    def __call__(self, log_mel: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        names = [name for name, _ in MAPS] + ["embedding", "logits"]
        *maps, embedding, logits = self._session.run(names, {"spec": log_mel[:, None]})
        return maps, embedding.reshape(len(log_mel), -1), logits
