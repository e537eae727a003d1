"""Smaller files for an exported tower: weights as 16-bit floats or 8-bit integers.

``fp16`` changes storage only. Each large weight is stored in half precision, followed by a cast to float32 that
onnxruntime evaluates once, when it opens the file; computation stays in float32 and is as fast as before. ``int8``
quantizes the matrix products; the ranges of activations are measured at run time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from askaudio.core.extras import require
from askaudio.core.files import atomic_path

Precision = Literal["fp32", "fp16", "int8"]
_LARGE = 1024  # elements; for smaller tensors the extra node costs more than it saves


def store_as(path: Path, precision: Precision) -> None:
    """Rewrite an ONNX file in place; ``"fp32"`` does not change it.

    Raises:
        MissingExtraError: The ``onnx`` package is not installed.
    """
    if precision == "fp16":
        _halve(require("onnx", "train"), path)
    elif precision == "int8":
        require("onnx", "train")
        _quantize(path)


def _halve(onnx: Any, path: Path) -> None:
    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or int(np.prod(tensor.dims)) < _LARGE:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        limit = np.finfo(np.float16).max
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.clip(-limit, limit).astype(np.float16), f"{name}/half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}/half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _quantize(path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / path.name
        quantize_dynamic(str(path), str(small), per_channel=True, weight_type=QuantType.QInt8)
        with atomic_path(path) as temporary:
            temporary.write_bytes(small.read_bytes())
