"""Compare systems: mean over seeds, paired difference with interval, p, and p after Holm's correction.

Systems must be scored on the same queries, gallery and judgements. Others are refused unless forced; then only the
common queries are compared, and the table warns that a smaller gallery gives higher recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import Json
from askaudio.evaluation.metrics import aggregate, greater_is_better
from askaudio.evaluation.report import Report, show, split_metric
from askaudio.evaluation.significance import RESAMPLES, Over, bootstrap, holm, interval, p_value, unit_rows
from askaudio.evaluation.tables import render


@dataclass(frozen=True)
class SystemScore:
    """One system's mean over seeds, with its 95 % interval."""

    name: str
    n_seeds: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Second system minus first: value, 95 % interval, p, and p after Holm's correction over the table."""

    first: str
    second: str
    value: float
    low: float
    high: float
    p: float
    p_holm: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Result of a comparison on one metric.

    Attributes:
        metric: Name with direction, ``t2a/R@1``.
        over: What was resampled.
        resamples: Number of bootstrap resamples.
        n_queries: Queries that were compared.
        n_units: Clips (or recordings) that they belong to.
        counts_line: Counts of the first report.
        systems: Mean of each system.
        differences: Each pair of systems.
        warnings: Problems that a reader must know before using the numbers.
    """

    metric: str
    over: Over
    resamples: int
    n_queries: int
    n_units: int
    counts_line: str
    systems: tuple[SystemScore, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...] = ()

    def table(self, style: str = "table") -> str:
        """Systems, then differences, then counts and method, as ``table``, ``markdown`` or ``latex``."""
        m = self.metric
        systems = [
            [s.name, str(s.n_seeds), f"{show(s.value, m)} [{show(s.low, m)}, {show(s.high, m)}]"] for s in self.systems
        ]
        differences = []
        for d in self.differences:
            gap = f"{_signed(d.value, m)} [{_signed(d.low, m)}, {_signed(d.high, m)}]"
            differences.append([f"{d.second} - {d.first}", gap, _p(d.p), _p(d.p_holm), self._verdict(d)])
        notes = [
            f"{self.counts_line}; {self.n_queries:,} queries compared",
            f"paired bootstrap over {self._resampled()}, {self.resamples:,} resamples; intervals of 95 %",
            *(f"warning: {w}" for w in self.warnings),
        ]
        first = render(["system", "seeds", m], systems, style)
        return f"{first}\n\n{render(['difference', m, 'p', 'p (Holm)', ''], differences, style, notes)}"

    def _resampled(self) -> str:
        clips = f"{self.n_units:,} clips (or recordings)"
        return {"clips": clips, "seeds": "seeds", "both": f"{clips} and seeds"}[self.over]

    def _verdict(self, d: Difference) -> str:
        if d.p_holm >= 0.05:
            return "not significant"
        return "better" if (d.value > 0) == greater_is_better(self.metric) else "worse"

    def to_json(self) -> Json:
        """All numbers; shares, not percent."""
        return {
            "metric": self.metric,
            "greater_is_better": greater_is_better(self.metric),
            "over": self.over,
            "resamples": self.resamples,
            "counts": {"queries": self.n_queries, "clips": self.n_units},
            "systems": [vars(s) for s in self.systems],
            "differences": [vars(d) for d in self.differences],
            "warnings": list(self.warnings),
        }


def compare(
    systems: Mapping[str, Report | Sequence[Report]],
    metric: str = "t2a/R@1",
    *,
    over: Over | None = None,
    resamples: int = RESAMPLES,
    all_pairs: bool = False,
    force_pools: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare two or more systems on one metric.

    Args:
        systems: Name -> report, or the reports of several seeds. The first system is the baseline.
        metric: For example ``t2a/R@1``, ``a2t/mAP@10``, ``t2a/MedR``.
        over: Resample ``clips``, ``seeds`` or ``both``; default both if every system has two seeds or more, else clips.
        resamples: Number of bootstrap resamples.
        all_pairs: Compare every pair instead of every system with the first.
        force_pools: Compare the common queries of systems that were scored on different queries or galleries.
        seed: Seed of the resampling.

    Raises:
        DataError: Queries, galleries or judgements differ (unless forced), or no query is common.
        ConfigError: Fewer than two systems, or a metric that a report lacks.

    Example:
        >>> from askaudio.evaluation.compare import compare
        >>> from askaudio.evaluation.evaluate import evaluate
        >>> from askaudio.evaluation.relevance import Relevance
        >>> from askaudio.evaluation.run import Run
        >>> relevance = Relevance.from_dict({"a dog barks": ["dog.wav"], "rain": ["rain.wav"]})
        >>> good = {"a dog barks": {"dog.wav": 0.9, "rain.wav": 0.1}, "rain": {"dog.wav": 0.2, "rain.wav": 0.8}}
        >>> bad = {"a dog barks": {"dog.wav": 0.1, "rain.wav": 0.9}, "rain": {"dog.wav": 0.2, "rain.wav": 0.8}}
        >>> reports = {n: evaluate(Run.from_dict(lists), relevance) for n, lists in (("bad", bad), ("good", good))}
        >>> difference = compare(reports, "t2a/R@1", resamples=1000).differences[0]
        >>> difference.second, difference.value
        ('good', 0.5)
    """
    groups = {name: [r] if isinstance(r, Report) else list(r) for name, r in systems.items()}
    if len(groups) < 2 or not all(groups.values()):
        raise ConfigError(f"a comparison needs two systems or more, each with a report; got {len(groups)}")
    direction, _ = split_metric(metric)
    ties = next(iter(groups.values()))[0].ties
    groups = {name: [replace(r, ties=ties) for r in reports] for name, reports in groups.items()}
    queries, units, warnings = _common(groups, direction, force_pools)
    values = [np.stack([_values(r, metric, queries) for r in reports]) for reports in groups.values()]  # (S, Q) each
    over = over or ("both" if min(len(v) for v in values) > 1 else "clips")
    rows = unit_rows(units)
    drawn = bootstrap(values, rows, over=over, median=metric.endswith("MedR"), resamples=resamples, seed=seed)
    scores = [float(np.mean([aggregate(row, metric) for row in v])) for v in values]
    names = list(groups)
    pairs = list(combinations(range(len(names)), 2)) if all_pairs else [(0, i) for i in range(1, len(names))]
    first = next(iter(groups.values()))[0]
    return Comparison(
        metric=metric,
        over=over,
        resamples=resamples,
        n_queries=len(queries),
        n_units=int(rows.max()) + 1,
        counts_line=first.counts_line(),
        systems=tuple(
            SystemScore(n, len(v), s, *interval(drawn[:, i]))
            for i, (n, v, s) in enumerate(zip(names, values, scores, strict=True))
        ),
        differences=_differences(names, scores, drawn, pairs),
        warnings=tuple(warnings),
    )


def _differences(
    names: list[str], scores: list[float], drawn: npt.NDArray[np.float64], pairs: list[tuple[int, int]]
) -> tuple[Difference, ...]:
    gaps = [(scores[b] - scores[a], drawn[:, b] - drawn[:, a]) for a, b in pairs]
    p = [p_value(value, samples) for value, samples in gaps]
    differences = []
    for (a, b), (value, samples), p_raw, p_holm in zip(pairs, gaps, p, holm(p), strict=True):
        low, high = interval(samples)
        differences.append(
            Difference(first=names[a], second=names[b], value=value, low=low, high=high, p=p_raw, p_holm=p_holm)
        )
    return tuple(differences)


def _common(
    groups: Mapping[str, list[Report]], direction: str, force: bool
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Query ids of all reports, in the order of the first, with their units; a warning if reports differ."""
    reports = [(name, r) for name, group in groups.items() for r in group]
    for name, report in reports:
        if direction not in report.directions:
            raise ConfigError(f"{name} was not scored in direction {direction}; it has {', '.join(report.directions)}")
    base_name, base = reports[0]
    first = base.directions[direction]
    odd = [(n, r) for n, r in reports if r.directions[direction].relevance != first.relevance]
    if not odd:
        return first.query_ids, first.query_units, []
    name, other = odd[0]
    counts = f"{base_name} has {base.counts_line()} and {name} has {other.counts_line()}"
    if not force:
        raise DataError(
            f"the systems were scored on different pools: {counts}. A smaller gallery gives higher recall; score them "
            "on the same clips and captions, or compare the common queries anyway with --force-pools"
        )
    shared = set(first.query_ids).intersection(*(r.directions[direction].query_ids for _, r in reports))
    keep = [i for i, q in enumerate(first.query_ids) if q in shared]
    if not keep:
        raise DataError(f"the systems have no query in common: {counts}")
    ids, units = (tuple(column[i] for i in keep) for column in (first.query_ids, first.query_units))
    warning = f"pools differ ({counts}); only {len(keep):,} common queries are compared"
    return ids, units, [warning]


def _values(report: Report, metric: str, queries: tuple[str, ...]) -> npt.NDArray[np.float64]:
    ids = report.directions[split_metric(metric)[0]].query_ids
    values = report.per_query(metric)
    if ids == queries:
        return values
    place = {q: i for i, q in enumerate(ids)}
    return values[[place[q] for q in queries]]


def _signed(value: float, metric: str) -> str:
    text = show(value, metric)
    return text if text.startswith("-") else f"+{text}"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
