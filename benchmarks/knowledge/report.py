"""Tables of the knowledge benchmark: means over seeds and clips, paired intervals, head / middle / tail.

    python benchmarks/knowledge/report.py --results runs/knowledge/results --scenes runs/knowledge/recorded
    python benchmarks/knowledge/report.py --out benchmarks/knowledge/earlier      # the tables of earlier results again

``OUT/ranks.npz`` keeps every run's ranks (from 1, all above 10 as 11). It is read where ``--results`` is empty, so
tables and figures can be made again, and compared with new rows, without the runs and scenes. Writes OUT/results.md and
OUT/results.json in a minute.

Differences are paired by test clip (all five queries of a clip together) and by seed: 5,000 resamples of clips and,
within each, of seeds. p is two-sided and not corrected; the table shows how many comparisons were made.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from askaudio.core.files import atomic_path, write_json, write_text
from askaudio.data.manifest import read_manifest

sys.path.append(str(Path(__file__).parents[1]))
from seed_statistics import interval, thirds_of

HERE = Path(__file__).parent
RANKS = "ranks.npz"
FAR = 11  # no metric here tells ranks above 10 apart
REFRESHED = (
    "graph refinement, mean", "graph refinement, learned", "write-through", "momentum base", "refresh on drift"
)  # fmt: skip
KINDS = tuple(f"40 % {kind}" for kind in ("similar", "left out", "wrong", "by clip"))
NOISES = ("20 %", "40 %", "60 %", *KINDS)
NOISY = ("plain B=24", "ASK, reliability")  # each against both clean trainings
PAIRS = [
    ("ASK", "plain B=24"),
    ("ASK", "plain B=512"),
    ("ASK", "plain B=512, 10 epochs"),
    ("ASK, 20 epochs", "plain B=512"),
    ("ASK, 20 epochs", "plain B=24, 20 epochs"),
    ("ASK", "XBM 2048"),
    ("ASK", "momentum queue 2048"),
    ("ASK", "ASK, static base"),
    ("ASK", "ASK, random base"),
    ("ASK, random base", "plain B=24"),
    ("ASK, fine only", "ASK"),
    ("ASK, coarse only", "plain B=24"),
    ("ASK, the whole base at each step", "ASK"),
    ("ASK, one in 32 at each step", "ASK"),
    ("ASK, first refresh after an epoch", "ASK"),
    ("ASK, without the batch's own loss", "ASK"),
    ("ASK, 8 neighbors", "ASK"),
    ("ASK, refresh 4 times an epoch", "ASK"),
    ("ASK, refresh every 2 epochs", "ASK"),
    ("ASK, refresh every 5 epochs", "ASK"),
    ("ASK, external entries too", "ASK"),
    ("ASK, blend", "plain B=24"),
    ("text-similarity soft labels", "plain B=24"),
    ("offline soft targets", "plain B=24"),
    *((f"ASK, {kind}", "ASK") for kind in REFRESHED),
    ("ASK, reliability, clean", "ASK"),
    ("20 %: ASK, reliability", "20 %: plain B=24"),
    ("20 %: ASK, reliability", "20 %: ASK, uniform weights"),
    ("40 %: ASK, reliability", "40 %: plain B=24"),
    ("40 %: ASK, reliability", "40 %: plain B=512"),
    ("40 %: ASK, reliability", "40 %: ASK, uniform weights"),
    ("60 %: ASK, reliability", "60 %: plain B=24"),
    ("60 %: ASK, reliability", "60 %: plain B=512"),
    ("60 %: ASK, reliability", "60 %: ASK, uniform weights"),
    *((f"{noise}: ASK, reliability", f"{noise}: plain B=24") for noise in KINDS),
    *((f"{noise}: {row}", clean) for noise in NOISES for row in NOISY for clean in ("plain B=24", "ASK")),
    ("plain B=24, 20 epochs", "plain B=24"),
    ("ASK", "plain B=24, 20 epochs"),
    ("trained tower: ASK", "trained tower: plain B=24"),
    ("trained tower, 40 %: ASK, reliability", "trained tower, 40 %: plain B=24"),
]
THIRDS = [
    ("ASK", "plain B=24"),
    ("ASK", "plain B=512"),
    ("ASK, reliability, clean", "ASK"),
    ("40 %: ASK, reliability", "40 %: plain B=24"),
]


Rows = dict[str, dict[int, dict]]


def read(folder: Path) -> Rows:
    """Row name -> seed -> ranks and what is known of the run."""
    rows: Rows = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            about = json.loads(str(arrays["about"]))
            ranks = {d: np.minimum(arrays[d], FAR).astype(np.uint8) for d in ("t2a", "a2t")}
            rows.setdefault(about["row"], {})[about["seed"]] = {**ranks, **about}
    return rows


def write_kept(rows: Rows, third: np.ndarray, target: Path) -> None:
    """Keep the runs in one file, a few kB each."""
    runs = [run for row in rows.values() for run in row.values()]
    about = [{k: v for k, v in run.items() if k not in ("t2a", "a2t")} for run in runs]
    ranks = {d: np.stack([run[d] for run in runs]) for d in ("t2a", "a2t")}  # (runs, queries)
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, third=third.astype(np.uint8), about=json.dumps(about), **ranks)


def read_kept(source: Path) -> tuple[Rows, np.ndarray]:
    """What ``write_kept`` wrote: the runs, and which third each test clip belongs to."""
    rows: Rows = {}
    with np.load(source) as arrays:
        t2a, a2t = arrays["t2a"], arrays["a2t"]
        for k, about in enumerate(json.loads(str(arrays["about"]))):
            rows.setdefault(about["row"], {})[about["seed"]] = {"t2a": t2a[k], "a2t": a2t[k], **about}
        return rows, arrays["third"]


def runs_and_thirds(results: Path, scenes: Path, folder: Path) -> tuple[Rows, np.ndarray]:
    """From results and scenes if there are any, else from ``folder/ranks.npz``."""
    rows = read(results)
    return (rows, thirds(scenes)) if rows else read_kept(folder / RANKS)


def per_clip(run: dict, metric: str) -> np.ndarray:
    """A metric of each test clip (N,), in percent: mean over its five queries for t2a."""
    direction, name = metric.split("/")
    ranks = run[direction].astype(np.float64)
    values = np.where(ranks <= 10, 1.0 / ranks, 0.0) if name == "mAP@10" else ranks <= int(name.split("@")[1])
    return 100.0 * values.reshape(len(run["a2t"]), -1).mean(1)


def table_of(row: dict[int, dict], metric: str, seeds: list[int]) -> np.ndarray:
    """(seeds, clips)."""
    return np.stack([per_clip(row[s], metric) for s in seeds])


def thirds(scenes: Path) -> np.ndarray:
    """0 head, 1 middle, 2 tail for each test clip, by training frequency of its rarest label."""
    train, test = ([clip.label for clip in read_manifest(scenes / f"{part}.jsonl")] for part in ("train", "test"))
    return thirds_of(train, test)


def row_table(rows: Rows, third: np.ndarray | None = None) -> list[str]:
    """One line a row: means with 95 % intervals of R@1 over clips and seeds; thirds where they are given."""
    ends = " | head / middle / tail R@1 |" if third is not None else " |"
    lines = [f"| row | seeds | R@1 | R@10 | mAP@10 | A2T R@1{ends}", "|---" * (7 if third is not None else 6) + "|"]
    for name, row in rows.items():
        seeds = sorted(row)
        values = {m: table_of(row, m, seeds) for m in ("t2a/R@1", "t2a/R@10", "t2a/mAP@10", "a2t/R@1")}
        _, low, high, _ = interval(values["t2a/R@1"], np.random.default_rng(0), 2000)
        cells = [f"{v.mean():.1f}" for v in values.values()]
        cells[0] += f" [{low:.1f}, {high:.1f}]"
        if third is not None:
            cells.append(" / ".join(f"{values['t2a/R@1'][:, third == k].mean():.1f}" for k in range(3)))
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def difference_table(
    rows: Rows, pairs: list[tuple[str, str]], rng: np.random.Generator
) -> tuple[list[str], dict[str, dict]]:
    """Paired differences with intervals and p, as lines and as numbers."""
    lines, kept = ["| difference, T2A | R@1 | p | mAP@10 | p |", "|---|---|---|---|---|"], {}
    for a, b in pairs:
        seeds = sorted(set(rows.get(a, ())) & set(rows.get(b, ())))
        if not seeds:
            continue
        cells = []
        for metric in ("t2a/R@1", "t2a/mAP@10"):
            mean, low, high, p = interval(table_of(rows[a], metric, seeds) - table_of(rows[b], metric, seeds), rng)
            kept[f"{a} - {b}: {metric}"] = {"mean": mean, "low": low, "high": high, "p": p, "seeds": seeds}
            cells.append(f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] | {p:.4f}")
        lines.append(f"| {a} - {b} | {' | '.join(cells)} |")
    return lines, kept


def third_table(rows: Rows, third: np.ndarray, a: str, b: str) -> tuple[list[str], dict]:
    """The difference of two rows in head, middle and tail, with intervals, and the tail's gain less the head's."""
    seeds = sorted(set(rows[a]) & set(rows[b]))
    gain = table_of(rows[a], "t2a/R@1", seeds) - table_of(rows[b], "t2a/R@1", seeds)
    kept, rng = {}, np.random.default_rng(0)
    for k, name in enumerate(("head", "middle", "tail")):
        kept[name] = interval(gain[:, third == k], rng)
    cells = " | ".join(f"{m:+.2f} [{low:+.2f}, {high:+.2f}]" for m, low, high, _ in kept.values())
    return [f"| {a} - {b} | {cells} |"], {name: list(v) for name, v in kept.items()}


def data_of(scenes: Path, before: Path) -> dict:
    """How the scenes were made: from their own folder, or as it was written down before."""
    if (scenes / "about.json").exists():
        return json.loads((scenes / "about.json").read_text())
    return json.loads(before.read_text()).get("data", {}) if before.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("runs/knowledge/results"))
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    rows, third = runs_and_thirds(args.results, args.scenes, args.out)
    write_kept(rows, third, args.out / RANKS)
    kept: dict[str, dict] = {"rows": {}, "data": data_of(args.scenes, args.out / "results.json")}
    for name, row in rows.items():
        one = row[min(row)]
        kept["rows"][name] = {
            "seeds": sorted(row),
            "t2a/R@1 by seed": [round(float(per_clip(row[s], "t2a/R@1").mean()), 2) for s in sorted(row)],
            "steps_per_s": float(np.mean([r["steps_per_s"] for r in row.values()])),
            "refresh_s": float(np.mean([r["refresh_s"] for r in row.values()])),
            **{key: one.get(key) for key in ("val", "drift", "refreshed_at", "commit", "machine", "setup")},
        }
    lines, kept["differences"] = difference_table(rows, PAIRS, np.random.default_rng(0))
    table = [*row_table(rows, third), "", *lines, "", "| R@1 gained in | head | middle | tail |", "|---|---|---|---|"]
    kept["thirds"] = {}
    for a, b in THIRDS:
        if a in rows and b in rows:
            more, kept["thirds"][f"{a} - {b}"] = third_table(rows, third, a, b)
            table += more
    write_text(args.out / "results.md", "\n".join(table) + "\n")
    write_json(args.out / "results.json", kept)
    print("\n".join(table))


if __name__ == "__main__":
    main()
