"""Train the student's own audio projection on titles, starting from the copy that ``audio_fine_tuning`` made.

    python -m reproduce.small.audio_features --corpus runs/small/corpus --tower runs/small/finish
    python -m reproduce.small.audio_features --manifest ../shared/data/sounds/manifest.jsonl --tower runs/small/finish
    python -m reproduce.small.paired_mixtures --tower runs/small/finish
    python -m reproduce.small.audio_head --share SHARE

The text projection is frozen, because ``efficientat`` shares it. Use the result (``runs/small/own_head``, seed 0) only
when its mean over validation titles and held-out mixtures, averaged over seeds, is above that of the copy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from askaudio.core.files import read_json, write_json
from askaudio.models.bridge import BridgeAudioProjection, BridgeTextProjection

from .alignment import (
    EPOCHS,
    RANKING_TEXTS,
    BridgeRanking,
    Joined,
    Mixtures,
    Texts,
    fit,
    load_sounds,
    read_head,
    save_head,
    table,
)

RUNS = Path("runs/small")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, required=True, help="of the bridge, as alignment.py chose it")
    parser.add_argument("--sounds", type=Path, default=Path("../shared/data/sounds/manifest.jsonl"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    features = RUNS / "features"
    everything = load_sounds(
        [features / "finish.npz", features / "finish_corpus.npz"], args.sounds, RUNS / "gathered/manifest.jsonl"
    )
    train = everything.where(everything.split == "train")
    sets = {name: everything.where(everything.split == name) for name in ("val", "test", "street")}
    texts = Texts(RUNS / "text")
    mixtures = Mixtures.read(RUNS / "held_out/mixtures.npz", "finish")
    joined = Joined.read(features / "joined_finish.npz", texts)
    some_texts = texts(
        np.random.default_rng(0).permutation(read_json(RUNS / "texts/texts.json"))[:RANKING_TEXTS].tolist()
    )
    text = read_head(RUNS / "heads/mn04_as", "text", BridgeTextProjection, args.share).requires_grad_(False)

    def judged(audio: BridgeAudioProjection) -> dict[str, float]:
        return table(audio, text, sets, texts) | {"mixtures": round(mixtures.recall(audio, text, texts), 4)}

    def copy() -> BridgeAudioProjection:
        return read_head(RUNS / "finish/heads", "audio", BridgeAudioProjection, args.share)

    rows = {"copy": [judged(copy())], "own": []}
    print(rows["copy"][0], flush=True)
    for seed in range(args.seeds):
        audio = copy()
        fit(train, texts, audio, text, seed, args.epochs, BridgeRanking(train, some_texts, audio, text), joined)
        rows["own"].append(judged(audio))
        print(rows["own"][-1], flush=True)
        if seed == 0:
            save_head(RUNS / "own_head", "audio", audio)
    means = {name: float(np.mean([row["val"] + row["mixtures"] for row in some])) / 2 for name, some in rows.items()}
    print("mean of val and mixtures:", means, "keep" if means["own"] > means["copy"] else "do not keep")
    write_json(RUNS / "own_head.json", rows)


if __name__ == "__main__":
    main()
