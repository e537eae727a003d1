"""Score a run of moments: metrics with intervals, over all queries and by length and level of the true moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from askaudio.core.types import Json
from askaudio.evaluation.significance import bootstrap, interval, unit_rows
from askaudio.moments.metrics import DEFAULT_METRICS, Values, per_query
from askaudio.moments.run_files import MomentRun
from askaudio.moments.truth import MomentQuery

# upper bounds of the length classes, in seconds
_LENGTHS_S = ((2.0, "under 2 s"), (5.0, "2 to 5 s"), (15.0, "5 to 15 s"), (float("inf"), "15 s and more"))


@dataclass(frozen=True, slots=True)
class MomentReport:
    """Figures of one run.

    Attributes:
        n_queries: Queries that were scored.
        n_recordings: Their recordings.
        n_missing: Queries for which the run has no moment; they count as 0.
        figures: Metric -> mean, and the bounds of its 95 % interval (bootstrap over recordings).
        groups: Name of a group of queries -> number of queries and the means of the metrics.
    """

    n_queries: int
    n_recordings: int
    n_missing: int
    figures: dict[str, tuple[float, float, float]]
    groups: dict[str, Json]

    def to_json(self) -> Json:
        """All fields, as JSON has them; figures are between 0 and 1."""
        figures = {name: {"mean": v[0], "low": v[1], "high": v[2]} for name, v in self.figures.items()}
        counts = {"queries": self.n_queries, "recordings": self.n_recordings, "without_moments": self.n_missing}
        return {**counts, "figures": figures, "groups": self.groups}

    def table(self) -> str:
        """The figures for people, in percent."""
        names = list(self.figures)
        lines = [f"{self.n_queries} queries about {self.n_recordings} recordings, {self.n_missing} without any moment"]
        lines += [
            f"{name:<10} {100 * mean:5.1f}  [{100 * low:.1f}, {100 * high:.1f}]"
            for name, (mean, low, high) in self.figures.items()
        ]
        if self.groups:
            lines += ["", f"{'':<20}{'queries':>8}" + "".join(f"{name:>10}" for name in names)]
        for group, values in self.groups.items():
            cells = "".join(f"{100 * values['figures'][name]:10.1f}" for name in names)
            lines.append(f"{group:<20}{values['queries']:>8}{cells}")
        return "\n".join(lines)


def score_run(queries: Sequence[MomentQuery], run: MomentRun, metrics: Sequence[str] = DEFAULT_METRICS) -> MomentReport:
    """Score a run.

    Args:
        queries: Queries with their true moments.
        run: Query id -> moments, best first.
        metrics: Names of metrics, see ``metrics.py``.

    Raises:
        ConfigError: Unknown metric.
    """
    values = {name: per_query(queries, run, name) for name in metrics}
    units = unit_rows([query.recording for query in queries])
    figures = {}
    for name, own in values.items():
        low, high = interval(bootstrap([own], units)[:, 0])
        figures[name] = (float(own.mean()), float(low), float(high))
    missing = sum(not run.get(query.query_id) for query in queries)
    groups = {**_groups(queries, values, length_class), **_groups(queries, values, _level_class)}
    return MomentReport(len(queries), len(set(units.tolist())), missing, figures, groups)


def length_class(query: MomentQuery) -> str:
    """Class of the mean length of a query's moments, such as "2 to 5 s"."""
    mean_s = float(np.mean([m.duration_s for m in query.moments]))
    return next(name for bound_s, name in _LENGTHS_S if mean_s < bound_s)


def _level_class(query: MomentQuery) -> str:
    level_db = query.facts.get("level_db")
    return "" if level_db is None else f"{level_db:+g} dB"


def _groups(
    queries: Sequence[MomentQuery], values: dict[str, Values], class_of: Callable[[MomentQuery], str]
) -> dict[str, Json]:
    """Means by class, classes in the order of their lengths or levels; "" is no class."""
    classes = np.array([class_of(query) for query in queries])
    order = [name for _, name in _LENGTHS_S]
    found = sorted(set(classes.tolist()) - {""}, key=lambda c: order.index(c) if c in order else float(c.split()[0]))
    return {
        name: {
            "queries": int((classes == name).sum()),
            "figures": {metric: float(own[classes == name].mean()) for metric, own in values.items()},
        }
        for name in found
    }
