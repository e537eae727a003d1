"""Put ONNX graphs together: a frozen encoder's graphs in one form, and a trained head behind them.

Needs the ``onnx`` package (extra ``train``); search never comes here. Every audio graph that leaves this file takes
``log_mel`` (B, F, T), every text graph ``ids`` and ``mask`` (B, L), and each has one output (B, D).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from askaudio.core.extras import require
from askaudio.encoders.efficientat_encoder import HEAD_FILE, EfficientATEncoder
from askaudio.encoders.onnx import AUDIO_FILE, TEXT_FILE, OnnxEncoder


def audio_graph(encoder: OnnxEncoder) -> Any:
    """The audio side of an encoder, as an ``onnx.ModelProto`` from ``log_mel`` to unit vectors."""
    onnx = require("onnx", "train")
    if isinstance(encoder, EfficientATEncoder):
        head = onnx.load_model_from_string(encoder.content(HEAD_FILE))
        return from_log_mel(chain(encoder.tower.graph(), head, {"embedding": "embedding", "logits": "logits"}))
    model = onnx.load_model_from_string(encoder.content(AUDIO_FILE))
    if encoder.layout == "transformers":
        return _scaled(onnx, from_log_mel(model, "input_features", turned=True))
    return model


def text_graph(encoder: OnnxEncoder) -> Any:
    """The text side of an encoder, as an ``onnx.ModelProto`` from ``ids`` and ``mask`` to unit vectors."""
    onnx = require("onnx", "train")
    model = onnx.load_model_from_string(encoder.content(TEXT_FILE))
    if encoder.layout == "transformers":
        for old, new in (("input_ids", "ids"), ("attention_mask", "mask")):
            _rename_input(model, old, new)
        if "mask" not in [end.name for end in model.graph.input]:  # an input that nothing reads
            model.graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.INT64, ["B", "L"]))
        return _scaled(onnx, model)
    return model


def from_log_mel(model: Any, taken: str = "spec", turned: bool = False) -> Any:
    """A graph whose input has a channel, ``taken`` (B, 1, F, T), as one from ``log_mel`` (B, F, T); changed in place.

    Args:
        model: Its only input is ``taken``.
        taken: Name of that input.
        turned: It takes (B, 1, T, F).
    """
    onnx = require("onnx", "train")
    graph = model.graph
    batch, _, *plane = [dim.dim_value or dim.dim_param or None for dim in graph.input[0].type.tensor_type.shape.dim]
    shape = [batch, *(reversed(plane) if turned else plane)]
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info("log_mel", onnx.TensorProto.FLOAT, shape))
    graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1], dtype=np.int64), f"{taken}/channel_axis"))
    first = onnx.helper.make_node("Unsqueeze", ["log_mel", f"{taken}/channel_axis"], [taken])
    if turned:
        graph.node.insert(0, onnx.helper.make_node("Transpose", ["log_mel"], [f"{taken}/turned"], perm=[0, 2, 1]))
        first.input[0] = f"{taken}/turned"
    graph.node.insert(1 if turned else 0, first)
    return model


def chain(first: Any, second: Any, between: dict[str, str]) -> Any:
    """Both graphs as one: outputs of the first are inputs of the second, whose outputs are those of the whole.

    Args:
        first: An ``onnx.ModelProto``; left as it is.
        second: The one behind it.
        between: Output of the first -> input of the second.
    """
    onnx = require("onnx", "train")
    opset = _opset(first)
    if _opset(second) != opset:
        second = onnx.version_converter.convert_version(second, opset)
    prefix = _unused_prefix(first)
    second = onnx.compose.add_prefix(second, prefix)
    second.ir_version = first.ir_version
    joined = onnx.compose.merge_models(
        first,
        second,
        io_map=[(out, prefix + into) for out, into in between.items()],
        outputs=[end.name for end in second.graph.output],
    )
    onnx.checker.check_model(joined)
    return joined


def _opset(model: Any) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _unused_prefix(model: Any) -> str:
    """A graph that was joined before has names with a prefix already."""
    names = [name for node in model.graph.node for name in node.output] + [t.name for t in model.graph.initializer]
    number = 1
    while any(name.startswith(f"head{number}/") for name in names):
        number += 1
    return f"head{number}/"


def _rename_input(model: Any, old: str, new: str) -> None:
    for end in model.graph.input:
        if end.name == old:
            end.name = new
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _scaled(onnx: Any, model: Any) -> Any:
    """The same with its first output scaled to length 1, which is then the only one."""
    graph = model.graph
    out = graph.output[0]
    scaled = onnx.helper.make_tensor_value_info(f"{out.name}/scaled", onnx.TensorProto.FLOAT, ["B", None])
    graph.node.append(onnx.helper.make_node("LpNormalization", [out.name], [scaled.name], axis=-1, p=2))
    del graph.output[:]
    graph.output.append(scaled)
    return model
