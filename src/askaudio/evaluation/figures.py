"""Figures of reports and comparisons; matplotlib (extra ``figures``) is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.core.extras import require
from askaudio.core.files import atomic_path
from askaudio.core.types import FloatArray
from askaudio.evaluation.compare import Comparison
from askaudio.evaluation.long_tail import BucketReport
from askaudio.evaluation.report import NAMES, Report

SUFFIXES = (".png", ".svg", ".pdf")
# A palette for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


def recall_figure(reports: Sequence[Report], path: Path | str, metrics: Sequence[str] = ("R@1", "R@5", "R@10")) -> None:
    """Draw R@k of one or more systems with 95 % intervals, one panel a direction.

    Args:
        reports: Reports of the same clips and captions.
        path: File to write; .png, .svg or .pdf.
        metrics: Names without direction.

    Raises:
        ConfigError: Unknown suffix.
        MissingExtraError: matplotlib is not installed.
    """
    directions = [d for d in NAMES if all(d in r.directions for r in reports)]
    width = max(4.2, 0.9 * len(metrics)) * len(directions)
    figure, panels = _figure(1, len(directions), width=width, height=3.4)
    for panel, d in zip(panels, directions, strict=True):
        for i, report in enumerate(reports):
            x = np.arange(len(metrics)) + (i - (len(reports) - 1) / 2) * 0.8 / len(reports)
            value = 100 * np.array([report[f"{d}/{m}"] for m in metrics])
            ends = 100 * np.array([report.intervals[f"{d}/{m}"] for m in metrics]).T  # (2, metrics)
            panel.bar(x, value, 0.75 / len(reports), color=COLOURS[i % len(COLOURS)], label=report.name)
            panel.errorbar(x, value, np.abs(ends - value), fmt="none", color="black", capsize=3, lw=1)
        panel.set(title=NAMES[d], ylabel="percent", ylim=(0, 100), xticks=range(len(metrics)), xticklabels=metrics)
        panel.legend(frameon=False, fontsize=8)
    _save(figure, path, f"{reports[0].counts_line()}; 95 % intervals over clips")


def rank_figure(report: Report, path: Path | str) -> None:
    """Draw the ranks of the best relevant items as a histogram on a logarithmic axis, with the median."""
    figure, panels = _figure(1, len(report.directions), width=4.2 * len(report.directions), height=3.2)
    for panel, (d, direction) in zip(panels, report.directions.items(), strict=True):
        first = direction.ranks.first(report.ties)
        edges = np.unique(np.geomspace(1, direction.ranks.n_gallery + 1, 25).round())
        panel.hist(first, bins=edges, weights=np.full(len(first), 100 / len(first)), color=COLOURS[0])
        median = float(np.median(first))
        panel.axvline(median, color=COLOURS[5], lw=1.5, label=f"median {median:g}")
        panel.set(title=NAMES[d], xscale="log", xlabel="rank of the best relevant item", ylabel="percent of queries")
        panel.legend(frameon=False, fontsize=8)
    _save(figure, path, f"{report.name}: {report.counts_line()}")


def bucket_figure(buckets: BucketReport, path: Path | str, note: str = "") -> None:
    """Draw bars of head, mid and tail with 95 % intervals, one group a metric.

    Args:
        buckets: Metrics of the buckets.
        path: File to write; .png, .svg or .pdf.
        note: Line below the figure.
    """
    metrics = list(buckets.macro_buckets)
    figure, (panel,) = _figure(1, 1, width=5.0, height=3.4)
    for i, bucket in enumerate(buckets.buckets):
        x = np.arange(len(metrics)) + (i - 1) * 0.27
        value, low, high = (100 * np.array([bucket.values[m][j] for m in metrics]) for j in range(3))
        label = f"{bucket.name} ({bucket.n_queries:,} queries, seen {bucket.least:,}-{bucket.most:,} times)"
        panel.bar(x, value, 0.25, color=COLOURS[i], label=label)
        panel.errorbar(x, value, [value - low, high - value], fmt="none", color="black", capsize=3, lw=1)
    panel.set(ylabel="percent", xticks=range(len(metrics)), xticklabels=metrics, title=NAMES["t2a"])
    panel.legend(frameon=False, fontsize=7)
    _save(figure, path, note)


def comparison_figure(comparison: Comparison, path: Path | str) -> None:
    """Draw systems and their paired differences with 95 % intervals."""
    scale = 1 if comparison.metric.endswith(("MedR", "MeanR")) else 100
    differences = [(f"{d.second} - {d.first}", d.value, d.low, d.high) for d in comparison.differences]
    systems = [(s.name, s.value, s.low, s.high) for s in comparison.systems]
    height = 1.4 + 0.35 * max(len(systems), len(differences))
    figure, panels = _figure(1, 2, width=9.5, height=height)
    for panel, rows, title in zip(panels, (systems, differences), ("systems", "paired differences"), strict=True):
        names = [r[0] for r in rows][::-1]
        value, low, high = (scale * np.array([r[j] for r in rows])[::-1] for j in (1, 2, 3))
        y = np.arange(len(rows))
        panel.errorbar(value, y, xerr=[value - low, high - value], fmt="o", color=COLOURS[0], capsize=3)
        panel.set(yticks=y, yticklabels=names, xlabel=comparison.metric, title=title, ylim=(-0.6, len(rows) - 0.4))
    panels[1].axvline(0, color="grey", lw=1)
    _save(figure, path, f"{comparison.counts_line}; paired bootstrap over {comparison.over}, 95 % intervals")


def worst_queries(report: Report, n: int = 6) -> list[tuple[str, float]]:
    """The n text queries whose best relevant item has the largest rank, worst first: (query_id, rank)."""
    found = report.directions["t2a"]
    first = found.ranks.first(report.ties)
    order = np.lexsort((np.array(found.query_ids), -first))[:n]
    return [(found.query_ids[i], float(first[i])) for i in order]


def worst_queries_figure(
    rows: Sequence[tuple[str, str, str]], spectrogram: Callable[[str], FloatArray], path: Path | str
) -> None:
    """Draw the spectrograms of the relevant clip and of the clip ranked first, side by side for each query.

    Args:
        rows: (title, relevant clip_id, first clip_id) of each query.
        spectrogram: clip_id -> (F, T) log-mel, low frequencies first.
        path: File to write; .png, .svg or .pdf.
    """
    figure, panels = _figure(len(rows), 2, width=8.0, height=1.5 * len(rows))
    for i, (title, relevant, first) in enumerate(rows):
        for panel, clip, role in ((panels[2 * i], relevant, "relevant"), (panels[2 * i + 1], first, "ranked first")):
            panel.imshow(spectrogram(clip), origin="lower", aspect="auto", cmap="magma")
            panel.set(xticks=[], yticks=[])
            panel.set_xlabel(f"{role}: {clip[-60:]}", fontsize=6)
        panels[2 * i].set_title(title[:110], fontsize=7, loc="left")
    _save(figure, path)


def _figure(n_rows: int, n_columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    require("matplotlib", "figures")
    figure_module = require("matplotlib.figure", "figures")
    figure = figure_module.Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(panels.flat)


def _save(figure: Any, path: Path | str, note: str = "") -> None:
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: a figure's name must end in one of {', '.join(SUFFIXES)}")
    if note:
        figure.supxlabel(note, fontsize=7, color="grey")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150, metadata=_undated(path))


def _undated(path: Path) -> dict[str, None]:
    """Metadata without a date, so that the same numbers give the same file."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})
