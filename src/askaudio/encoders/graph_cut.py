"""Cut an audio graph at the mean over its map, so that the head can be applied to parts of the time.

The audio towers here end in a map (B, C, F', T'); its mean over time is the input of the head. The mean over a part of
the time is the same kind of vector, of that part alone. ``cut_at_mean`` divides a graph there: the trunk computes the
map, and the head continues from a mean. It needs no ``onnx`` package, which the default install does not include; the
field numbers are those of the published ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from askaudio.encoders.external_data import fields
from askaudio.encoders.onnx_bytes import field_bytes, field_number, value_info

_GRAPH = 7  # field of a model
_NODE, _TENSOR, _INPUT, _OUTPUT, _INFO = 1, 5, 11, 12, 13  # fields of a graph


@dataclass(frozen=True, slots=True)
class Cut:
    """A graph in two.

    Attributes:
        trunk: Model from the graph's inputs to ``map`` and ``mean``.
        head: Model from ``mean`` to the graph's outputs.
        map: Name of the map.
        mean: Name of its mean.
    """

    trunk: bytes
    head: bytes
    map: str
    mean: str


@dataclass(frozen=True, slots=True)
class _Node:
    content: memoryview
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def cut_at_mean(model: bytes, outputs: Sequence[str] = ()) -> Cut | None:
    """Divide a model at the first ``ReduceMean`` through which everything passes; None where there is none.

    Means inside of the tower, such as those of gates, do not count: something passes beside them.

    Args:
        model: Serialised ONNX model.
        outputs: Outputs of the head; by default all outputs of the model.
    """
    whole = list(fields(memoryview(model)))
    graph = list(fields(next(value for field, value in whole if field == _GRAPH and not isinstance(value, int))))
    nodes = [_node(value) for field, value in graph if field == _NODE]
    inputs = [_name(value, 1) for field, value in graph if field == _INPUT]
    outputs = outputs or [_name(value, 1) for field, value in graph if field == _OUTPUT]
    for node in nodes:
        if node.op != "ReduceMean":
            continue
        needed = _needed(nodes, outputs, node.outputs)
        if needed and not {name for one in needed for name in one.inputs} & set(inputs):
            mean, source = node.outputs[0], node.inputs[0]
            trunk = _model(whole, graph, _needed(nodes, [source, mean], ()), None, [source, mean])
            return Cut(trunk, _model(whole, graph, needed, mean, list(outputs)), source, mean)
    return None


def _node(content: Any) -> _Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 4: []}
    for field, value in fields(content):
        if field in texts:
            texts[field].append(bytes(value).decode())  # type: ignore[arg-type]
    return _Node(content, texts[4][0], tuple(texts[1]), tuple(texts[2]))


def _needed(nodes: Iterable[_Node], outputs: Iterable[str], given: Collection[str]) -> list[_Node]:
    """The nodes that compute some values from given ones, in their order."""
    missing, needed = set(outputs) - set(given), []
    for node in reversed(list(nodes)):  # the format requires a topological order
        if missing & set(node.outputs):
            needed.append(node)
            missing = (missing | set(node.inputs)) - set(given)
    return needed[::-1]


def _model(
    whole: list[tuple[int, int | memoryview]],
    graph: list[tuple[int, int | memoryview]],
    nodes: list[_Node],
    mean: str | None,
    outputs: list[str],
) -> bytes:
    """A model of some nodes with these outputs; ``mean`` is its only input, or None for those of the graph."""
    read = {name for node in nodes for name in node.inputs}
    parts = [field_bytes(_NODE, bytes(node.content)) for node in nodes]
    for field, value in graph:
        drop = field in (_NODE, _INFO, _OUTPUT) or (field == _INPUT and mean)
        if drop or (field == _TENSOR and _name(value, 8) not in read):
            continue
        parts.append(field_number(field, value) if isinstance(value, int) else field_bytes(field, bytes(value)))
    if mean:
        parts.append(field_bytes(_INPUT, value_info(mean, None)))
    parts += [field_bytes(_OUTPUT, value_info(name, None)) for name in outputs]
    content = [
        field_number(field, value) if isinstance(value, int) else field_bytes(field, bytes(value))
        for field, value in whole
        if field != _GRAPH
    ]
    return b"".join([*content, field_bytes(_GRAPH, b"".join(parts))])


def _name(content: int | memoryview, number: int) -> str:
    """Text of one field of a message."""
    return next(bytes(value).decode() for field, value in fields(content) if field == number)  # type: ignore[arg-type]
