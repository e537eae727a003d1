"""The same small tuning for every row: one value changed at a time, validation scenes only, few epochs, one seed.

    python benchmarks/knowledge/tune.py --rows "plain B=24" ASK      # adds to tuning.json what is not there yet

Each row gets the same trials: its own setting, half and twice its learning rate, a lower and a higher temperature,
more dropout; a memory also with the batch's own loss beside it. ``chosen`` joins the best value of each. Score: T2A
mAP@10 of the best epoch. The static base takes ASK's values, the momentum queue those of XBM.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from loop import Setup, train

from askaudio.core.files import write_json

FILE = Path(__file__).parent / "tuning.json"
SHARE_OF_EPOCHS = 0.4  # of the row's own: a shorter schedule, whole (warm-up and decay included)
LEAST_GAIN = 0.5  # mAP@10 points by which a value must beat the row's own; the noise of one seed is larger still


def trials(setup: Setup) -> dict[str, dict[str, float]]:
    """Name -> changed fields."""
    of_memory = {"with the batch's own loss": {"batch_weight": 1.0}} if setup.memory != "none" else {}
    return {
        "as it is": {},
        **of_memory,
        "lr / 2": {"lr": setup.lr / 2},
        "lr x 2": {"lr": setup.lr * 2},
        "temperature .05": {"temperature": 0.05},
        "temperature .1": {"temperature": 0.1},
        "dropout .4": {"dropout": 0.4},
    }


def chosen(setup: Setup, scores: dict[str, float]) -> dict[str, float]:
    """The best value of each field, where it beats the row's own."""
    best: dict[str, tuple[float, float]] = {}
    for name, changed in trials(setup).items():
        for field, value in changed.items():
            gain = scores.get(name, 0.0) - scores.get("as it is", 100.0)
            if gain >= LEAST_GAIN and gain > best.get(field, (0.0, 0.0))[0]:
                best[field] = (gain, value)
    return {field: value for field, (_, value) in best.items()}


def read() -> dict[str, dict]:
    """What was tuned: row -> {"scores", "chosen", ...}."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def main() -> None:
    from run import UNTUNED, Bench

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--rows", nargs="*", default=["plain B=24", "plain B=512", "XBM 2048", "ASK"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(args.scenes)
    for row in args.rows:
        setup = UNTUNED[row]
        done = read().get(row, {"scores": {}})
        for name, changed in trials(setup).items():
            if name in done["scores"]:
                continue
            short = replace(setup, epochs=max(1, round(SHARE_OF_EPOCHS * setup.epochs)), **changed)
            data, reliability = bench.data(short, seed=0)
            begin = time.thread_time()
            done["scores"][name] = round(100 * max(train(short, data, 0, reliability).val), 2)
            done["chosen"] = chosen(setup, done["scores"])
            write_json(FILE, {**read(), row: done})
            print(f"{row:24s} {name:16s} {done['scores'][name]:.2f}  {time.thread_time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
