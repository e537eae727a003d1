"""What a step's gradient has seen, during training: reach, effective contributors and fidelity, plain against ASK.

    python benchmarks/knowledge/locality.py       # writes locality.json; a minute or two of one core

Fidelity is the mean cosine of the step's gradient on the embeddings and that of the same contrast with all training
pairs as candidates; "as one batch" is that with the plain loss of all training pairs as one batch, where all of them
ask and not the step's items alone (`askaudio/knowledge/locality.py`). Measured during the first epoch and at the end
of some, when ASK's base is at its oldest, and again when it was just made anew.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from loop import train
from run import ROWS, Bench

from askaudio.core.files import write_json

FILE = Path(__file__).parent / "locality.json"
NAMES = ("plain B=24", "plain B=512", "ASK", "ASK, static base")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", nargs="*", default=NAMES)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench, found = Bench(args.scenes), json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in args.rows:
        setup = replace(ROWS[name], epochs=args.epochs, meter=True)
        found[name] = train(setup, bench.data(setup, 0)[0], 0).watch.locality
        write_json(FILE, found)
        for epoch, reach, contributors, *old, fresh, fresh_whole in found[name]:
            print(f"{name} after epoch {epoch}: reach {reach:.4f}, effective contributors {contributors:.1f}, ", end="")
            print(
                f"fidelity {old[0]:.3f}, as one batch {old[1]:.3f}; fresh base {fresh:.3f}, {fresh_whole:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
