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

import errors
import features
import numpy as np
import torch
from loop import Data, Result, Setup, standardised, train

from askaudio.core.files import atomic_path
from askaudio.knowledge.reliability.estimate import estimate_reliability

TUNING = Path(__file__).parent / "tuning.json"
PLAIN = Setup()
ASK = Setup(fine=1.0, coarse=0.5, early=16, every=8)
HALF = {"reliability": "posterior", "cut": 0.5}
UNTUNED: dict[str, Setup] = {
    "plain B=24": PLAIN,
    "plain B=512": replace(PLAIN, batch=512, lr=3e-3, epochs=20),
    "ASK": ASK,
    "ASK, static base": replace(ASK, static=True),
    "XBM 2048": replace(PLAIN, memory="xbm"),
    "momentum queue 2048": replace(PLAIN, memory="momentum"),
}


def read_tuning() -> dict[str, dict]:
    """What tune.py chose: row -> {"scores", "confirmed", "chosen"}."""
    return json.loads(TUNING.read_text()) if TUNING.exists() else {}


def tuned_rows() -> dict[str, Setup]:
    """Every row: the tuned ones as tune.py chose on validation scenes, the others as the row they are made of."""
    tried = read_tuning()
    own = {name: replace(s, **tried.get(name, {}).get("chosen", {})) for name, s in UNTUNED.items()}
    own["ASK, static base"] = replace(own["ASK"], static=True)
    own["momentum queue 2048"] = replace(own["XBM 2048"], memory="momentum")
    plain, large, ask = own["plain B=24"], own["plain B=512"], own["ASK"]
    rows = {
        **own,
        "plain B=8": replace(plain, batch=8, lr=plain.lr / 2),
        "plain B=128": replace(large, batch=128, lr=2e-3, epochs=15),
        "plain B=512, 10 epochs": replace(large, epochs=10),
        "plain B=24, 20 epochs": replace(plain, epochs=20),
        "ASK, 20 epochs": replace(ask, epochs=20),
        "ASK, the whole base at each step": replace(ask, every=0),
        "ASK, one in 32 at each step": replace(ask, every=32),
        "ASK, first refresh after an epoch": replace(ask, early=0),
        "ASK, fine only": replace(ask, coarse=0.0),
        "ASK, coarse only": replace(ask, fine=0.0, coarse=1.0),
        "ASK, 8 neighbors": replace(ask, neighbors=8),
        "ASK, random base": replace(ask, random_base=True),
        "ASK, refresh 4 times an epoch": replace(ask, refresh=0.25),
        "ASK, refresh every 2 epochs": replace(ask, refresh=2),
        "ASK, refresh every 5 epochs": replace(ask, refresh=5),
        "ASK, external entries too": replace(ask, external=True),
        "ASK, reliability, clean": replace(ask, **HALF),
        "ASK, blend": replace(plain, inject="blend", neighbors=8),
        "text-similarity soft labels": replace(plain, labels="text_similarity"),
        "offline soft targets": replace(plain, labels="offline"),
        "trained tower: plain B=24": replace(plain, tower="cnn"),
        "ASK, without the batch's own loss": replace(ask, batch_weight=0.0),
        "trained tower: ASK": replace(ask, tower="cnn"),
    }
    for share in (20, 40):
        wrong = {"noise": "exchanged", "share": share / 100}
        rows[f"{share} %: plain B=24"] = replace(plain, **wrong)
        rows[f"{share} %: plain B=512"] = replace(large, **wrong)
        rows[f"{share} %: ASK, uniform weights"] = replace(ask, **wrong)
        rows[f"{share} %: ASK, reliability"] = replace(ask, **wrong, **HALF)
    rows["trained tower, 40 %: plain B=24"] = replace(plain, tower="cnn", **wrong)
    rows["trained tower, 40 %: ASK, reliability"] = replace(ask, tower="cnn", **wrong, **HALF)
    for kind in ("similar", "left out", "wrong"):
        rows[f"40 % {kind}: plain B=24"] = replace(plain, noise=kind, share=0.4)
        rows[f"40 % {kind}: ASK, reliability"] = replace(ask, noise=kind, share=0.4, **HALF)
    return rows


ROWS = tuned_rows()


class Bench:
    """The scenes in memory, and what is estimated on them."""

    def __init__(self, folder: Path) -> None:
        order = [p for p in ("train", "val", "test", "external") if (folder / f"{p}.npz").exists()]
        self.parts = {p: features.load(folder, p) for p in order}
        raw = [self.parts[p].text for p in order]
        texts = standardised(*(t.reshape(-1, t.shape[-1]) for t in raw))
        self.text = {p: x.view(t.shape) for p, x, t in zip(order, texts, raw, strict=True)}
        frozen = standardised(*(self.parts[p].audio for p in order))
        self.audio = {
            "frozen": dict(zip(order, frozen, strict=True)),
            "cnn": {p: torch.from_numpy(self.parts[p].mel) for p in order},
        }

    def data(self, setup: Setup, seed: int) -> tuple[Data, torch.Tensor | None]:
        """Tensors of one row, with its caption errors, and the reliabilities estimated from them."""
        audio, train = self.audio[setup.tower], self.parts["train"]
        text_of = np.arange(len(train))
        if setup.noise != "none":
            text_of = errors.givers(train.labels, setup.noise, setup.share, seed)
        data = Data(
            audio["train"],
            self.text["train"][text_of],
            torch.from_numpy(train.text[text_of]),
            (audio["val"], self.text["val"]),
            (audio["test"], self.text["test"]),
            (audio["external"], self.text["external"]) if "external" in audio else None,
        )
        if setup.reliability == "none":
            return data, None
        raw_audio = torch.from_numpy(train.audio)  # the frozen tower's space, also for the trained tower
        estimate = estimate_reliability(raw_audio, data.sentences.mean(1), torch.arange(len(train)))
        return data, estimate.gate(setup.cut)


def keep(result: Result, setup: Setup, name: str, seed: int, target: Path) -> None:
    about = {
        "row": name,
        "seed": seed,
        "setup": asdict(setup),
        "best_epoch": result.best_epoch,
        "val": result.val,
        "drift": result.watch.drift,
        "refreshed_at": result.watch.refreshed_at,
        "steps_per_s": result.steps_per_s,
        "refresh_s": result.watch.refresh_s / max(1, len(result.watch.drift)),
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread, torch {torch.__version__}",
    }
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, t2a=result.rank_t2a.astype(np.uint16), a2t=result.rank_a2t.astype(np.uint16), about=json.dumps(about)
        )


def slug(name: str, seed: int) -> str:
    """File name of a result."""
    return f"{''.join(c if c.isalnum() else '_' for c in name)}-{seed}.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/results"))
    parser.add_argument("--rows", nargs="*", default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(args.scenes)
    for name in args.rows:
        for seed in args.seeds:
            target = args.out / slug(name, seed)
            if target.exists():
                continue
            data, reliability = bench.data(ROWS[name], seed)
            result = train(ROWS[name], data, seed, reliability)
            keep(result, ROWS[name], name, seed, target)
            print(f"{name:32s} seed {seed}: R@1 {100 * (result.rank_t2a <= 1).mean():.1f}", flush=True)


if __name__ == "__main__":
    main()
