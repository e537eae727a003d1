"""Train rows of the fine-grain benchmark and keep the rank of every test query and the outcome of every near miss.

    python benchmarks/fine_grain/scenes.py --sounds ... --tower ...          # once
    python benchmarks/fine_grain/run.py --seeds 0 1 2 3 4
    python benchmarks/fine_grain/report.py                                   # tables with paired intervals

Each (row, seed) is one small file, so an interrupted run continues. A row of 10 epochs takes one to two minutes of one
core, a row with B = 512 as long.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from setups import Setup, rows

from askaudio.core.files import atomic_path

from scenes import Scenes  # isort: skip
from scene_runs import provenance  # isort: skip - found by scenes
from training import Result, test_pairs, train


def keep(result: Result, setup: Setup, name: str, seed: int, target: Path) -> None:
    """Write one run: its ranks, and everything needed to repeat it."""
    about = {
        "row": name,
        "seed": seed,
        "setup": asdict(setup),
        "best_epoch": result.best_epoch,
        "val": result.val,
        "steps_per_s": result.steps_per_s,
        **provenance(),
    }
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            about=json.dumps(about),
            t2a=result.rank_t2a.astype(np.uint16),
            a2t=result.rank_a2t.astype(np.uint16),
            right=(2 * result.right).astype(np.uint8),
        )


def run_one(task: tuple[str, int], folder: Path, out: Path) -> str:
    """Train one row with one seed, unless its file exists."""
    torch.set_num_threads(1)
    name, seed = task
    target = out / f"{''.join(c if c.isalnum() else '_' for c in name)}-{seed}.npz"
    if target.exists():
        return ""
    scenes, setup = stored(folder), rows()[name]
    result = train(setup, scenes, seed)
    keep(result, setup, name, seed, target)
    kinds = np.array([kind for _, kind, _, _ in test_pairs(scenes)])
    accuracy = " ".join(f"{kind} {100 * result.right[kinds == kind].mean():.1f}" for kind in sorted(set(kinds)))
    return f"{name:32s} seed {seed}: R@1 {100 * (result.rank_t2a <= 1).mean():.1f} {accuracy}"


@functools.lru_cache(maxsize=1)
def stored(folder: Path) -> Scenes:
    """The scenes, read once in each process."""
    return Scenes(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/fine_grain/scenes"))
    parser.add_argument("--out", type=Path, default=Path("runs/fine_grain/results"))
    parser.add_argument("--rows", nargs="*", default=list(rows()), metavar="ROW")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--workers", type=int, default=1, help="trainings at a time, each on one core")
    args = parser.parse_args()
    tasks = [(name, seed) for seed in args.seeds for name in args.rows]
    work = functools.partial(run_one, folder=args.scenes, out=args.out)
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for line in pool.imap(work, tasks):
            if line:
                print(line, flush=True)


if __name__ == "__main__":
    main()
