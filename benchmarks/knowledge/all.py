"""Everything of the knowledge benchmark in turn: scenes, tuning, rows, cost, locality, procedural version, figures.

    python benchmarks/knowledge/all.py --sounds ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as.onnx

Hours of one core; each script keeps what it has done, so a stopped run goes on. Without ``--sounds`` and ``--tower``
only what needs no recordings is run: cost and the procedural version.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds")
    parser.add_argument("--tower")
    args = parser.parse_args()
    steps = [["cost.py"], ["procedural.py"]]
    if args.sounds and args.tower:
        scenes = ["features.py", "--sounds", args.sounds, "--tower", args.tower]
        steps = [scenes, ["tune.py"], ["run.py"], ["locality.py"], *steps, ["report.py"], ["figures.py"]]
    for script, *rest in steps:
        print(f"== {script}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).parent / script), *rest], check=True)


if __name__ == "__main__":
    main()
