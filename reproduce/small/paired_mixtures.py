"""Build training mixtures of two titled sounds, with sentences that join their titles; about a minute.

    python -m reproduce.small.paired_mixtures --tower ../shared/models/efficientat_mn04/mn04_as.onnx

Titles name one thing, while queries often describe several. Only clips of ``sounds/`` in the corpus are used (training
groups, titles written by people). Written to ``runs/small/features/joined_TOWER.npz``: the tower's embedding (n, 384)
and class logits (n, 527), the sentences, and both titles.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from askaudio.core.files import atomic_path

from .audio_features import open_tower
from .corpus import Corpus, open_corpus, rows_of
from .mixing import decibel, energy, to_log_mel

SETS = ("debian", "kitchen20", "moodist")
JOINS = ("{} and {}", "{} then {}", "{}, {}", "{} while {}", "{} with {}", "{} followed by {}")
MIXTURES, FRAMES, BATCH = 6000, 1000, 16


def takes_of_titles(folder: Path, corpus: Corpus) -> dict[str, list[int]]:
    """Title -> its clips."""
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows_of(folder, corpus)):
        if row["id"].split("/")[0] in SETS and row["text"].strip():
            found.setdefault(row["text"].lower(), []).append(number)
    return dict(sorted(found.items()))


def both(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Log-mel (128, FRAMES) of two clips (T, 128), equally loud to 6 dB, the second often later."""
    powers = [energy(clip[:FRAMES]) for clip in (first, second)]
    loud = [power.mean() for power in powers]
    canvas = np.zeros((FRAMES, powers[0].shape[1]), np.float32)
    canvas[: len(powers[0])] = powers[0] / max(loud[0], 1e-6)
    start = int(rng.integers(0, max(1, FRAMES - len(powers[1])))) if rng.random() < 0.7 else 0
    canvas[start : start + len(powers[1])] += powers[1] / max(loud[1], 1e-6) * decibel(rng.uniform(-6, 6))
    return np.ascontiguousarray(to_log_mel(canvas * np.float32(np.mean(loud))).T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tower", type=Path, required=True, help="as for audio_features.py")
    parser.add_argument("--corpus", type=Path, default=Path("runs/small/corpus"))
    parser.add_argument("--features", type=Path, default=Path("runs/small/features"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    corpus, rng, encode_mel = open_corpus(args.corpus), np.random.default_rng([args.seed, 2]), open_tower(args.tower)
    takes = takes_of_titles(args.corpus, corpus)
    titles = list(takes)
    often = np.array([len(takes[title]) ** 0.5 for title in titles])
    pairs = [rng.choice(titles, 2, replace=False, p=often / often.sum()).tolist() for _ in range(MIXTURES)]
    answers = []
    for first in range(0, MIXTURES, BATCH):
        some = [[int(rng.choice(takes[title])) for title in pair] for pair in pairs[first : first + BATCH]]
        answers.append(encode_mel(np.stack([both(corpus.clip(a), corpus.clip(b), rng) for a, b in some])))
    sentences = [JOINS[int(rng.integers(len(JOINS)))].format(*pair) for pair in pairs]
    target = args.features / f"joined_{args.tower.stem}.npz"
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez(
            file, embedding=np.concatenate([a for a, _ in answers]), sentences=json.dumps(sentences),
            logits=np.concatenate([b for _, b in answers]).astype(np.float16), titles=json.dumps(pairs),
        )  # fmt: skip
    print(f"{target}: {MIXTURES} mixtures of {len(titles)} titles")


if __name__ == "__main__":
    main()
