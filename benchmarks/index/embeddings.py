"""Real embeddings for the index benchmark: windows of real sounds and of augmented copies of them.

    python benchmarks/index/embeddings.py --manifest ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as.onnx --windows 250000 --rows 1000000 --out /tmp/rows

Every row starts as a one-second window of a recording, resampled (speed 0.8 to 1.25), filtered, made louder or softer,
or mixed with another recording, then goes through the EfficientAT tower: 384 numbers, turned into 512 by a fixed
matrix with orthonormal columns (cosines stay). Encoding a million windows takes some hours on one core; with --windows
below --rows the rest is drawn between an encoded window and one of its 10 nearest (from another recording or not),
which keeps the density and the shape of the real set; the report of ``speed.py`` names both numbers.
Queries are windows of recordings that give no rows (every 20th group), in two kinds: sound (as they are) and text
(the same, moved by a constant gap and blurred until the best cosine is near 0.5, as text-to-audio scores are).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from askaudio.audio.decode import decode
from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import AudioDecodeError
from askaudio.core.functional import normalise_rows
from askaudio.data.manifest import Manifest, read_manifest
from askaudio.models.efficientat import EfficientATFeatures

RATE_HZ = 32_000
DIM = 512
GAP = 0.9  # length of the constant between text and sound, against 1 for the rest
BLUR = 0.6
WINDOW = RATE_HZ


def windows(samples: np.ndarray, other: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """``count`` one-second windows of a recording: the first as they are, later ones augmented."""
    found = []
    for n in range(count):
        start = int(rng.integers(0, max(1, len(samples) - WINDOW)))
        piece = samples[start : start + int(1.25 * WINDOW)]
        if n >= 2:
            speed = rng.uniform(0.8, 1.25)
            piece = np.interp(np.arange(0, len(piece) - 1, speed), np.arange(len(piece)), piece).astype(np.float32)
            if rng.random() < 0.3:  # a soft low-pass
                width = int(rng.integers(2, 9))
                piece = np.convolve(piece, np.full(width, 1 / width, np.float32), "same")
            if rng.random() < 0.3:
                begin = int(rng.integers(0, max(1, len(other) - WINDOW)))
                bed = other[begin : begin + len(piece)]
                piece = piece.copy()
                piece[: len(bed)] += rng.uniform(0.1, 0.7) * bed
            piece = piece * rng.uniform(0.2, 1.0)
        found.append(np.clip(piece[:WINDOW], -1, 1).astype(np.float32))
    return found


def encode(manifest: Manifest, tower: EfficientATFeatures, total: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``total`` windows spread evenly over the recordings -> (total, 384) and the clip number of each."""
    rng = np.random.default_rng(seed)
    each = -(-total // len(manifest))
    rows, clips = [], []
    other = np.zeros(WINDOW, np.float32)
    for number, clip in enumerate(manifest):
        try:
            samples = decode(clip.path, RATE_HZ)
        except AudioDecodeError:
            continue
        rows.append(tower.features(windows(samples, other, each, rng)))
        clips += [number] * each
        other = samples
        if number % 500 == 0:
            print(f"{number} of {len(manifest)} recordings", flush=True)
    return np.concatenate(rows)[:total], np.array(clips)[:total]


def fill(real: np.ndarray, rows: int, rng: np.random.Generator, target: Path) -> None:
    """Write the real rows and more between them and their neighbours -> (rows, D) in ``target``."""
    import faiss

    index = faiss.IndexFlatIP(real.shape[1])
    index.add(real)
    _, near = index.search(real, 11)
    out = np.lib.format.open_memmap(target, "w+", np.float32, (rows, real.shape[1]))
    out[: len(real)] = real[:rows]
    for first in range(len(real), rows, 50_000):
        size = min(50_000, rows - first)
        start = rng.integers(0, len(real), size)
        end = near[start, rng.integers(1, 11, size)]
        share = rng.uniform(0.1, 0.9, (size, 1)).astype(np.float32)
        noise = rng.standard_normal((size, real.shape[1])).astype(np.float32) * (0.1 / real.shape[1] ** 0.5)
        out[first : first + size] = normalise_rows(real[start] * (1 - share) + real[end] * share + noise)
    out.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--windows", type=int, default=250_000)
    parser.add_argument("--recordings", type=int, help="take this many recordings, evenly spread (default: all)")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(args.manifest)
    every = max(1, len(manifest) // (args.recordings or len(manifest)))
    manifest = manifest.where(n % every == 0 for n in range(len(manifest)))
    held = {group for n, group in enumerate(sorted({c.group for c in manifest})) if n % 20 == 0}
    tower = EfficientATFeatures(args.tower, threads=1, front_end=FrontEnd(short="zeros", short_s=1.0))
    rng = np.random.default_rng(0)
    wide = np.linalg.qr(rng.standard_normal((DIM, tower.dim)))[0].T.astype(np.float32)
    real, clips = encode(manifest.where(c.group not in held for c in manifest), tower, args.windows, 0)
    asked, _ = encode(manifest.where(c.group in held for c in manifest), tower, args.queries, 1)
    centre = real.mean(0)  # the tower's outputs share a large constant; a trained projection takes it away
    real, asked = normalise_rows((real - centre) @ wide), normalise_rows((asked - centre) @ wide)
    gap = normalise_rows(rng.standard_normal((1, DIM)))
    blur = normalise_rows(rng.standard_normal(asked.shape)) * BLUR
    fill(real, args.rows, rng, out / "rows.npy")
    np.save(out / "sound_queries.npy", asked)
    np.save(out / "text_queries.npy", normalise_rows(asked + blur + GAP * gap))
    np.save(out / "clips.npy", clips)
    (out / "real.txt").write_text(f"{len(real)}\n")
    print(f"{args.rows} rows ({len(real)} encoded), {len(asked)} queries in {os.fspath(out)}")


if __name__ == "__main__":
    main()
