"""Run rows of the knowledge benchmark; each (row, seed) is one small file, so that a stopped run goes on.

    python benchmarks/knowledge/run.py --scenes runs/knowledge/recorded --seeds 5
    python benchmarks/knowledge/report.py            # tables with paired intervals from what is there

A result keeps the rank of every test query, so that intervals can be taken over clips and seeds afterwards.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import features
import numpy as np
import torch
from loop import Data, Result, Setup, standardised, train

from askaudio.core.files import atomic_path
from askaudio.knowledge.reliability import estimate_reliability

PLAIN = Setup()
ASK = Setup(fine=1.0, coarse=0.5)
HALF = {"reliability": "posterior", "cut": 0.5}
ROWS: dict[str, Setup] = {
    "plain B=24": PLAIN,
    "plain B=8": replace(PLAIN, batch=8, lr=5e-4),
    "plain B=128": replace(PLAIN, batch=128, lr=2e-3, epochs=15),
    "plain B=512": replace(PLAIN, batch=512, lr=3e-3, epochs=20),
    "XBM 2048": replace(PLAIN, memory="xbm"),
    "momentum queue 2048": replace(PLAIN, memory="momentum"),
    "ASK": ASK,
    "ASK, static base": replace(ASK, static=True),
    "ASK, fine only": replace(ASK, coarse=0.0),
    "ASK, coarse only": replace(ASK, fine=0.0, coarse=1.0),
    "ASK, 8 neighbors": replace(ASK, neighbors=8),
    "ASK, random base": replace(ASK, random_base=True),
    "ASK, refresh every 2 epochs": replace(ASK, refresh=2),
    "ASK, refresh every 5 epochs": replace(ASK, refresh=5),
    "ASK, external entries too": replace(ASK, external=True),
    "ASK, reliability, clean": replace(ASK, **HALF),
    "40 %: plain B=24": replace(PLAIN, noise="exchanged", share=0.4),
    "40 %: plain B=512": replace(PLAIN, batch=512, lr=3e-3, epochs=20, noise="exchanged", share=0.4),
    "40 %: ASK, uniform weights": replace(ASK, noise="exchanged", share=0.4),
    "40 %: ASK, reliability": replace(ASK, noise="exchanged", share=0.4, **HALF),
    "20 %: plain B=24": replace(PLAIN, noise="exchanged", share=0.2),
    "20 %: ASK, uniform weights": replace(ASK, noise="exchanged", share=0.2),
    "20 %: ASK, reliability": replace(ASK, noise="exchanged", share=0.2, **HALF),
    "trained tower: plain B=24": replace(PLAIN, tower="cnn"),
    "trained tower: ASK": replace(ASK, tower="cnn"),
}


def exchanged(n: int, share: float, seed: int) -> np.ndarray:
    """Whose captions each clip gets (n,): a share of the clips pass theirs on in a ring, so none keeps its own."""
    rng = np.random.default_rng([seed, 77])
    chosen = rng.choice(n, int(share * n), replace=False)
    text_of = np.arange(n)
    text_of[chosen] = np.roll(chosen, 1)
    return text_of


class Bench:
    """The scenes in memory, and what is estimated on them."""

    def __init__(self, folder: Path) -> None:
        self.parts = {p: features.load(folder, p) for p in ("train", "val", "test", "external")}
        order = ("train", "val", "test", "external")
        texts = standardised(*(self.parts[p].text.reshape(-1, 384) for p in order))
        self.text = {p: t.reshape(-1, 5, 384) for p, t in zip(order, texts, strict=True)}
        frozen = standardised(*(self.parts[p].audio for p in order))
        self.audio = {
            "frozen": dict(zip(order, frozen, strict=True)),
            "cnn": {p: torch.from_numpy(self.parts[p].mel) for p in order},
        }

    def data(self, setup: Setup, seed: int) -> tuple[Data, torch.Tensor | None]:
        """Tensors of one row, with its caption errors, and the reliabilities estimated from them."""
        audio = self.audio[setup.tower]
        n = len(self.parts["train"])
        text_of = exchanged(n, setup.share, seed) if setup.noise == "exchanged" else np.arange(n)
        train_text = self.text["train"][text_of]
        data = Data(
            audio["train"],
            train_text,
            (audio["val"], self.text["val"]),
            (audio["test"], self.text["test"]),
            (audio["external"], self.text["external"]),
        )
        if setup.reliability == "none":
            return data, None
        raw_audio = torch.from_numpy(self.parts["train"].audio)  # the frozen tower's space, also for the trained tower
        raw_text = torch.from_numpy(self.parts["train"].text[text_of]).mean(1)
        return data, estimate_reliability(raw_audio, raw_text, torch.arange(n)).gate(setup.cut)


def keep(result: Result, setup: Setup, name: str, seed: int, target: Path) -> None:
    about = {
        "row": name,
        "seed": seed,
        "setup": asdict(setup),
        "best_epoch": result.best_epoch,
        "val": result.val,
        "drift": result.drift,
        "steps_per_s": result.steps_per_s,
        "refresh_s": result.refresh_s,
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread, torch {torch.__version__}",
    }
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, t2a=result.rank_t2a.astype(np.uint16), a2t=result.rank_a2t.astype(np.uint16), about=json.dumps(about)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/results"))
    parser.add_argument("--rows", nargs="*", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(args.scenes)
    for seed in range(args.seeds):
        for name in args.rows:
            slug = "".join(c if c.isalnum() else "_" for c in name)
            target = args.out / f"{slug}-{seed}.npz"
            if target.exists():
                continue
            data, reliability = bench.data(ROWS[name], seed)
            result = train(ROWS[name], data, seed, reliability)
            keep(result, ROWS[name], name, seed, target)
            print(f"{name:32s} seed {seed}: R@1 {100 * (result.rank_t2a <= 1).mean():.1f}", flush=True)


if __name__ == "__main__":
    main()
