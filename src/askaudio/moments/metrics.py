"""Metrics of moments, one value a query: R1@IoU, mAP at IoU thresholds, mIoU, pointing accuracy.

| name | value of a query |
|---|---|
| ``R1@0.5``, ``R1@0.7`` | 1 if the best moment has at least this IoU with any true moment |
| ``mAP@0.5``, ``mAP@0.75`` | average precision of all moments of the query at this IoU |
| ``mAP`` | mean of mAP@t for t = 0.5, 0.55, ... 0.95 |
| ``mIoU`` | largest IoU of the best moment with a true moment |
| ``pointing`` | 1 if the middle of the best moment is in a true moment or at most 1 s beside it |

Average precision: moments are matched in the order of their scores. Each is matched with the true moment of the
largest IoU among those that reach the threshold and have no match yet; without one it is a false positive. Interpolated
precision (the highest at this recall or a higher one) is summed over all recall steps. A query without any moment has 0
everywhere. These are the definitions of QVHighlights, which the DCASE task uses.

Source: Lei et al., "QVHighlights", NeurIPS 2021; average precision: Caba Heilbron et al., "ActivityNet", CVPR 2015.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ConfigError
from askaudio.moments.moment import Moment
from askaudio.moments.run_files import MomentRun
from askaudio.moments.truth import MomentQuery

DEFAULT_METRICS = ("R1@0.5", "R1@0.7", "mAP@0.5", "mAP@0.75", "mAP", "mIoU", "pointing")
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
POINTING_S = 1.0
MOST_MOMENTS = 10  # the first moments of a query that count for average precision, as in the DCASE task
_NAME = re.compile(r"(R1|mAP)@(0?\.[0-9]+|1(?:\.0+)?)")
Values = npt.NDArray[np.float64]


def iou(first: Sequence[Moment], second: Sequence[Moment]) -> Values:
    """Intersection over union of moments: (N, M) float64; two empty moments have 0."""
    a = np.array([(m.start_s, m.end_s) for m in first], dtype=np.float64).reshape(-1, 1, 2)
    b = np.array([(m.start_s, m.end_s) for m in second], dtype=np.float64).reshape(1, -1, 2)
    shared = np.maximum(0.0, np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]))
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def average_precision(overlap: Values, threshold: float) -> float:
    """Average precision at one IoU threshold.

    Args:
        overlap: (N, M) IoU of N moments, best first, with M true moments.
        threshold: Least IoU of a match.
    """
    n_true = overlap.shape[1]
    free = np.ones(n_true, dtype=bool)
    hits = np.zeros(len(overlap))
    for row, values in enumerate(overlap):
        candidates = np.flatnonzero(free & (values >= threshold))
        if len(candidates):
            free[candidates[values[candidates].argmax()]] = False
            hits[row] = 1.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    interpolated = np.maximum.accumulate(precision[::-1])[::-1]
    return float((interpolated * hits).sum() / n_true)


def per_query(queries: Sequence[MomentQuery], run: MomentRun, metric: str) -> Values:
    """(Q,) values of a metric by name.

    Args:
        queries: Q queries with their true moments.
        run: Query id -> moments, best first; a query that is absent has no moments.
        metric: Name, for example ``R1@0.5``.

    Raises:
        ConfigError: Unknown metric.
    """
    check_metric(metric)
    return np.array([_value(query.moments, run.get(query.query_id, ()), metric) for query in queries])


def check_metric(metric: str) -> None:
    """Raise a ``ConfigError`` if ``metric`` is not the name of a metric."""
    if metric not in ("mAP", "mIoU", "pointing") and not _NAME.fullmatch(metric):
        raise ConfigError(f"unknown metric {metric!r}; expected R1@T or mAP@T with 0 < T <= 1, mAP, mIoU or pointing")


def _value(true: Sequence[Moment], found: Sequence[Moment], metric: str) -> float:
    if not found:
        return 0.0
    if metric == "pointing":
        middle_s = found[0].middle_s
        return float(any(m.start_s - POINTING_S <= middle_s <= m.end_s + POINTING_S for m in true))
    if metric == "mIoU":
        return float(iou(found[:1], true).max())
    overlap = iou(found[:MOST_MOMENTS], true)
    if metric == "mAP":
        return float(np.mean([average_precision(overlap, t) for t in THRESHOLDS]))
    kind, _, threshold = metric.partition("@")
    if kind == "R1":
        return float(overlap[0].max() >= float(threshold))
    return average_precision(overlap, float(threshold))
