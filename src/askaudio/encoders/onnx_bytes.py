"""Write a small ONNX model without the ``onnx`` package, which the default install does not include.

An ONNX file is a protobuf message: fields, each with a key (number and wire type) and a value. Only the messages that a
feed-forward network needs are written here; the field numbers are those of the published ``onnx.proto``.

    graph = Graph(inputs={"x": ("B", 4)}, outputs={"y": ("B", 2)})
    graph.constant("w", np.ones((4, 2), dtype=np.float32))
    graph.node("MatMul", ["x", "w"], ["y"])
    graph.serialised()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

IR_VERSION, OPSET = 8, 18
_TYPES = {"float32": 1, "int64": 7}  # TensorProto.DataType
_FLOAT, _INT, _INTS = 1, 2, 7  # AttributeProto.AttributeType


class Graph:
    """A graph built node by node, in the order of computation.

    Args:
        inputs: Name -> shape; a string in a shape is a symbolic dimension. All inputs are float32.
        outputs: Name -> shape.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, Sequence[int | str]]) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._ends = b"".join(field_bytes(11, value_info(name, shape)) for name, shape in inputs.items())
        self._ends += b"".join(field_bytes(12, value_info(name, shape)) for name, shape in outputs.items())

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add weights (float32 or int64); returns the name."""
        kind = _TYPES[values.dtype.name]
        content = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        dims = b"".join(field_number(1, size) for size in values.shape)
        self._constants.append(field_bytes(5, dims + field_number(2, kind) + _text(8, name) + field_bytes(9, content)))
        return name

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: float | Sequence[int]) -> str:
        """Add an operation; returns the name of its first output.

        Args:
            op: ONNX operator, such as ``MatMul``.
            inputs: Names of the values that it reads, in the operator's order.
            outputs: Names of the values that it writes; at least one.
            attributes: Attributes of the operator, name -> value.
        """
        parts = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs] + [_text(4, op)]
        parts += [field_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(field_bytes(1, b"".join(parts)))
        return outputs[0]

    def serialised(self) -> bytes:
        """The whole model file; the same calls give the same bytes."""
        graph = b"".join(self._nodes) + _text(2, "main") + b"".join(self._constants) + self._ends
        opset = field_bytes(8, _text(1, "") + field_number(2, OPSET))
        return field_number(1, IR_VERSION) + _text(2, "askaudio") + field_bytes(7, graph) + opset


def value_info(name: str, shape: Sequence[int | str] | None) -> bytes:
    """A ValueInfoProto of a float tensor; without a shape where it is None."""
    if shape is None:
        return _text(1, name) + field_bytes(2, field_bytes(1, field_number(1, _TYPES["float32"])))
    dims = b"".join(
        field_bytes(1, _text(2, size) if isinstance(size, str) else field_number(1, size)) for size in shape
    )
    return _text(1, name) + field_bytes(2, field_bytes(1, field_number(1, _TYPES["float32"]) + field_bytes(2, dims)))


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + np.float32(value).astype("<f4").tobytes() + field_number(20, _FLOAT)
    if isinstance(value, int):
        return _text(1, name) + field_number(3, value) + field_number(20, _INT)
    return _text(1, name) + b"".join(field_number(8, item) for item in value) + field_number(20, _INTS)


def _text(field: int, value: str) -> bytes:
    return field_bytes(field, value.encode())


def field_bytes(field: int, value: bytes) -> bytes:
    """A field of a message: a text, an array or a message."""
    return _key(field, 2) + _varint(len(value)) + value


def field_number(field: int, value: int) -> bytes:
    """A field of a message: an integer of at least 0."""
    return _key(field, 0) + _varint(value)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _varint(value: int) -> bytes:
    """Seven bits per byte, lowest first; the top bit marks that more bytes follow. Negative numbers are not needed."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
