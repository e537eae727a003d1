"""The same small tuning for every row, on validation scenes only: one value changed at a time, then what helped again.

    python benchmarks/knowledge/tune.py --rows "plain B=24" ASK      # adds to tuning.json what is not there yet

First each row gets the same trials over one seed and 0.4 of its epochs: its own setting, half and twice its learning
rate, a lower and a higher temperature, more dropout; a memory also without the batch's own loss beside it. Whatever
was better there is then trained at full length over three seeds, beside the row's own setting, and taken where its
mean is higher by more than the standard error of the difference. ``chosen`` joins the best value of each field. Score:
T2A mAP@10 of the best epoch. The static base takes ASK's values, the momentum queue those of XBM.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from loop import Setup, train
from run import TUNING, UNTUNED, Bench, read_tuning

from askaudio.core.files import write_json

SHARE_OF_EPOCHS = 0.4  # of the row's own: a shorter schedule, whole (warm-up and decay included)
OWN = "as it is"
SEEDS = (0, 1, 2)  # of the second look


def trials(setup: Setup) -> dict[str, dict[str, float]]:
    """Name -> changed fields."""
    of_memory = {"without the batch's own loss": {"batch_weight": 0.0}} if setup.memory != "none" else {}
    return {
        OWN: {},
        **of_memory,
        "lr / 2": {"lr": setup.lr / 2},
        "lr x 2": {"lr": setup.lr * 2},
        "temperature .05": {"temperature": 0.05},
        "temperature .1": {"temperature": 0.1},
        "dropout .4": {"dropout": 0.4},
    }


def chosen(setup: Setup, confirmed: dict[str, list[float]]) -> dict[str, float]:
    """The best value of each field, where its three runs beat the row's own by more than the standard error."""
    best: dict[str, tuple[float, float]] = {}
    for name, scores in confirmed.items():
        gains = np.subtract(scores, confirmed[OWN])
        gain, error = float(gains.mean()), float(gains.std(ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else 0.0
        for field, value in trials(setup)[name].items():
            if gain > error and gain > best.get(field, (0.0, 0.0))[0]:
                best[field] = (gain, value)
    return {field: value for field, (_, value) in best.items()}


def score(bench: Bench, setup: Setup, seed: int) -> float:
    """T2A mAP@10 of the validation scenes at the best epoch, in percent."""
    data, reliability = bench.data(setup, seed)
    return round(100 * max(train(setup, data, seed, reliability).val), 2)


def tune(bench: Bench, row: str, setup: Setup) -> None:
    """Both looks at one row; what is in the file already is not done again."""
    done = {"scores": {}, "confirmed": {}, **read_tuning().get(row, {})}
    short = max(1, round(SHARE_OF_EPOCHS * setup.epochs))
    for name, changed in trials(setup).items():
        if name not in done["scores"]:
            done["scores"][name] = score(bench, replace(setup, epochs=short, **changed), 0)
            print(f"{row:24s} {name:28s} {done['scores'][name]:.2f}", flush=True)
            write_json(TUNING, {**read_tuning(), row: done})
    for name, changed in trials(setup).items():
        if (name != OWN and done["scores"][name] <= done["scores"][OWN]) or name in done["confirmed"]:
            continue
        done["confirmed"][name] = [score(bench, replace(setup, **changed), seed) for seed in SEEDS]
        print(f"{row:24s} {name:28s} {done['confirmed'][name]} at full length", flush=True)
        done["chosen"] = chosen(setup, done["confirmed"])
        write_json(TUNING, {**read_tuning(), row: done})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--rows", nargs="*", default=["plain B=24", "plain B=512", "XBM 2048", "ASK"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(args.scenes)
    for row in args.rows:
        tune(bench, row, UNTUNED[row])


if __name__ == "__main__":
    main()
