"""Compare ASK with the plain loss on synthesised scenes: the benchmark in small, without any file from elsewhere.

    python benchmarks/knowledge/procedural.py     # scenes, training, table; an interrupted run continues

2,000 training scenes of at most three synthesised events, 200 for validation, 400 for test, two captions each. The
product's trainer fits projections over log-mel statistics and MiniLM, four rows, three seeds. Writes procedural.md and
procedural.json. Four minutes of one idle core.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import report
import torch
from run import run_rows
from setups import LARGE, PLAIN

from askaudio.core.files import write_json, write_text
from askaudio.scenes.library import synthesised_scenes
from scenes import Scenes, build, show

COUNTS = {"train": 2000, "val": 200, "test": 400}
ASK = PLAIN + "knowledge=ask knowledge.refresh_early=16"
ROWS = {
    "plain B=24": PLAIN,
    "plain B=512, 20 epochs": LARGE,
    "ASK": ASK,
    "ASK, static base": ASK + "knowledge=static",
}
PAIRS = [("ASK", name) for name in ROWS if name != "ASK"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/procedural"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    began = time.perf_counter()
    build(synthesised_scenes(COUNTS, sample_rate_hz=16_000, n_captions=2), args.out, None, args.workers, show)
    made = time.perf_counter() - began
    torch.set_num_threads(1)
    run_rows(ROWS, list(range(args.seeds)), Scenes(args.out), args.out / "results")
    rows = report.read(args.out / "results")
    lines, kept = report.difference_table(rows, PAIRS, np.random.default_rng(0))
    table = [*report.row_table(rows), "", *lines]
    print("\n".join(table))
    cpu = round(sum(os.times()[:4]), 1)  # of this process and its workers: does not depend on what else runs
    seconds = {"scenes_s": round(made, 1), "in_all_s": round(time.perf_counter() - began, 1), "cpu_s": cpu}
    print(f"{seconds['in_all_s']:.0f} s, of which scenes {seconds['scenes_s']:.0f} s; {cpu:.0f} s of CPU time")
    folder = Path(__file__).parent
    write_text(folder / "procedural.md", "\n".join(table) + "\n")
    about = {name: {"setup": row[0]["setup"], "seeds": sorted(row)} for name, row in rows.items()}
    machine = {"commit": rows["ASK"][0]["commit"], "machine": rows["ASK"][0]["machine"], **seconds}
    write_json(folder / "procedural.json", {**machine, "rows": about, "differences": kept})


if __name__ == "__main__":
    main()
