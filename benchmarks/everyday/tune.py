"""Measure what search should know about a model, and write it as ``search.json`` into the model's folder.

    python benchmarks/everyday/tune.py --models small efficientat     # a minute for each; needs mixtures.py

Everything is chosen on the validation recordings (``gallery.py``), none of which the models were trained on.

- **Hubs**: the direction of hubness for texts (mean of the K largest cosines of 600 training clips with a bank of 2,000
  AudioCaps training captions, MIT licence) and for sounds (with the training clips themselves). The share is the one
  with the best R@10 of sentences about mixtures, and the best precision@5 of sounds as queries; 0 leaves it out.
- **Match**: a logistic function of z, cosine and spread, fitted on the first five hits of the everyday queries and of
  titles, in the whole gallery and in each pack alone, so that backgrounds differ.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gallery import gallery, queries, relevance
from mixtures import mixtures
from vectors import Encoded, encoded, group_of, source_of, split_of

from askaudio.core.files import atomic_path
from askaudio.encoders.load import load
from askaudio.encoders.onnx import OnnxEncoder
from askaudio.encoders.tuning import TUNING_FILE
from askaudio.search.ranking import background_of

CAPTIONS = Path("../shared/data/captions/audiocaps/v1/train.csv")
BANK, K, RIDGE = 2000, 16, 0.1
SHARES = (0.0, 0.125, 0.25, 0.375, 0.5)
LEAST_WORDS = 5
TITLES, FIRST = 150, 5
ABSENT = 0.3  # weight of a query of which the gallery holds nothing, against one of which it holds something


# --- hubs -------------------------------------------------------------------------------------------------------
def direction(vectors: np.ndarray, bank: np.ndarray, k: int = K) -> np.ndarray:
    """``w`` (D,) such that w . v + constant is nearest to the mean of the k largest cosines of v with the bank."""
    hubness = np.sort(vectors @ bank.T, axis=1)[:, -k:].mean(axis=1)
    a, b = vectors - vectors.mean(0), hubness - hubness.mean()
    return np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), a.T @ b)


def sentence_recall(encoder: OnnxEncoder, w: np.ndarray, share: float, half: str = "val") -> np.ndarray:
    """(Q,) whether the mixture of a sentence is among the first ten."""
    some = mixtures(encoder, half)
    scores = (encoder.encode_text(some.sentences) - share * w) @ some.vectors.T
    own = scores[np.arange(len(scores)), np.tile(np.arange(len(some.vectors)), 2)]
    return (scores > own[:, None]).sum(1) < 10


@dataclass(frozen=True)
class SoundQueries:
    """Clips of a gallery as queries: pooled vectors (N, D), and which (N, N) are right or from the same recording."""

    pooled: np.ndarray
    right: np.ndarray
    same: np.ndarray

    @classmethod
    def of(cls, some: Encoded) -> SoundQueries:
        sums = np.zeros((len(some.clips), some.vectors.shape[1]))
        np.add.at(sums, some.owner, some.vectors)
        groups = np.array([group_of(clip) for clip in some.clips])
        # labels of debian name a folder, not a sound: two of its clips are alike only if their titles are
        names = [c.label if source_of(c) in ("kitchen20", "urbansound8k") else c.captions[0].text for c in some.clips]
        words = np.array(names)
        same = groups[:, None] == groups[None]
        right = (words[:, None] == words[None]) & ~same
        return cls((sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32), right, same)


def by_clip(scores: np.ndarray, some: Encoded) -> np.ndarray:
    """(Q, N) score of each clip: its best window, from the scores (Q, W) of windows."""
    found = np.full((len(scores), len(some.clips)), -9.0, np.float32)
    np.maximum.at(found.T, some.owner, scores.T)
    return found


def sound_precision(some: Encoded, asked: SoundQueries, w: np.ndarray, share: float) -> float:
    """Precision@5 of sounds as queries, of those that have at least two right clips."""
    scores = by_clip((asked.pooled - share * w) @ some.vectors.T, some)
    scores[asked.same] = -9
    best = np.argsort(-scores, axis=1, kind="stable")[:, :FIRST]
    enough = np.flatnonzero(asked.right.sum(1) >= 2)
    return float(np.mean([asked.right[i, best[i, : min(FIRST, asked.right[i].sum())]].mean() for i in enough]))


def hub_corrections(encoder: OnnxEncoder, everything: Encoded, val: Encoded) -> dict:
    """Rows of ``hubs`` in search.json."""
    train = everything.where(split_of(everything.clips) == "train").vectors
    with CAPTIONS.open(newline="", encoding="utf-8") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    texts = np.random.default_rng(0).permutation(captions)[:BANK].tolist()
    found = {}
    w = direction(train, encoder.encode_text(texts))
    figures = {share: float(sentence_recall(encoder, w, share).mean()) for share in SHARES}
    print("sentences R@10 by share:", {k: round(v, 4) for k, v in figures.items()})
    if share := max(SHARES, key=lambda s: (figures[s], -s)):
        found["text"] = {"least_words": LEAST_WORDS, "taken": np.round(share * w, 5).tolist()}
    asked = SoundQueries.of(val)
    w = direction(train, train)
    figures = {share: sound_precision(val, asked, w, share) for share in SHARES}
    print("sounds precision@5 by share:", {k: round(v, 4) for k, v in figures.items()})
    if share := max(SHARES, key=lambda s: (figures[s], -s)):
        found["sound"] = {"least_words": 0, "taken": np.round(share * w, 5).tolist()}
    return found


# --- match ------------------------------------------------------------------------------------------------------
def features(vectors: np.ndarray, right: np.ndarray, some: Encoded, least: int, not_these: np.ndarray | None = None):
    """Rows (z, cosine, spread), whether right, and the weight, of the first hits of queries (Q, D)."""
    scores = vectors @ some.vectors.T
    clips = by_clip(scores, some)
    if not_these is not None:
        clips[not_these] = -9
    rows, truth, weight = [], [], []
    for query, own, is_right in zip(vectors, clips, right, strict=True):
        background = background_of(query, some.vectors)
        known = 1.0 if is_right.sum() >= least else ABSENT if not is_right.any() else 0.0
        for clip in np.argsort(-own, kind="stable")[:FIRST]:
            rows.append((background.z(own[clip]), own[clip], background.spread))
            truth.append(is_right[clip])
            weight.append(known)
    return np.array(rows, float), np.array(truth, float), np.array(weight)


def packs(some: Encoded) -> list[Encoded]:
    """A gallery, and its packs alone."""
    source = np.array([source_of(clip) for clip in some.clips])
    return [some, *(some.where(source == name) for name in ("kitchen20", "debian", "urbansound8k"))]


def text_features(encoder: OnnxEncoder, some: Encoded):
    """Features of the everyday queries and of some titles."""
    rows = queries()
    titles = sorted({c.captions[0].text for c in some.clips if c.captions and len(c.captions[0].text) > 2})
    titles = np.random.default_rng(0).permutation(titles)[:TITLES].tolist()
    own = np.array([c.captions[0].text if c.captions else "" for c in some.clips])
    right = np.concatenate([relevance(rows, some.clips), np.array([own == title for title in titles])])
    return features(encoder.encode_text([r["query"] for r in rows] + titles), right, some, 2)


def fit(parts: list) -> dict[str, float]:
    """The logistic function with the largest likelihood, by Newton's method."""
    x, y, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    a = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    b = np.zeros(a.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-a @ b))
        hessian = (a * (weight * p * (1 - p))[:, None]).T @ a + 1e-3 * np.eye(len(b))
        b += np.linalg.solve(hessian, a.T @ (weight * (y - p)) - 1e-3 * b)
    return dict(zip(("bias", "z", "cosine", "spread"), np.round(b, 4).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small", "efficientat"], help="names or encoder folders")
    args = parser.parse_args()
    for name in args.models:
        encoder = load(name)
        everything = encoded(encoder)
        val = gallery(everything, "val")
        hubs = hub_corrections(encoder, everything, val)
        sounds = [(part, SoundQueries.of(part)) for part in packs(val)]
        match = {
            "text": fit([text_features(encoder, part) for part in packs(val)]),
            "sound": fit([features(asked.pooled, asked.right, part, 2, asked.same) for part, asked in sounds]),
        }
        print(name, match)
        content = {"fingerprint": encoder.fingerprint, "match": match, "hubs": hubs}
        with atomic_path(Path(encoder.folder) / TUNING_FILE) as temporary:
            temporary.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
