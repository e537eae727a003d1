"""Draw the figures of the knowledge benchmark from its stored ranks and locality.json; a minute.

    python benchmarks/knowledge/figures.py        # writes docs/figures/knowledge-*.png

By default from earlier/, which has every row; ``--ranks benchmarks/knowledge`` draws the rows of new results.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
import report

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, BLUE, ORANGE, GREY = "#222222", "#2468b2", "#d97706", "#9a9a9a"
STEPS_AN_EPOCH = 7000 // 24
PERIODS = {
    0.25: "ASK, refresh 4 times an epoch",
    1: "ASK",
    2: "ASK, refresh every 2 epochs",
    5: "ASK, refresh every 5 epochs",
    10: "ASK, static base",
}


def recall(rows: report.Rows, target: Path) -> None:
    """R@1 of every row with its 95 % interval."""
    names = sorted(rows, key=lambda n: report.table_of(rows[n], "t2a/R@1", sorted(rows[n])).mean())
    figure, axes = plt.subplots(figsize=(7, 0.24 * len(names) + 0.8))
    for y, name in enumerate(names):
        values = report.table_of(rows[name], "t2a/R@1", sorted(rows[name]))
        mean, low, high, _ = report.interval(values, np.random.default_rng(0), 1000)
        color = BLUE if "ASK" in name else GREY
        axes.plot([low, high], [y, y], color=color, lw=2)
        axes.plot(mean, y, "o", color=color, ms=4)
    axes.set_yticks(range(len(names)), [f"{n} ({len(rows[n])})" for n in names], fontsize=7)
    axes.set_xlabel("text-to-audio R@1, 95 % interval over clips and seeds (number of seeds)")
    _save(figure, target)


def drift(rows: report.Rows, target: Path) -> None:
    """How far the base had drifted at each refresh."""
    figure, axes = plt.subplots(figsize=(5, 3))
    for period, name in PERIODS.items():
        if name in rows and period >= 1 and rows[name][min(rows[name])]["drift"]:
            runs = list(rows[name].values())
            values = np.mean([run["drift"] for run in runs], axis=0)
            label = f"every {period:g} epoch{'s' if period > 1 else ''}"
            axes.plot(np.divide(runs[0]["refreshed_at"], STEPS_AN_EPOCH), values, "o-", ms=3, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean 1 - cosine of stored and fresh rows")
    axes.set_ylim(0)
    axes.legend(title="base refreshed", fontsize=8)
    _save(figure, target)


def periods(rows: report.Rows, target: Path) -> None:
    """R@1 lost by refreshing less often than every epoch."""
    figure, axes = plt.subplots(figsize=(5, 3))
    points = []
    for period, name in PERIODS.items():
        seeds = sorted(set(rows.get(name, ())) & set(rows["ASK"]))
        if not seeds:
            continue
        lost = report.table_of(rows["ASK"], "t2a/R@1", seeds) - report.table_of(rows[name], "t2a/R@1", seeds)
        mean, low, high, _ = report.interval(lost, np.random.default_rng(0), 1000)
        points.append((period, mean, low, high))
    x, mean, low, high = np.array(points).T
    axes.axhline(0, color=GREY, lw=1)
    axes.errorbar(x, mean, [mean - low, high - mean], color=BLUE, fmt="o-", capsize=3)
    axes.set_xscale("log")
    axes.set_xticks(x, [("never" if p == 10 else f"{p:g}") for p in x])
    axes.minorticks_off()
    axes.set_xlabel("epochs between refreshes")
    axes.set_ylabel("R@1 lost against every epoch")
    _save(figure, target)


def thirds(rows: report.Rows, third: np.ndarray, target: Path) -> None:
    """Gain over the plain loss by how rare a scene's rarest label is."""
    figure, axes = plt.subplots(figsize=(5, 3))
    for shift, name, color in ((-0.12, "ASK", BLUE), (0.12, "plain B=512", ORANGE)):
        seeds = sorted(set(rows[name]) & set(rows["plain B=24"]))
        gain = report.table_of(rows[name], "t2a/R@1", seeds) - report.table_of(rows["plain B=24"], "t2a/R@1", seeds)
        found = [report.interval(gain[:, third == k], np.random.default_rng(0), 1000)[:3] for k in range(3)]
        mean, low, high = np.array(found).T
        axes.errorbar(
            np.arange(3) + shift, mean, [mean - low, high - mean], fmt="o", color=color, capsize=3, label=name
        )
    axes.axhline(0, color=GREY, lw=1)
    axes.set_xticks(range(3), ["head", "middle", "tail"])
    axes.set_ylabel("R@1 gained over plain B=24")
    axes.legend(fontsize=8)
    _save(figure, target)


def fidelity(path: Path, target: Path) -> None:
    """Fidelity during training, by both measures."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
    titles = ("all pairs answer the batch (fidelity)", "all pairs as one batch")
    for axes, title, column in zip(both, titles, (3, 4), strict=True):
        for name, values in json.loads(path.read_text()).items():
            epochs, found = np.array(values)[:, 0], np.array(values)
            label = f"{name}, base at its oldest" if "ASK" in name else name
            (line,) = axes.plot(epochs, found[:, column], "o-", ms=3, label=label)
            if "ASK" in name and "static" not in name:
                label = f"{name}, base just refreshed"
                axes.plot(epochs, found[:, column + 2], "o--", ms=3, color=line.get_color(), label=label)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=9)
    both[0].set_ylabel("cosine with the step's gradient")
    both[0].legend(fontsize=7)
    _save(figure, target)


def _save(figure: plt.Figure, target: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=100, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=Path, default=report.HERE / "earlier", help="folder with ranks.npz")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    args = parser.parse_args()
    rows, third = report.read_kept(args.ranks / report.RANKS)
    recall(rows, args.out / "knowledge-recall.png")
    drift(rows, args.out / "knowledge-drift.png")
    periods(rows, args.out / "knowledge-refresh.png")
    thirds(rows, third, args.out / "knowledge-thirds.png")
    locality = Path(__file__).parent / "locality.json"
    if locality.exists():
        fidelity(locality, args.out / "knowledge-fidelity.png")


if __name__ == "__main__":
    main()
