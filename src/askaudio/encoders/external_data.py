"""Find weights of an ONNX model that are stored outside of its file.

A tensor of an ONNX model can name another file for its values. Such a file is in no checksum of an encoder folder, its
path may lead anywhere, and for a model that is opened from memory it is relative to the working folder. So a graph with
such tensors is refused. Only the fields on the way to a tensor are read; the numbers are those of the published
``onnx.proto``. It needs no ``onnx`` package, which the default install does not include.
"""

from __future__ import annotations

from collections.abc import Iterator

from askaudio.core.errors import ModelError

# message -> field number -> message inside of it
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf


def refuse_external_data(model: bytes, name: str) -> None:
    """Accept only models whose weights are inside of the file.

    Args:
        model: Serialised model.
        name: Name of the model in errors.

    Raises:
        ModelError: A tensor is stored elsewhere, or the bytes are not an ONNX model.
    """
    try:
        location = next(_locations(memoryview(model), "model"), None)
    except (ValueError, IndexError, RecursionError) as error:
        raise ModelError(f"{name} is not a model that onnxruntime can run: its bytes are not an ONNX file") from error
    if location is not None:
        raise ModelError(
            f"{name} keeps weights in another file ({location!r}), which no checksum covers. Fix: save it as one file, "
            'with onnx.save(onnx.load("model.onnx"), "one.onnx")'
        )


def _locations(data: memoryview, message: str) -> Iterator[str]:
    """What the tensors of a message say about files outside."""
    for field, value in fields(data):
        if message == "tensor":
            if field == _EXTERNAL_DATA and isinstance(value, memoryview):
                yield " ".join(bytes(text).decode("utf-8", "replace") for _, text in fields(value) if text != 0)  # type: ignore[arg-type]
            elif field == _DATA_LOCATION and value != 0:
                yield "unknown"
        elif field in _INSIDE[message] and isinstance(value, memoryview):
            yield from _locations(value, _INSIDE[message][field])


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of the fields of a protobuf message: an int, or the bytes of a text, array or message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + size > len(data):
            raise ValueError("a field ends behind the end")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")
