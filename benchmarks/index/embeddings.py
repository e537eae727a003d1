"""Make the embeddings of the index benchmark: real recordings and texts through a trained dual encoder, D = 512.

    python benchmarks/index/embeddings.py --encoder ENCODER --out /tmp/rows          # five CPU-minutes

Needs the manifest of real sounds in ``../shared``. The rows are of three kinds:

1. encoded: one-second windows of real recordings (without padding: an encoder of ten-second windows would spend its
   time on silence), through the audio tower and its trained projection;
2. encoded: an altered copy of each of these windows (other speed, a soft low-pass, another recording mixed in, gain);
3. sampled, the rest: an encoded window plus the change that step 2 measured on a window of another recording. Copies
   are therefore distributed around their originals as altered recordings are, not as isotropic noise.

Windows of a recording are consecutive, as ingestion writes them. Queries are texts of the manifest through the text
tower (with the modality gap of the model), and windows of recordings that contribute no rows (every 20th group).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from askaudio.audio.decode import decode
from askaudio.core.errors import AudioDecodeError
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray
from askaudio.data.manifest import Manifest, read_manifest
from askaudio.encoders.onnx import OnnxEncoder


def seconds_of(samples: FloatArray, rate_hz: int) -> list[FloatArray]:
    """One-second windows of a recording (S,), the last one moved back to its end; a shorter one as it is."""
    starts = list(range(0, max(1, len(samples) - rate_hz + 1), rate_hz))
    if len(samples) - (starts[-1] + rate_hz) > rate_hz // 4:
        starts.append(len(samples) - rate_hz)
    return [samples[start : start + rate_hz] for start in starts]


def altered(piece: FloatArray, other: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A copy of a window at another speed and loudness, sometimes dull, sometimes with another sound under it."""
    speed = rng.uniform(0.85, 1.18)
    piece = np.interp(np.arange(0, len(piece) - 1, speed), np.arange(len(piece)), piece).astype(np.float32)
    if rng.random() < 0.4:
        width = int(rng.integers(2, 9))
        piece = np.convolve(piece, np.full(width, 1 / width, np.float32), "same")
    if rng.random() < 0.4:
        bed = np.resize(other, len(piece))
        piece = piece + rng.uniform(0.05, 0.5) * bed
    return np.clip(rng.uniform(0.2, 1.0) * piece, -1, 1).astype(np.float32)


def encode(manifest: Manifest, encoder: OnnxEncoder, seed: int) -> tuple[FloatArray, FloatArray]:
    """Windows of all recordings (M, D), and what alteration adds to each of them (M, D)."""
    rng = np.random.default_rng(seed)
    plain, changed = [], []
    other = np.zeros(1, np.float32)
    for number, clip in enumerate(manifest):
        try:
            pieces = seconds_of(decode(clip.path, encoder.sample_rate_hz), encoder.sample_rate_hz)
        except AudioDecodeError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        plain.append(encoder.encode_audio(pieces))
        changed.append(encoder.encode_audio([altered(p, other, rng) for p in pieces]))
        other = pieces[0]
        if number % 500 == 0:
            print(f"{number} of {len(manifest)} recordings", file=sys.stderr, flush=True)
    found = np.concatenate(plain)
    return found, np.concatenate(changed) - found


def write_rows(windows: FloatArray, changes: FloatArray, rows: int, target: Path, seed: int) -> int:
    """Fill (rows, D) block by block: windows, their altered copies, then windows with changes of others -> encoded."""
    rng = np.random.default_rng(seed)
    size = len(windows)
    out = np.lib.format.open_memmap(target, "w+", np.float32, (rows, windows.shape[1]))
    for number, start in enumerate(range(0, rows, size)):
        if number < 2:
            block = windows + number * changes
        else:
            block = windows + np.roll(changes, int(rng.integers(1, size)), axis=0)
        out[start : start + size] = normalise_rows(block)[: rows - start]
    out.flush()
    return min(rows, 2 * size)


def texts_of(manifest: Manifest, count: int, seed: int) -> Sequence[str]:
    """Distinct texts of the manifest in a fixed random order."""
    texts = sorted({caption.text for clip in manifest for caption in clip.captions})
    order = np.random.default_rng(seed).permutation(len(texts))[:count]
    return [texts[i] for i in order]


def make(manifest_path: Path, encoder_path: Path, recordings: int, rows: int, out: Path) -> None:
    """Write rows.npy, text_queries.npy, sound_queries.npy, texts.json and made.json into ``out``."""
    encoder = OnnxEncoder(encoder_path, threads=1)
    encoder.front_end = replace(encoder.front_end, short="keep")
    manifest = read_manifest(manifest_path)
    taken = set(np.linspace(0, len(manifest) - 1, min(recordings, len(manifest))).astype(int).tolist())
    manifest = manifest.where(n in taken for n in range(len(manifest)))
    held = {group for n, group in enumerate(sorted({c.group for c in manifest})) if n % 20 == 0}
    out.mkdir(parents=True, exist_ok=True)
    windows, changes = encode(manifest.where(c.group not in held for c in manifest), encoder, seed=0)
    asked, _ = encode(manifest.where(c.group in held for c in manifest), encoder, seed=1)
    texts = texts_of(manifest, 2000, seed=0)
    np.save(out / "sound_queries.npy", asked[np.random.default_rng(0).permutation(len(asked))[:2000]])
    np.save(out / "text_queries.npy", encoder.encode_text(texts))
    (out / "texts.json").write_text(json.dumps(texts))
    encoded = write_rows(windows, changes, rows, out / "rows.npy", seed=0)
    made = {
        "rows": rows,
        "encoded": encoded,
        "recordings": len(manifest),
        "encoder": str(encoder_path.resolve()),
        "change_length": round(float(np.median(np.linalg.norm(changes, axis=1))), 3),
    }
    (out / "made.json").write_text(json.dumps(made) + "\n")  # last: what has it is whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that ``speed.py`` shares."""
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data/sounds/manifest.jsonl"))
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder of 512 numbers")
    parser.add_argument("--recordings", type=int, default=3900, help="evenly spread (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    make(args.manifest, args.encoder, args.recordings, args.rows, args.out)
    print((args.out / "made.json").read_text(), end="")


if __name__ == "__main__":
    main()
