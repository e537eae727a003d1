"""The knowledge benchmark in small, from nothing: synthesised scenes, log-mel statistics, a few rows, one table.

    python benchmarks/knowledge/procedural.py            # scenes, training, table; run again, it goes on where it was

2,000 training scenes of three synthesised events at most, 400 test scenes, two captions each; heads are trained over
log-mel statistics and MiniLM. No download, no file from outside the repository. Writes procedural.md and .json beside
this file.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import features
import numpy as np
import report
import torch
from loop import Setup, train
from run import Bench, keep, slug

from askaudio.core.files import write_json, write_text
from askaudio.scenes.library import synthesised_scenes

COUNTS = {"train": 2000, "val": 200, "test": 400}
PLAIN = Setup(epochs=10)
ASK = replace(PLAIN, fine=1.0, coarse=0.5, early=16)
ROWS = {
    "plain B=24": PLAIN,
    "plain B=512, 20 epochs": replace(PLAIN, batch=512, lr=3e-3, epochs=20),
    "ASK": ASK,
    "ASK, static base": replace(ASK, static=True),
}
PAIRS = [("ASK", name) for name in ROWS if name != "ASK"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/procedural"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    begin = time.perf_counter()

    def show(done: int, total: int | None, note: str = "") -> None:
        if done % 100 == 0 or done == total:
            print(f"\r{done}/{total} scenes", end="", file=sys.stderr, flush=True)

    scenes = synthesised_scenes(COUNTS, sample_rate_hz=16_000, n_captions=2)
    features.build(scenes, args.out, None, args.workers, show)
    made = time.perf_counter() - begin
    torch.set_num_threads(1)
    bench = Bench(args.out)
    for seed in range(args.seeds):
        for name, setup in ROWS.items():
            target = args.out / "results" / slug(name, seed)
            if not target.exists():
                result = train(setup, bench.data(setup, seed)[0], seed)
                keep(result, setup, name, seed, target)
                print(f"{name:24s} seed {seed}: R@1 {100 * (result.rank_t2a <= 1).mean():.1f}", flush=True)
    rows = report.read(args.out / "results")
    lines, kept = report.difference_table(rows, PAIRS, np.random.default_rng(0))
    table = [*report.row_table(rows), "", *lines]
    print("\n".join(table))
    cpu = round(sum(os.times()[:4]), 1)  # of this process and its workers, on a busy machine the truer figure
    seconds = {"scenes_s": round(made, 1), "in_all_s": round(time.perf_counter() - begin, 1), "cpu_s": cpu}
    print(f"{seconds['in_all_s']:.0f} s, of which scenes {seconds['scenes_s']:.0f} s; {cpu:.0f} s of CPU time")
    folder = Path(__file__).parent
    write_text(folder / "procedural.md", "\n".join(table) + "\n")
    about = {name: {"setup": row[0]["setup"], "seeds": sorted(row)} for name, row in rows.items()}
    machine = {"commit": rows["ASK"][0]["commit"], "machine": rows["ASK"][0]["machine"], **seconds}
    write_json(folder / "procedural.json", {**machine, "rows": about, "differences": kept})


if __name__ == "__main__":
    main()
