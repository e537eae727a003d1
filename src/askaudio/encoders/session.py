"""One way to open an ONNX model: on the CPU, one thread, nothing that differs from call to call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from askaudio.core.errors import ModelError


def open_session(model: bytes | Path | str, name: str, threads: int = 1) -> Any:
    """Open an onnxruntime session.

    With one thread a model gives the same bits for the same input on the same machine; work is spread over threads
    by running several inputs side by side, never within one.

    Args:
        model: Serialised model, or the path of one.
        name: How errors call it.
        threads: Threads within one run.

    Raises:
        ModelError: onnxruntime cannot read it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if threads > 1:
        options.use_deterministic_compute = True
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class of exception per fault and no common base but Exception
        raise ModelError(f"{name} is not a model that onnxruntime can run: {str(error).splitlines()[0]}") from error
