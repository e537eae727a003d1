"""Tables of the fine-grain benchmark: retrieval, accuracy by kind of near miss, head / middle / tail, paired intervals.

    python benchmarks/fine_grain/report.py --results runs/fine_grain/results --scenes runs/fine_grain/scenes

Writes OUT/results.md and OUT/results.json. Differences are paired by test scene (all queries and all near misses of a
scene together) and by seed: 5,000 resamples of scenes and, within each, of seeds. p is two-sided and not corrected for
the number of comparisons.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from setups import CLAIM

from askaudio.core.files import write_json, write_text

from scenes import Scenes  # isort: skip
from seed_statistics import interval, thirds_of  # isort: skip - found by scenes
from training import test_pairs

HERE = Path(__file__).parent
RETRIEVAL = ("R@1", "mAP@10")
KINDS = ("order", "count", "attribute", "negation", "label")
NEAR = ", near misses"
PAIRS = [
    *(("ASK", other) for other in ("plain B=24", "XBM 2048", "plain B=512", "ASK, static base")),
    ("ASK, static base", "plain B=24"),
    ("XBM 2048", "plain B=24"),
    ("plain B=512", "plain B=24"),
    ("ASK, without same sounds", "ASK"),
    ("ASK, without as many others", "ASK"),
    ("ASK, without same sounds", "ASK, without as many others"),
    *((f"{name}{NEAR}", name) for name in CLAIM),
    *((f"ASK{NEAR}", f"{name}{NEAR}") for name in CLAIM if name != "ASK"),
    *((name, f"{name}, mean only") for name in CLAIM),
    (f"ASK, transformer{NEAR}", f"ASK{NEAR}"),
    ("ASK, one entry a caption", "ASK"),
]
Rows = dict[str, dict[int, dict]]


def read(folder: Path) -> Rows:
    """Row name -> seed -> arrays and what is known of the run."""
    rows: Rows = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            about = json.loads(str(arrays["about"]))
            kept = {name: arrays[name].astype(np.float64) for name in ("t2a", "a2t", "right")}
            rows.setdefault(about["row"], {})[about["seed"]] = {**kept, **about}
    return rows


class Measures:
    """A measure of a run for each test scene, in percent; scenes without a near miss of a kind have NaN.

    Args:
        scenes: The stored scenes.
    """

    def __init__(self, scenes: Scenes) -> None:
        pairs = test_pairs(scenes)
        self.n = len(scenes.manifest.split("test"))
        self.owner = np.array([row for row, *_ in pairs])
        self.kind = np.array([kind for _, kind, *_ in pairs])

    def of(self, run: dict, measure: str) -> np.ndarray:
        """(N,) R@1 or mAP@10 text to audio, A2T R@1, or the accuracy of a kind of near miss."""
        if measure == "A2T R@1":
            return 100.0 * (run["a2t"] <= 1)
        if measure in RETRIEVAL:
            ranks = run["t2a"]
            values = np.where(ranks <= 10, 1 / ranks, 0) if measure == "mAP@10" else ranks <= 1
            return 100.0 * values.reshape(self.n, -1).mean(1)
        chosen = self.kind == measure
        count = np.bincount(self.owner[chosen], minlength=self.n)
        total = np.bincount(self.owner[chosen], weights=run["right"][chosen] / 2, minlength=self.n)
        with np.errstate(invalid="ignore"):
            return 100.0 * total / count

    def table(self, row: dict[int, dict], measure: str, seeds: list[int]) -> np.ndarray:
        """(seeds, scenes with this measure)."""
        values = np.stack([self.of(row[seed], measure) for seed in seeds])
        return values[:, ~np.isnan(values[0])]


def thirds(scenes: Scenes) -> np.ndarray:
    """0 head, 1 middle, 2 tail for each test scene, by training frequency of its rarest label."""
    train, test = ([str(clip.label) for clip in scenes.manifest.split(part)] for part in ("train", "test"))
    return thirds_of(train, test)


def row_table(rows: Rows, measures: Measures, third: np.ndarray) -> list[str]:
    """One line a row: means over seeds and scenes; the interval of the order accuracy; thirds of R@1."""
    head = [*RETRIEVAL, "A2T R@1", *KINDS]
    lines = [
        f"| row | seeds | {' | '.join(head)} | head / middle / tail R@1 | steps/s |",
        "|---" * (len(head) + 4) + "|",
    ]
    for name, row in rows.items():
        seeds = sorted(row)
        values = {measure: measures.table(row, measure, seeds) for measure in head}
        cells = [f"{v.mean():.1f}" for v in values.values()]
        _, low, high, _ = interval(values["order"], np.random.default_rng(0), 2000)
        cells[head.index("order")] += f" [{low:.1f}, {high:.1f}]"
        cells.append(" / ".join(f"{values['R@1'][:, third == k].mean():.1f}" for k in range(3)))
        cells.append(f"{np.mean([run['steps_per_s'] for run in row.values()]):.0f}")
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def difference_table(rows: Rows, measures: Measures) -> tuple[list[str], dict[str, dict]]:
    """Paired differences with intervals and p, as lines and as numbers."""
    head = ["R@1", "mAP@10", *KINDS[:4]]
    lines, kept = [f"| difference | seeds | {' | '.join(head)} |", "|---" * (len(head) + 2) + "|"], {}
    for a, b in PAIRS:
        seeds = sorted(set(rows.get(a, ())) & set(rows.get(b, ())))
        if not seeds:
            continue
        cells = []
        for measure in head:
            mean, low, high, p = interval(
                measures.table(rows[a], measure, seeds) - measures.table(rows[b], measure, seeds),
                np.random.default_rng(0),
            )
            kept[f"{a} - {b}: {measure}"] = {"mean": mean, "low": low, "high": high, "p": p, "seeds": seeds}
            cells.append(f"{mean:+.1f} [{low:+.1f}, {high:+.1f}], p {p:.4f}")
        lines.append(f"| {a} - {b} | {len(seeds)} | {' | '.join(cells)} |")
    return lines, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("runs/fine_grain/results"))
    parser.add_argument("--scenes", type=Path, default=Path("runs/fine_grain/scenes"))
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    scenes, rows = Scenes(args.scenes), read(args.results)
    measures = Measures(scenes)
    differences, kept = difference_table(rows, measures)
    lines = [*row_table(rows, measures, thirds(scenes)), "", *differences]
    about = json.loads((args.scenes / "about.json").read_text())
    of_rows = {
        name: {
            "seeds": sorted(row),
            **{m: [round(float(np.nanmean(measures.of(row[s], m))), 2) for s in sorted(row)] for m in ("R@1", *KINDS)},
            **{key: row[min(row)].get(key) for key in ("val", "commit", "machine", "setup")},
        }
        for name, row in rows.items()
    }
    write_text(args.out / "results.md", "\n".join(lines) + "\n")
    write_json(args.out / "results.json", {"rows": of_rows, "differences": kept, "data": about})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
