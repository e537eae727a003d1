"""Tables of the knowledge benchmark: means over seeds and clips, paired intervals, head / middle / tail.

    python benchmarks/knowledge/report.py --results runs/knowledge/results --scenes runs/knowledge/recorded

Differences are paired by test clip (all five queries of a clip move together) and by seed: 10,000 resamples of clips
and, inside each, of seeds. p is two-sided; the tables name how many comparisons were made.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import features
import numpy as np

from askaudio.core.files import write_json, write_text

RESAMPLES = 10_000
PAIRS = [
    ("ASK", "plain B=24"),
    ("ASK", "plain B=512"),
    ("ASK", "XBM 2048"),
    ("ASK", "momentum queue 2048"),
    ("ASK", "ASK, static base"),
    ("ASK", "ASK, random base"),
    ("ASK, random base", "plain B=24"),
    ("ASK, reliability, clean", "ASK"),
    ("40 %: ASK, reliability", "40 %: plain B=24"),
    ("40 %: ASK, reliability", "40 %: plain B=512"),
    ("40 %: ASK, reliability", "40 %: ASK, uniform weights"),
    ("40 %: ASK, reliability", "plain B=24"),
    ("20 %: ASK, reliability", "plain B=24"),
    ("20 %: ASK, reliability", "20 %: plain B=24"),
    ("trained tower: ASK", "trained tower: plain B=24"),
]


def read(folder: Path) -> dict[str, dict[int, dict]]:
    """Row name -> seed -> ranks and what is known of the run."""
    rows: dict[str, dict[int, dict]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            about = json.loads(str(arrays["about"]))
            rows.setdefault(about["row"], {})[about["seed"]] = {"t2a": arrays["t2a"], "a2t": arrays["a2t"], **about}
    return rows


def per_clip(run: dict, metric: str) -> np.ndarray:
    """A metric of each test clip (N,), in percent: mean over its five queries for t2a."""
    direction, name = metric.split("/")
    ranks = run[direction].astype(np.float64)
    values = np.where(ranks <= 10, 1.0 / ranks, 0.0) if name == "mAP@10" else ranks <= int(name.split("@")[1])
    return 100.0 * values.reshape(len(run["a2t"]), -1).mean(1)


def table_of(row: dict[int, dict], metric: str, seeds: list[int]) -> np.ndarray:
    """(seeds, clips)."""
    return np.stack([per_clip(row[s], metric) for s in seeds])


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Mean, 95 % interval and two-sided p of values (seeds, clips), both resampled."""
    s, n = values.shape
    means = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        weights = np.bincount(rng.integers(s, size=s), minlength=s) @ values  # (clips,)
        means[k] = weights[rng.integers(n, size=n)].mean() / s
    low, high = np.percentile(means, [2.5, 97.5])
    p = 2 * min((means <= 0).mean(), (means >= 0).mean())
    return float(values.mean()), float(low), float(high), float(max(p, 1 / RESAMPLES))


def thirds(scenes: Path) -> np.ndarray:
    """0 head, 1 middle, 2 tail for each test clip, by training frequency of its rarest label."""
    train, test = features.load(scenes, "train").labels, features.load(scenes, "test").labels
    seen = Counter(label for row in train for label in set(row))
    rarest = np.array([min(seen[label] for label in row) for row in test])
    return 2 - np.argsort(np.argsort(rarest, kind="stable")) * 3 // len(rarest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("runs/knowledge/results"))
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/knowledge"))
    args = parser.parse_args()
    rows, rng = read(args.results), np.random.default_rng(0)
    third = thirds(args.scenes)
    kept: dict[str, dict] = {"rows": {}, "differences": {}}
    lines = [
        "| row | seeds | R@1 | R@10 | mAP@10 | A2T R@1 | head / middle / tail R@1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        seeds = sorted(row)
        means = {m: float(table_of(row, m, seeds).mean()) for m in ("t2a/R@1", "t2a/R@10", "t2a/mAP@10", "a2t/R@1")}
        by_third = [float(table_of(row, "t2a/R@1", seeds)[:, third == k].mean()) for k in range(3)]
        speed = float(np.mean([row[s]["steps_per_s"] for s in seeds]))
        one = row[seeds[0]]
        kept["rows"][name] = {
            **means, "thirds": by_third, "seeds": seeds, "steps_per_s": speed, "drift": one["drift"],
            "commit": one["commit"], "machine": one["machine"], "setup": one["setup"],
        }  # fmt: skip
        numbers = " | ".join(f"{v:.1f}" for v in means.values())
        lines.append(f"| {name} | {len(seeds)} | {numbers} | {' / '.join(f'{v:.1f}' for v in by_third)} |")
    lines += ["", "| difference, T2A | R@1 | p | mAP@10 | p |", "|---|---|---|---|---|"]
    for a, b in PAIRS:
        if a not in rows or b not in rows:
            continue
        seeds = sorted(set(rows[a]) & set(rows[b]))
        cells = []
        for metric in ("t2a/R@1", "t2a/mAP@10"):
            mean, low, high, p = interval(table_of(rows[a], metric, seeds) - table_of(rows[b], metric, seeds), rng)
            kept["differences"][f"{a} - {b}: {metric}"] = {"mean": mean, "low": low, "high": high, "p": p}
            cells.append(f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] | {p:.4f}")
        lines.append(f"| {a} - {b} | {' | '.join(cells)} |")
    write_text(args.out / "results.md", "\n".join(lines) + "\n")
    write_json(args.out / "results.json", kept)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
