"""Report: the metrics of one system with counts, intervals and protocol; per query, so that systems can be compared.

``report["t2a/R@10"]`` is a share between 0 and 1; tables print percent. On disk a report is ``report.json`` (numbers
for people and machines) and ``ranks.npz`` (the rank of each relevant item, from which every metric follows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.core.types import Json
from askaudio.evaluation import metrics as metric_functions
from askaudio.evaluation.metrics import DEFAULT_METRICS, Values
from askaudio.evaluation.ranks import Ranks, Ties
from askaudio.evaluation.significance import bootstrap, interval, unit_rows
from askaudio.evaluation.tables import render

NAMES = {"t2a": "text-to-audio", "a2t": "audio-to-text"}
PRIMARY = "t2a/mAP@10"
_RANK_PARTS = ("indptr", "above", "tied", "grades", "occurrences")


@dataclass(frozen=True)
class Direction:
    """Result of one direction.

    Attributes:
        ranks: Ranks of the relevant items.
        query_ids: Q ids.
        query_units: Q names of the resampled unit (clip or recording).
        relevance: ``Relevance.fingerprint``: two reports are comparable where it is the same.
    """

    ranks: Ranks
    query_ids: tuple[str, ...]
    query_units: tuple[str, ...]
    relevance: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """Result of an evaluation.

    Attributes:
        name: Name of the system.
        directions: ``t2a`` and/or ``a2t``.
        ties: Tie rule: ``pessimistic`` or ``expected``.
        metrics: Metric names that are printed.
        n_clips: Clips in the gallery.
        n_captions: Captions (or text queries).
        n_missing_clips: Clips of the data that could not be scored, and so are not in the gallery.
        protocol: Descriptions of the measurement, by name.
        checks: Values of the sanity checks by name, see ``sanity``.
        warnings: Problems that a reader must know before using the numbers.
    """

    name: str
    directions: Mapping[str, Direction]
    ties: Ties
    n_clips: int
    n_captions: int
    metrics: tuple[str, ...] = DEFAULT_METRICS
    n_missing_clips: int = 0
    protocol: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def primary_metric(self) -> str:
        """The metric by which checkpoints are chosen."""
        return PRIMARY if "t2a" in self.directions else "a2t/mAP@10"

    @property
    def greater_is_better(self) -> bool:
        """Direction of the primary metric."""
        return metric_functions.greater_is_better(self.primary_metric)

    def per_query(self, metric: str) -> Values:
        """(Q,) values of a metric such as ``t2a/R@10``, in the order of ``directions[...].query_ids``.

        Raises:
            ConfigError: Unknown metric, or a direction that was not evaluated.
        """
        direction, name = split_metric(metric)
        if direction not in self.directions:
            raise ConfigError(f"{self.name} was not scored {NAMES[direction]}; it has {', '.join(self.directions)}")
        return metric_functions.per_query(self.directions[direction].ranks, name, self.ties)

    def __getitem__(self, metric: str) -> float:
        """Value of a metric over all queries, for example ``report["a2t/R@1"]``."""
        return metric_functions.aggregate(self.per_query(metric), metric)

    @cached_property
    def values(self) -> dict[str, float]:
        """All printed metrics of all directions: ``{"t2a/R@1": 0.34, ...}``."""
        return {f"{d}/{m}": self[f"{d}/{m}"] for d in self.directions for m in self.metrics}

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the printed metrics, bootstrapped over clips."""
        found: dict[str, tuple[float, float]] = {}
        for d, direction in self.directions.items():
            units = unit_rows(direction.query_units)
            for median in (False, True):
                names = [m for m in self.metrics if (m == "MedR") == median]
                if names:
                    drawn = bootstrap([self.per_query(f"{d}/{m}") for m in names], units, median=median)
                    found |= {f"{d}/{m}": interval(drawn[:, i]) for i, m in enumerate(names)}
        return found

    def counts_line(self) -> str:
        """Counts of clips and captions, to be printed beside every number."""
        missing = f", missing clips: {self.n_missing_clips:,}" if self.n_missing_clips else ""
        return f"{self.n_clips:,} clips, {self.n_captions:,} captions{missing}"

    def protocol_line(self) -> str:
        """Tie rule, relevance, window rule and so on, in one line."""
        return "; ".join([f"ties {self.ties}", *(f"{k} {v}" for k, v in self.protocol.items())])

    def table(self, style: str = "table") -> str:
        """Metrics with intervals as ``table``, ``markdown`` or ``latex``, then counts, protocol and warnings."""
        header = ["", *(NAMES[d] for d in self.directions)]
        rows = [[m, *(self._cell(f"{d}/{m}") for d in self.directions)] for m in self.metrics]
        notes = [f"{self.name}: {self.counts_line()}", self.protocol_line(), *(f"warning: {w}" for w in self.warnings)]
        return render(header, rows, style, notes)

    def _cell(self, metric: str) -> str:
        low, high = self.intervals[metric]
        return f"{show(self.values[metric], metric)} [{show(low, metric)}, {show(high, metric)}]"

    def to_json(self) -> Json:
        """All numbers as JSON-able values; shares, not percent."""
        return {
            "name": self.name,
            "primary_metric": self.primary_metric,
            "greater_is_better": self.greater_is_better,
            "ties": self.ties,
            "protocol": dict(self.protocol),
            "counts": {"clips": self.n_clips, "captions": self.n_captions, "missing_clips": self.n_missing_clips},
            "pools": {d: v.relevance for d, v in self.directions.items()},
            "metrics": {
                m: {"value": v, "low": self.intervals[m][0], "high": self.intervals[m][1]}
                for m, v in self.values.items()
            },
            "checks": dict(self.checks),
            "warnings": list(self.warnings),
        }

    def save(self, folder: Path | str) -> None:
        """Write ``report.json`` and ``ranks.npz`` into a folder."""
        folder = Path(folder)
        arrays: dict[str, Any] = {}
        for d, v in self.directions.items():
            arrays[f"{d}/query_ids"] = np.array(v.query_ids)
            arrays[f"{d}/query_units"] = np.array(v.query_units)
            for part in _RANK_PARTS:
                arrays[f"{d}/{part}"] = getattr(v.ranks, part)
            arrays[f"{d}/sizes"] = np.array([v.ranks.n_gallery, v.ranks.n_constant])
        with atomic_path(folder / "ranks.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        write_json(folder / "report.json", self.to_json() | {"printed": list(self.metrics)})

    @classmethod
    def load(cls, folder: Path | str) -> Report:
        """Read a saved report.

        Raises:
            DataError: A file is missing or was not written by ``save``.
        """
        folder = Path(folder)
        about = read_json(folder / "report.json")
        try:
            with np.load(folder / "ranks.npz", allow_pickle=False) as arrays:
                directions = {d: _direction(arrays, d, name) for d, name in about["pools"].items()}
            return cls(
                name=about["name"],
                directions=directions,
                ties=about["ties"],
                n_clips=about["counts"]["clips"],
                n_captions=about["counts"]["captions"],
                metrics=tuple(about["printed"]),
                n_missing_clips=about["counts"]["missing_clips"],
                protocol=about["protocol"],
                checks=about["checks"],
                warnings=tuple(about["warnings"]),
            )
        except (KeyError, ValueError, OSError) as error:
            raise DataError(
                f"{folder} is not a complete report ({error}); repeat: askaudio evaluate ... --out {folder}"
            ) from error


def _direction(arrays: Any, d: str, relevance: str) -> Direction:
    parts = {part: arrays[f"{d}/{part}"] for part in _RANK_PARTS}
    n_gallery, n_constant = arrays[f"{d}/sizes"].tolist()
    ranks = Ranks(**parts, n_gallery=n_gallery, n_constant=n_constant)
    ids, units = (tuple(arrays[f"{d}/{part}"].tolist()) for part in ("query_ids", "query_units"))
    return Direction(ranks, ids, units, relevance)


def split_metric(metric: str) -> tuple[str, str]:
    """``t2a/R@10`` -> (``t2a``, ``R@10``).

    Raises:
        ConfigError: No direction, or an unknown one.
    """
    direction, _, name = metric.partition("/")
    if direction not in NAMES or not name:
        raise ConfigError(f"a metric is written direction/name, for example t2a/R@10 or a2t/mAP@10, got {metric!r}")
    return direction, name


def show(value: float, metric: str) -> str:
    """Format a value: percent with one decimal; ranks with one decimal."""
    if metric.endswith(("MedR", "MeanR")):
        return f"{value:.1f}"
    return f"{100 * value:.1f}"
