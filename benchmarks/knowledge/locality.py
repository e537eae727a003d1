"""Measure how much of the training set a step's gradient depends on, during training: plain against ASK.

    python benchmarks/knowledge/locality.py       # needs scenes.py; writes locality.json; five minutes of one core

Fidelity is the mean cosine of a step's gradient on the embeddings and that of the same contrast with all training
pairs as candidates. "As one batch" is the cosine with the plain loss of all training pairs as one batch, where all of
them are anchors and not the step's items alone (`askaudio/knowledge/locality.py`). Both are measured during the first
epoch and after some others: when ASK's base is at its oldest, and again when it was just refreshed. The stored
locality.json was measured with the training loop of earlier/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from setups import rows

from askaudio.core.files import read_json, write_json
from scenes import Scenes
from training import train

FILE = Path(__file__).parent / "locality.json"
NAMES = ("plain B=24", "plain B=512", "ASK", "ASK, static base")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", nargs="*", default=NAMES)
    args = parser.parse_args()
    torch.set_num_threads(1)
    scenes, found = Scenes(args.scenes), read_json(FILE) if FILE.exists() else {}
    for name in args.rows:
        setup = rows()[name] + f"train.epochs={args.epochs}"
        found[name] = train(setup, scenes, 0, locality=True).watch.locality
        write_json(FILE, found)
        for epoch, reach, contributors, *old, fresh, fresh_whole in found[name]:
            print(f"{name} after epoch {epoch}: reach {reach:.4f}, effective contributors {contributors:.1f}, ", end="")
            print(f"fidelity {old[0]:.3f}, as one batch {old[1]:.3f}; ", end="")
            print(f"base refreshed {fresh:.3f}, {fresh_whole:.3f}", flush=True)


if __name__ == "__main__":
    main()
