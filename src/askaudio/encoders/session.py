"""Open an ONNX model for onnxruntime: on the CPU, with one thread, so that results are reproducible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray
from askaudio.encoders.external_data import refuse_external_data


def open_session(model: bytes | Path | str, name: str) -> Any:
    """Open an onnxruntime session.

    With one thread a model returns the same bits for the same input on the same machine. To use more cores, run
    several inputs in parallel.

    Args:
        model: Serialised model, or the path of one.
        name: Name of the model in errors.

    Raises:
        ModelError: onnxruntime cannot read it, or it keeps weights in other files.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else Path(model).read_bytes()
    refuse_external_data(content, name)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises one exception class per fault, without a common base
        raise ModelError(f"{name} is not a model that onnxruntime can run: {str(error).splitlines()[0]}") from error


def run_one(session: Any, feeds: Mapping[str, npt.NDArray[Any]], dim: int, name: str) -> FloatArray:
    """Run a model on one input and return its first output (1, D) as (D,).

    Args:
        session: What ``open_session`` returned.
        feeds: Inputs by name, with a batch of one.
        dim: D.
        name: Name of the model in errors.

    Raises:
        ModelError: The graph has other inputs or outputs, or fails on this input.
    """
    try:
        out = np.asarray(session.run(None, dict(feeds))[0])
    except Exception as error:  # onnxruntime raises one exception class per fault, without a common base
        raise ModelError(f"{name} cannot run: {str(error).splitlines()[0][:300]}; export the model again") from error
    if out.shape != (1, dim):
        raise ModelError(f"{name} returned the shape {out.shape}, expected (1, {dim}); export the model again")
    return np.asarray(out[0], np.float32)
