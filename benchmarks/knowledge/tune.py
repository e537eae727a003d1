"""Tune four rows of the benchmark in the same way, on validation scenes only, one recipe key at a time.

    python benchmarks/knowledge/tune.py --rows "plain B=24" ASK      # adds to tuning.json what is missing

Each row gets the same trials with one seed and 0.4 of its epochs: half and twice its learning rate, a lower and a
higher temperature, more dropout. Every trial that beats the row's own setting is trained at full length with three
seeds, beside the row's own setting, and is chosen if its mean is higher by more than the standard error of the
difference. ``chosen`` joins the best value of each key. Score: T2A mAP@10 of the best epoch. The static base takes
ASK's values, the momentum queue those of XBM. Half an hour a row.

The values in tuning.json were measured with an earlier training loop of this benchmark (see earlier/).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from setups import TUNING, UNTUNED, Setup, read_tuning

from askaudio.core.files import write_json
from scenes import Scenes
from training import train

SHARE_OF_EPOCHS = 0.4  # a shorter schedule with its own warm-up and decay
OWN = "as it is"
SEEDS = (0, 1, 2)  # of the confirmation


def trials(setup: Setup) -> dict[str, str]:
    """Name -> changed key."""
    lr = setup.recipe(0).train.lr
    return {
        OWN: "",
        "lr / 2": f"train.lr={lr / 2}",
        "lr x 2": f"train.lr={lr * 2}",
        "temperature .05": "loss.temperature=0.05",
        "temperature .1": "loss.temperature=0.1",
        "dropout .4": "model.dropout=0.4",
    }


def chosen(setup: Setup, confirmed: dict[str, list[float]]) -> dict[str, float]:
    """The best value of each key, where its three runs beat the row's own by more than the standard error."""
    best: dict[str, tuple[float, float]] = {}
    for name, scores in confirmed.items():
        gains = np.subtract(scores, confirmed[OWN])
        gain, error = float(gains.mean()), float(gains.std(ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else 0.0
        key, _, value = trials(setup)[name].partition("=")
        if key and gain > error and gain > best.get(key, (0.0, 0.0))[0]:
            best[key] = (gain, float(value))
    return {key: value for key, (_, value) in best.items()}


def score(scenes: Scenes, setup: Setup, seed: int) -> float:
    """T2A mAP@10 of the validation scenes at the best epoch, in percent."""
    return round(100 * max(train(setup, scenes, seed).val), 2)


def tune(scenes: Scenes, row: str, setup: Setup) -> None:
    """Trials and confirmations of one row; those in the file are not repeated."""
    done = {"scores": {}, "confirmed": {}, **read_tuning().get(row, {})}
    epochs = max(1, round(SHARE_OF_EPOCHS * setup.recipe(0).train.epochs))
    for name, key in trials(setup).items():
        if name not in done["scores"]:
            done["scores"][name] = score(scenes, setup + f"train.epochs={epochs} {key}", 0)
            print(f"{row:24s} {name:28s} {done['scores'][name]:.2f}", flush=True)
            write_json(TUNING, {**read_tuning(), row: done})
    for name, key in trials(setup).items():
        if (name != OWN and done["scores"][name] <= done["scores"][OWN]) or name in done["confirmed"]:
            continue
        done["confirmed"][name] = [score(scenes, setup + key, seed) for seed in SEEDS]
        print(f"{row:24s} {name:28s} {done['confirmed'][name]} at full length", flush=True)
        done["chosen"] = chosen(setup, done["confirmed"])
        write_json(TUNING, {**read_tuning(), row: done})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--rows", nargs="*", default=list(UNTUNED))
    args = parser.parse_args()
    torch.set_num_threads(1)
    scenes = Scenes(args.scenes)
    for row in args.rows:
        tune(scenes, row, UNTUNED[row])


if __name__ == "__main__":
    main()
