"""Open an ONNX model for onnxruntime: on the CPU, with one thread, so that results are reproducible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from askaudio.core.errors import ModelError


def open_session(model: bytes | Path | str, name: str) -> Any:
    """Open an onnxruntime session.

    With one thread a model returns the same bits for the same input on the same machine. To use more cores, run
    several inputs in parallel.

    Args:
        model: Serialised model, or the path of one.
        name: Name of the model in errors.

    Raises:
        ModelError: onnxruntime cannot read it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises one exception class per fault, without a common base
        raise ModelError(f"{name} is not a model that onnxruntime can run: {str(error).splitlines()[0]}") from error
