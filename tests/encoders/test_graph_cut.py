"""Audio graphs cut at the mean over their map, and vectors of parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from askaudio.core.functional import normalise_rows
from askaudio.encoders.encoder import PartEncoder
from askaudio.encoders.graph_cut import cut_at_mean
from askaudio.encoders.load import load_encoder
from askaudio.encoders.onnx_bytes import Graph
from askaudio.encoders.part_graphs import PartGraphs
from askaudio.encoders.session import open_session


def graph(over_frames: bool = False, gated: bool = False) -> bytes:
    """Map = relu(2 x), with a gate beside it; mean over the map (or over frequency alone); a head behind it."""
    made = Graph(inputs={"x": ("B", 3, 2, "T")}, outputs={"y": ("B", 5)})
    made.constant("two", np.array(2.0, np.float32))
    made.constant("axes", np.array([2] if over_frames else [2, 3], np.int64))
    made.constant("both", np.array([2, 3], np.int64))
    made.constant("time", np.array([2], np.int64))
    made.node("Mul", ["x", "two"], ["doubled"])
    made.node("Relu", ["doubled"], ["map"])
    if gated:
        made.node("ReduceMean", ["map", "both"], ["gate"], keepdims=1)
        made.node("Mul", ["map", "gate"], ["gated"])
    made.node("ReduceMean", ["gated" if gated else "map", "axes"], ["mean"], keepdims=0)
    made.node("ReduceMean", ["mean", "time"], ["pooled"], keepdims=0) if over_frames else None
    made.constant("w", np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32))
    made.node("MatMul", ["pooled" if over_frames else "mean", "w"], ["y"])
    return made.serialised()


@pytest.mark.parametrize("over_frames", [False, True], ids=["vector head", "head over frames"])
@pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
def test_trunk_and_head_compute_what_the_graph_computes(over_frames: bool, gated: bool) -> None:
    model = graph(over_frames, gated)
    cut = cut_at_mean(model)
    assert cut is not None and cut.mean == "mean" and cut.map == ("gated" if gated else "map")
    x = np.random.default_rng(0).standard_normal((1, 3, 2, 7)).astype(np.float32)
    whole = open_session(model, "whole").run(None, {"x": x})[0]
    mean = open_session(cut.trunk, "trunk").run([cut.mean], {"x": x})[0]
    np.testing.assert_array_equal(open_session(cut.head, "head").run(None, {cut.mean: mean})[0], whole)


@pytest.mark.parametrize("over_frames", [False, True], ids=["vector head", "head over frames"])
def test_parts_equal_the_head_of_their_own_frames(over_frames: bool) -> None:
    cut = cut_at_mean(graph(over_frames))
    assert cut is not None
    x = np.random.default_rng(0).standard_normal((1, 3, 2, 7)).astype(np.float32)
    shares, _, (found,) = PartGraphs(cut, "graph").outputs({"x": x})
    whole = open_session(graph(over_frames), "whole")
    for (first, stop), row in zip(np.rint(shares * 7).astype(int), found, strict=True):
        np.testing.assert_allclose(whole.run(None, {"x": x[..., first:stop]})[0][0], row, atol=1e-5)
    assert np.rint(shares * 7).astype(int).tolist()[:2] == [[0, 2], [0, 3]] and len(found) == 7


def test_a_graph_without_a_mean_is_not_cut() -> None:
    made = Graph(inputs={"x": ("B", 4)}, outputs={"y": ("B", 4)})
    made.node("Relu", ["x"], ["y"])
    assert cut_at_mean(made.serialised()) is None


def test_the_shipped_model_has_parts(rng: np.random.Generator) -> None:
    encoder = load_encoder("small")
    assert isinstance(encoder, PartEncoder)
    samples = (0.1 * rng.standard_normal(96_000)).astype(np.float32)
    times, vectors = encoder.encode_parts(samples)
    assert times[0, 0] == 0 and times[-1, 1] == 3.0 and len(times) == len(vectors) == 10
    assert (np.diff(times[:, 1]) >= 0).all() and np.diff(times, axis=1).max() < 1.0
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # the head of the mean of all frames is the vector of the sound, unpadded
    graphs = encoder._part_graphs
    log_mel = replace(encoder.front_end, short="keep")(samples)
    features = graphs._trunk.run([graphs._cut.map], {"log_mel": log_mel[None]})[0]
    whole = graphs._head.run(None, {graphs._cut.mean: features.mean((2, 3))})[0]
    padded = replace(encoder.front_end, short="keep")
    encoder.front_end = padded
    np.testing.assert_allclose(normalise_rows(whole)[0], encoder.encode_audio([samples])[0], atol=1e-4)
