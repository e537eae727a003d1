"""Models written byte by byte: the format's own checker accepts them, and they compute what was written."""

import numpy as np
import pytest

from askaudio.encoders.onnx_bytes import Graph
from askaudio.encoders.session import open_session


def small_graph(rng) -> tuple[Graph, np.ndarray]:
    weight = rng.standard_normal((300, 3)).astype(np.float32)  # sizes above 127 need two bytes
    graph = Graph({"x": ("B", 300)}, {"y": ("B", 3), "sum": ("B",)})
    graph.constant("w", weight)
    graph.constant("last", np.asarray([1], dtype=np.int64))
    product = graph.node("Gemm", ["x", "w"], ["product"], alpha=0.5, transB=0)
    graph.node("LeakyRelu", [product], ["y"], alpha=0.25)
    graph.node("ReduceSum", ["y", "last"], ["sum"], keepdims=0)
    return graph, weight


def test_the_graph_runs_and_gives_what_was_written(rng):
    graph, weight = small_graph(rng)
    x = rng.standard_normal((5, 300)).astype(np.float32)
    y, total = open_session(graph.serialised(), "graph").run(None, {"x": x})
    expected = 0.5 * x @ weight
    expected = np.where(expected > 0, expected, 0.25 * expected)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(total, expected.sum(1), rtol=1e-4, atol=1e-4)


def test_the_published_reader_accepts_it_and_bytes_do_not_change(rng):
    onnx = pytest.importorskip("onnx")
    graph, weight = small_graph(rng)
    content = graph.serialised()
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(stored["w"], weight)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "LeakyRelu", "ReduceSum"]
    assert graph.serialised() == content
