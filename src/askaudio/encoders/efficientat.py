"""EfficientAT, a small pretrained audio tower from a published file: embeddings of 384 and 527 class probabilities.

The embedding is the mean over time of ``frames``, one of 384 numbers each 0.32 s, which a head over frames takes.

The file is the authors' checkpoint (``.pt``), from which ``efficientat_tower`` builds a graph with both outputs, or an
ONNX file whose only output is the class logits. The embedding is the input of the classifier; an ONNX file is opened
with the ``onnx`` package (extra ``train``), and that tensor is added as a second output, in memory. Both files give
the same bits.

Clips run one at a time, so that the output of a clip does not depend on the other clips of a batch; on a CPU, batches
of these small convolutions are no faster. ``threads`` clips run in parallel, each on one thread, so that the output
does not depend on the number of threads either.

Source: Schmid et al., "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge Distillation", 2023.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.files import fingerprint, sha256_file
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.efficientat_tower import FEATURE_DIM, FRAMES, N_CLASSES, tower_from_checkpoint
from askaudio.encoders.session import open_session

# Short sounds are padded with zeros to 10 s, as in the tower's training. Accuracy of the label of the nearest neighbour
# from another recording, on 2,499 real clips with 125 labels: zeros to 10 s .536, to 3 s .517, to 1 s .513; repeated
# to 1 s .513, to 3 s .502, to 10 s .500; not padded .500. Only clips under 3 s: zeros to 10 s .375, next best .359.
FRONT_END = FrontEnd(short="zeros", short_s=10.0)
CHECKPOINT_START = b"PK"  # the authors' checkpoint is a zip archive, whatever its name


class EfficientATFeatures:
    """Features of waveforms from the frozen tower.

    Args:
        path: The published checkpoint ``mn04_as_mAP_432.pt``, or an ONNX file of it (input ``spec`` (B, 1, 128, T),
            output ``logits`` (B, 527)).
        threads: Clips that run in parallel.
        front_end: Other windows or another rule for short sounds; the log-mel settings must be the tower's.

    Raises:
        ModelError: The file is missing or is not such a model, or the log-mel settings are not the tower's.
        MissingExtraError: The file is an ONNX file and the ``onnx`` package is not installed.
    """

    dim = FEATURE_DIM
    graph_output = "embedding"

    def __init__(self, path: Path | str, threads: int = 1, front_end: FrontEnd = FRONT_END) -> None:
        self.path = Path(path)
        if front_end.log_mel != FRONT_END.log_mel:
            raise ModelError(f"EfficientAT takes {FRONT_END.log_mel}, got {front_end.log_mel}")
        self.front_end = front_end
        self.threads = threads
        model = tower_bytes(self.path)
        self.checksum = sha256_file(self.path)
        self.fingerprint = fingerprint({"onnx": self.checksum, "front_end": self.front_end.to_json()})
        self._session = open_session(model, str(self.path))

    def frames(self, waveform: FloatArray) -> FloatArray:
        """Frames (384, T) of one mono waveform (S,) at 32 kHz, one each 0.32 s; their mean is the embedding."""
        return self._session.run([FRAMES], self._spec(waveform))[0][0]

    def features(self, waveforms: Sequence[FloatArray], progress: Progress = silent) -> FloatArray:
        """Embeddings (B, 384) of B mono waveforms (S_i,) at 32 kHz of at most 10 s each."""
        return self._run("embedding", FEATURE_DIM, waveforms, progress)

    def probabilities(self, waveforms: Sequence[FloatArray], progress: Progress = silent) -> FloatArray:
        """Probabilities (B, 527) of the AudioSet classes, independent of each other (sigmoid)."""
        logits = self._run("logits", N_CLASSES, waveforms, progress)
        return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)

    def both(self, waveform: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Embedding (384,) and class logits (527,) of one waveform (S,), in one pass."""
        embedding, logits = self._session.run(["embedding", "logits"], self._spec(waveform))
        return embedding.reshape(FEATURE_DIM), logits.reshape(N_CLASSES)

    def graph(self) -> Any:
        """The tower as an ``onnx.ModelProto``: ``spec`` -> ``embedding`` and ``logits``; do not change it."""
        return tower(self.path)

    def _spec(self, waveform: FloatArray) -> dict[str, FloatArray]:
        return {"spec": self.front_end(waveform)[None, None]}  # (1, 1, F, T)

    def _run(self, output: str, dim: int, waveforms: Sequence[FloatArray], progress: Progress) -> FloatArray:
        def one(waveform: FloatArray) -> FloatArray:
            return self._session.run([output], self._spec(waveform))[0].reshape(dim)

        out = np.empty((len(waveforms), dim), dtype=np.float32)
        with ThreadPoolExecutor(self.threads) as pool:
            rows = map(one, waveforms) if self.threads == 1 else pool.map(one, waveforms)
            for number, row in enumerate(rows):
                out[number] = row
                progress(number + 1, len(waveforms))
        return out


def tower_bytes(path: Path) -> bytes:
    """The tower with both outputs as an ONNX file; from a checkpoint, it needs no ``onnx`` package.

    Raises:
        ModelError: The file is missing or is not such a model.
        MissingExtraError: The file is an ONNX file and the ``onnx`` package is not installed.
    """
    return tower_from_checkpoint(path) if _is_checkpoint(path) else tower(path).SerializeToString()


@functools.lru_cache(maxsize=2)
def tower(onnx_path: Path) -> Any:
    """The published graph with a second output ``embedding`` (B, 384), as an ``onnx.ModelProto``; do not change it.

    Raises:
        ModelError: The file is missing or its graph has no classifier of the expected form.
        MissingExtraError: The ``onnx`` package is not installed.
    """
    onnx = require("onnx", "train")
    if not onnx_path.is_file():
        raise ModelError(f"no EfficientAT model at {onnx_path}; expected the published ONNX file, such as mn04_as.onnx")
    if _is_checkpoint(onnx_path):
        return onnx.load_model_from_string(tower_from_checkpoint(onnx_path))
    try:
        model = onnx.load(onnx_path, load_external_data=False)  # no file outside; ``open_session`` refuses them
    except Exception as error:  # the parser of protobuf raises exceptions without a common base
        raise ModelError(f"{onnx_path} is not an ONNX file ({error})") from error
    embedding = _classifier_input(model)
    if embedding is None:
        raise ModelError(f"{onnx_path} is no EfficientAT tower: expected two linear layers at its end")
    model.graph.node.append(onnx.helper.make_node("Identity", [embedding], ["embedding"]))
    _add_frames(onnx, model, embedding)
    shape = ["batch", FEATURE_DIM]
    model.graph.output.append(onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, shape))
    return model


def _add_frames(onnx: Any, model: Any, embedding: str) -> None:
    """Add the output ``frames``: the map that is averaged to the embedding, averaged over frequency alone."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    node = made_by[embedding]
    while node.op_type in ("Reshape", "Flatten", "Squeeze"):
        node = made_by[node.input[0]]
    axis = onnx.numpy_helper.from_array(np.asarray([2], dtype=np.int64), "frames/frequency")
    model.graph.initializer.append(axis)
    model.graph.node.append(onnx.helper.make_node("ReduceMean", [node.input[0], axis.name], [FRAMES], keepdims=0))
    shape = ["batch", FEATURE_DIM, "frames"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(FRAMES, onnx.TensorProto.FLOAT, shape))


def _is_checkpoint(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(CHECKPOINT_START)) == CHECKPOINT_START


def _classifier_input(model: Any) -> str | None:
    """Name of the tensor that enters the two linear layers at the end of the graph."""
    graph = model.graph
    last = [node for node in graph.node if node.op_type == "Gemm"][-2:]
    if [i.name for i in graph.input] != ["spec"] or [o.name for o in graph.output] != ["logits"] or len(last) < 2:
        return None
    width = next((list(t.dims) for t in graph.initializer if t.name == last[0].input[1]), [])
    return last[0].input[0] if FEATURE_DIM in width else None


def class_names(csv_path: Path | str) -> list[str]:
    """Display names of the 527 classes, in the order of ``probabilities``, from ``class_labels_indices.csv``.

    Raises:
        ModelError: The file is missing or does not name 527 classes.
    """
    try:
        with Path(csv_path).open(newline="", encoding="utf-8") as file:
            names = [row["display_name"] for row in csv.DictReader(file)]
    except (OSError, KeyError) as error:
        raise ModelError(f"{csv_path} is not a list of class names ({error})") from error
    if len(names) != N_CLASSES:
        raise ModelError(f"{csv_path} names {len(names)} classes, expected {N_CLASSES}")
    return names
