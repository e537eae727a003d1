"""Measure the shipped encoders on held-out recordings: the figures of the model cards.

    python -m reproduce.small.evaluate --models small efficientat

Each encoder decodes and encodes real files as search does. Titles: the test groups of ``sounds/`` without urbansound8k;
each distinct title is a query, and every test clip with that title is relevant. Labels: urbansound8k clips, zero-shot
over ten labels, never trained on. Both with 95 % intervals over recordings. Speed: one thread, after decoding.
Writes ``reproduce/small/results.json``. Four minutes of one core for each encoder.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import time
from pathlib import Path

import numpy as np

from askaudio.cli.output import progress_bar
from askaudio.core.files import read_json, write_json
from askaudio.data.manifest import Clip, read_manifest, split_by_group
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load
from askaudio.encoders.recording import encode_recording
from askaudio.evaluation.significance import bootstrap, interval, unit_rows

RESULTS = Path(__file__).with_name("results.json")
STREET_CLIPS_A_LABEL = 80
LONGEST_S = 30.0


def encode_all(encoder: Encoder, clips: list[Clip], title: str) -> list[np.ndarray]:
    """Vectors (windows, D) of each clip."""
    with progress_bar(title, "clips") as progress:
        vectors = []
        for clip in clips:
            vectors.append(encode_recording(encoder, clip.path, LONGEST_S).vectors)
            progress(len(vectors), len(clips))
    return vectors


def figure(values: list[float], groups: list[str]) -> dict[str, float]:
    """Mean and 95 % interval over recordings."""
    low, high = interval(bootstrap([values], unit_rows(groups))[:, 0])
    return {"value": round(float(np.mean(values)), 4), "low": round(low, 4), "high": round(high, 4), "n": len(values)}


def titles(encoder: Encoder, clips: list[Clip], audio: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """R@1, R@10 of distinct titles; a clip scores as its best window."""
    names = sorted({clip.captions[0].text for clip in clips})
    queries = encoder.encode_text(names)
    scores = np.stack([(queries @ vectors.T).max(1) for vectors in audio], 1)  # (titles, clips)
    own = np.array([clip.captions[0].text for clip in clips])
    best = np.argsort(-scores, axis=1, kind="stable")
    hit = own[best] == np.array(names)[:, None]
    groups = [clips[int(np.flatnonzero(own == name)[0])].group for name in names]
    return {f"R@{k}": figure(hit[:, :k].any(1).astype(float).tolist(), groups) for k in (1, 10)}


def labels(encoder: Encoder, clips: list[Clip], audio: list[np.ndarray]) -> dict[str, float]:
    """Share of clips whose nearest label text is their own."""
    names = sorted({clip.label for clip in clips})
    texts = encoder.encode_text(names)
    right = [
        float(names[int((texts @ vectors.T).max(1).argmax())] == clip.label)
        for clip, vectors in zip(clips, audio, strict=True)
    ]
    return figure(right, [clip.group for clip in clips])


def speed(encoder: Encoder) -> dict[str, float]:
    """Median times: seconds of sound a second of one thread (10 s windows, decoded), milliseconds of a query."""
    rng = np.random.default_rng(0)
    wave = (0.1 * rng.standard_normal(int(10 * encoder.sample_rate_hz))).astype(np.float32)
    spent: list[float] = []
    for turn in range(12):
        began = time.thread_time()
        encoder.encode_audio([wave])
        if turn >= 2:
            spent.append(time.thread_time() - began)
    asked = []
    for turn in range(40):
        began = time.thread_time()
        encoder.encode_text([f"a metal door slams in hall number {turn}"])
        asked.append(time.thread_time() - began)
    return {"x_real_time": round(10 / float(np.median(spent))), "query_ms": round(1000 * float(np.median(asked)), 2)}


def street(clips: list[Clip], a_label: int) -> list[Clip]:
    """At most ``a_label`` clips of each label, spread over recordings."""
    rng = np.random.default_rng(0)
    found = []
    for label in sorted({clip.label for clip in clips}):
        mine = [clip for clip in clips if clip.label == label]
        groups: dict[str, list[Clip]] = {}
        for k in rng.permutation(len(mine)):
            groups.setdefault(mine[k].group, []).append(mine[k])
        turns = [clip for turn in range(50) for group in groups.values() for clip in group[turn : turn + 1]]
        found += turns[:a_label]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small"], help="names or encoder folders")
    parser.add_argument("--sounds", type=Path, default=Path("../shared/data/sounds/manifest.jsonl"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    everything = read_manifest(args.sounds)
    clean = everything.where([not c.clip_id.startswith("urbansound8k/") for c in everything])
    test = [clip for clip in split_by_group(clean) if clip.split == "test" and clip.captions]
    outside = street([c for c in everything if c.clip_id.startswith("urbansound8k/")], STREET_CLIPS_A_LABEL)
    results = read_json(args.out) if args.out.is_file() else {}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    for name in args.models:
        encoder = load(name)
        results[name] = {
            "titles": titles(encoder, test, encode_all(encoder, test, f"{name}: test titles")),
            "street labels": labels(encoder, outside, encode_all(encoder, outside, f"{name}: street labels")),
            "speed": speed(encoder),
            "embed_dim": encoder.embed_dim,
            "commit": commit,
            "machine": f"{platform.machine()}, one thread",
        }
        print(name, results[name])
    write_json(args.out, results)


if __name__ == "__main__":
    main()
