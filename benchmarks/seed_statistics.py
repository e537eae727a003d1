"""Statistics of runs with several seeds over the same test clips; shared by the benchmarks on scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

RESAMPLES = 5_000


def interval(
    values: np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[float, float, float, float]:  # fmt: skip
    """Mean, 95 % interval and two-sided p of values (seeds, clips), both resampled."""
    s, n = values.shape
    pieces = []
    for size in [500] * (resamples // 500):
        of_seeds = rng.multinomial(s, np.full(s, 1 / s), size=size) @ values / s  # (size, clips)
        pieces.append(np.take_along_axis(of_seeds, rng.integers(n, size=(size, n)), axis=1).mean(axis=1))
    means = np.concatenate(pieces)
    low, high = np.percentile(means, [2.5, 97.5])
    p = 2 * min((means <= 0).mean(), (means >= 0).mean())
    return float(values.mean()), float(low), float(high), float(max(p, 1 / resamples))


def thirds_of(train: Sequence[str], test: Sequence[str]) -> np.ndarray:
    """0 head, 1 middle, 2 tail for each test clip, by training frequency of its rarest label.

    Args:
        train: The labels of each training clip, joined by "; ".
        test: The same for the test clips.
    """
    seen = Counter(label for labels in train for label in set(labels.split("; ")))
    rarest = np.array([min(seen[label] for label in labels.split("; ")) for labels in test])
    return 2 - np.argsort(np.argsort(rarest, kind="stable")) * 3 // len(rarest)
