"""Metrics of moments against a slow implementation with plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from askaudio.core.errors import ConfigError
from askaudio.moments.metrics import DEFAULT_METRICS, average_precision, iou, per_query
from askaudio.moments.moment import Moment
from askaudio.moments.report import length_class, score_run
from askaudio.moments.truth import MomentQuery


def slow_iou(a: Moment, b: Moment, step: float = 0.01) -> float:
    """Count the steps of time that lie in both, and in either."""
    times = np.arange(0, 40, step) + step / 2
    first = (times > a.start_s) & (times < a.end_s)
    second = (times > b.start_s) & (times < b.end_s)
    either = (first | second).sum()
    return float((first & second).sum() / either) if either else 0.0


def slow_ap(found: list[Moment], true: list[Moment], threshold: float) -> float:
    """Average precision with loops: one row of the curve a moment, interpolated by looking at all later rows."""
    used: set[int] = set()
    curve = []
    hits = 0
    for rank, moment in enumerate(found, start=1):
        best, best_iou = None, threshold
        for number, other in enumerate(true):
            value = float(iou([moment], [other])[0, 0])
            if number not in used and value >= best_iou and (best is None or value > best_iou):
                best, best_iou = number, value
        if best is not None:
            used.add(best)
            hits += 1
        curve.append((hits / len(true), hits / rank))
    area, before = 0.0, 0.0
    for row, (recall, _) in enumerate(curve):
        if recall > before:
            area += (recall - before) * max(precision for _, precision in curve[row:])
            before = recall
    return area


def random_moments(rng: np.random.Generator, n: int) -> list[Moment]:
    starts = rng.integers(0, 30, n)
    moments = [Moment(float(s), float(s + rng.integers(1, 8)), float(rng.random())) for s in starts]
    return sorted(moments, key=lambda m: -m.score)


def test_iou_equals_counted_time() -> None:
    rng = np.random.default_rng(0)
    a, b = random_moments(rng, 6), random_moments(rng, 5)
    slow = [[slow_iou(x, y) for y in b] for x in a]
    np.testing.assert_allclose(iou(a, b), slow, atol=2e-3)
    assert iou([Moment(1, 1)], [Moment(1, 1)])[0, 0] == 0.0


@pytest.mark.parametrize("seed", range(30))
def test_average_precision_equals_a_slow_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, true = random_moments(rng, int(rng.integers(1, 9))), random_moments(rng, int(rng.integers(1, 4)))
    for threshold in (0.3, 0.5, 0.75):
        fast = average_precision(iou(found, true), threshold)
        assert fast == pytest.approx(slow_ap(found, true, threshold), abs=1e-12)


def test_values_of_a_known_run() -> None:
    query = MomentQuery("q", "a dog", "r", 60.0, (Moment(10, 14), Moment(30, 32)))
    run = {"q": (Moment(11, 14, 0.9), Moment(50, 52, 0.8), Moment(30, 32, 0.7))}
    values = {name: float(per_query([query], run, name)[0]) for name in DEFAULT_METRICS}
    # IoU of the best moment is 3/4; the third moment has IoU 1; precision at its recall is 2/3
    assert values["R1@0.5"] == 1.0 and values["R1@0.7"] == 1.0 and values["mIoU"] == 0.75
    assert values["mAP@0.5"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert values["mAP@0.75"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert values["mAP"] == pytest.approx((6 * (0.5 + 1 / 3) + 4 * (0.5 / 3)) / 10)
    assert values["pointing"] == 1.0


def test_the_middle_may_lie_one_second_beside() -> None:
    query = MomentQuery("q", "a dog", "r", 60.0, (Moment(10, 12),))
    assert per_query([query], {"q": (Moment(12, 14, 1.0),)}, "pointing").tolist() == [1.0]
    assert per_query([query], {"q": (Moment(12, 14.2, 1.0),)}, "pointing").tolist() == [0.0]


def test_a_query_without_moments_has_zero_everywhere() -> None:
    query = MomentQuery("q", "a dog", "r", 60.0, (Moment(10, 12),))
    assert all(per_query([query], {}, name).tolist() == [0.0] for name in DEFAULT_METRICS)


def test_unknown_metrics_are_refused() -> None:
    with pytest.raises(ConfigError, match="R1@T"):
        per_query([], {}, "R5@0.5")


def test_a_report_counts_groups_by_length_and_level() -> None:
    short = MomentQuery("a", "x", "r1", 60.0, (Moment(1, 2),), {"level_db": 0.0})
    long = MomentQuery("b", "y", "r2", 60.0, (Moment(10, 40),), {"level_db": -5.0})
    report = score_run([short, long], {"a": (Moment(1, 2, 0.5),)})
    assert report.figures["R1@0.5"][0] == 0.5 and report.n_missing == 1 and report.n_recordings == 2
    assert list(report.groups) == ["under 2 s", "15 s and more", "-5 dB", "+0 dB"]
    assert report.groups["under 2 s"]["figures"]["R1@0.7"] == 1.0
    assert "under 2 s" in report.table() and length_class(long) == "15 s and more"
