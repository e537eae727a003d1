"""Train rows of the knowledge benchmark with ``askaudio``'s own trainer, and keep the rank of every test query.

    python benchmarks/knowledge/run.py --scenes runs/knowledge/recorded --seeds 0 1 2 3 4
    python benchmarks/knowledge/report.py            # tables with paired intervals

Needs the scenes of ``scenes.py``. Each (row, seed) is one small file, so an interrupted run continues. A row of 10
epochs takes 30 to 60 s of one core; all rows at five seeds take three hours.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from setups import Setup, rows

from askaudio.core.files import atomic_path

from scenes import Scenes  # isort: skip
from scene_runs import provenance  # isort: skip - found by scenes
from training import Result, train


def keep(result: Result, setup: Setup, name: str, seed: int, target: Path) -> None:
    """Write one run: its ranks, and everything needed to repeat it."""
    about = {
        "row": name,
        "seed": seed,
        "setup": asdict(setup),
        "best_epoch": result.best_epoch,
        "val": result.val,
        "drift": result.watch.drift,
        "refreshed_at": result.watch.refreshed_at,
        "steps_per_s": result.steps_per_s,
        "refresh_s": result.watch.refresh_s / max(1, len(result.watch.drift)),
        **provenance(),
    }
    ranks = {"t2a": result.rank_t2a.astype(np.uint16), "a2t": result.rank_a2t.astype(np.uint16)}
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, about=json.dumps(about), **ranks)


def run_rows(setups: dict[str, Setup], seeds: list[int], scenes: Scenes, out: Path) -> None:
    """Train every row with every seed, unless its file exists."""
    for name, setup in setups.items():
        for seed in seeds:
            target = out / f"{''.join(c if c.isalnum() else '_' for c in name)}-{seed}.npz"
            if not target.exists():
                result = train(setup, scenes, seed)
                keep(result, setup, name, seed, target)
                print(f"{name:32s} seed {seed}: R@1 {100 * (result.rank_t2a <= 1).mean():.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/results"))
    parser.add_argument("--rows", nargs="*", default=list(rows()), metavar="ROW")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = rows()
    run_rows({name: known[name] for name in args.rows}, args.seeds, Scenes(args.scenes), args.out)


if __name__ == "__main__":
    main()
