"""Vectors of parts of a log-mel from one pass of an audio tower: its map is computed once, the head for each part.

A part is three frames of the map, about 1 s, and a part begins at every frame, each 0.32 s for the shipped towers. The
tower sees all of the log-mel, so a frame also contains some of its surroundings. Cost: that of one window, and 0.1 ms a
part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from askaudio.core.types import FloatArray
from askaudio.encoders.graph_cut import Cut
from askaudio.encoders.session import open_session

AROUND = 1  # frames of a part before and after its middle one


class PartGraphs:
    """An audio graph in two sessions.

    Args:
        cut: The graph.
        name: Its name in errors.
    """

    def __init__(self, cut: Cut, name: str) -> None:
        self._cut = cut
        self._trunk = open_session(cut.trunk, name)
        self._head = open_session(cut.head, name)

    def outputs(self, feeds: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        """Run the tower once and the head for each part.

        Args:
            feeds: Inputs of the graph, with a batch of one.

        Returns:
            (P, 2) first frame and end of each part, as shares of the map's length; (P, C) mean of each part's frames;
            and (P, ...) for each output.
        """
        features, mean = self._trunk.run([self._cut.map, self._cut.mean], feeds)
        frames = features.mean(axis=2)[0]  # (C, T)
        middles = np.arange(frames.shape[1])
        first, stop = np.maximum(middles - AROUND, 0), np.minimum(middles + AROUND + 1, len(middles))
        sums = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(frames, axis=1, dtype=np.float64)], axis=1)
        pooled = ((sums[:, stop] - sums[:, first]) / (stop - first)).T.astype(np.float32)  # (P, C)
        if mean.ndim == 2:  # the head takes one vector
            found = self._run(pooled)
        else:  # it takes frames (1, C, t)
            rows = [self._run(frames[None, :, a:b]) for a, b in zip(first, stop, strict=True)]
            found = [np.concatenate(values) for values in zip(*rows, strict=True)]
        return (np.stack([first, stop], axis=1) / len(middles)).astype(np.float32), pooled, found

    def _run(self, mean: FloatArray) -> list[Any]:
        return self._head.run(None, {self._cut.mean: np.ascontiguousarray(mean)})
