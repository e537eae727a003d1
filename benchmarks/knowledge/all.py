"""Run the whole knowledge benchmark: scenes, tuning, rows, locality, cost, the synthesised version, tables, figures.

    python benchmarks/knowledge/all.py --sounds ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as.onnx

Some five hours of one core; an interrupted run continues. Without ``--sounds`` and ``--tower`` only the parts that need
no recordings are run: cost and the synthesised version (five minutes).
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
        scenes = ["scenes.py", "--sounds", args.sounds, "--tower", args.tower]
        steps = [scenes, ["tune.py"], ["run.py"], ["locality.py"], *steps, ["report.py"], ["figures.py"]]
    for script, *rest in steps:
        print(f"== {script}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).parent / script), *rest], check=True)


if __name__ == "__main__":
    main()
