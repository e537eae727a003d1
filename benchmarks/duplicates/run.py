"""Measure `askaudio collection duplicates`: recall on altered copies, precision on them and on near-takes.

    python benchmarks/duplicates/run.py ../shared/data/sounds/manifest.jsonl --out benchmarks/duplicates/results.json

A folder is made of real recordings, 17 altered copies of each, up to 8 sounds of each that are nearly the same and must
not be merged with it (other speed, another sound on top, another end, exchanged halves, ...), and four takes of each
kind of the scene generator. It is indexed and searched as any folder. A reported copy is right if it and the file to
keep come from one recording by alterations that keep the sound. Pairs of different recordings count as right only if
their waveforms correlate above 0.9 over the whole length, by a computation that is independent of the search.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
from altered import RATE_HZ, as_file, copies, near_takes, takes

from askaudio.audio.decode import decode
from askaudio.cli.output import progress_bar
from askaudio.core.files import sha256_file, write_json
from askaudio.data.manifest import Clip, read_manifest
from askaudio.duplicates.find import Duplicates, find_duplicates
from askaudio.ingest.indexer import Indexer

LONGEST_S = 4.0
LENGTHS_S = (0.0, 0.5, 2.0, 100.0)
HERE = Path(__file__).resolve().parent


def suffix(data: bytes) -> str:
    return {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg"}.get(data[:4], ".mp3")


def make_folder(folder: Path, clips: list[Clip], rng: np.random.Generator) -> dict[str, tuple[str, str, float]]:
    """Write the sounds; file name -> (recording, alteration or "near: ...", length of the original in seconds)."""
    truth: dict[str, tuple[str, str, float]] = {}

    def write(recording: str, name: str, data: bytes, seconds: float) -> None:
        file = folder / f"{len(truth):05d}{suffix(data)}"
        file.write_bytes(data)
        truth[file.name] = (recording, name, seconds)

    sounds = [decode(clip.path, RATE_HZ)[: round(LONGEST_S * RATE_HZ)] for clip in clips]
    for k, (clip, samples) in enumerate(zip(clips, sounds, strict=True)):
        if len(samples) < 0.1 * RATE_HZ or np.abs(samples).max() < 1e-3:
            continue
        seconds = len(samples) / RATE_HZ
        write(clip.clip_id, "original", as_file(samples), seconds)
        for name, data in copies(samples, rng).items():
            write(clip.clip_id, name, data, seconds)
        for name, data in near_takes(samples, sounds[k - 1], rng).items():
            write(clip.clip_id, f"near: {name}", data, seconds)
    for label, made in takes(rng, 4).items():
        for k, samples in enumerate(made):
            write(f"{label} take {k}", "original", as_file(samples), len(samples) / RATE_HZ)
    return truth


def correlation(a: Path, b: Path) -> float:
    """Largest normalised correlation of two waveforms at 8 kHz over all offsets, over the longer one."""
    x, y = decode(a, 8000), decode(b, 8000)
    n = len(x) + len(y)
    cross = np.fft.irfft(np.fft.rfft(y, n) * np.conj(np.fft.rfft(x, n)), n)
    return float(np.abs(cross).max() / np.sqrt(max(float(x @ x) * float(y @ y), 1e-12)))


def judge(found: Duplicates, truth: dict[str, tuple[str, str, float]]) -> dict[str, object]:
    group_of = {}
    right, wrong = 0, []
    for number, group in enumerate(found.groups):
        keep = Path(group.keep.path)
        group_of[keep.name] = number
        for copy in group.copies:
            path = Path(copy.sound.path)
            group_of[path.name] = number
            (a, how_a, _), (b, how_b, _) = truth[keep.name], truth[path.name]
            same = a == b and not how_a.startswith("near") and not how_b.startswith("near")
            if same or (a != b and correlation(keep, path) > 0.9):
                right += 1
            else:
                wrong.append([a, how_a, b, how_b, round(copy.agreement, 3), copy.reasons])
    original = {recording: name for name, (recording, how, _) in truth.items() if how == "original"}
    hits: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for name, (recording, how, seconds) in truth.items():
        if how != "original" and not how.startswith("near"):
            mine = group_of.get(name)
            hits[how].append((seconds, mine is not None and mine == group_of.get(original[recording])))
    every = [hit for rows in hits.values() for hit in rows]
    near = Counter(how for _, how, _ in truth.values() if how.startswith("near"))
    merged = Counter(how for row in wrong for how in (row[1], row[3]) if how.startswith("near"))
    return {
        "precision": right / max(1, right + len(wrong)),
        "recall": float(np.mean([hit for _, hit in every])),
        "copies_reported": right + len(wrong),
        "wrong": wrong,
        "recall_by_length": {
            f"{low:g}-{high:g} s": [float(np.mean(part)), len(part)]
            for low, high in pairwise(LENGTHS_S)
            if (part := [hit for seconds, hit in every if low <= seconds < high])
        },
        "recall_by_alteration": {how: float(np.mean([h for _, h in rows])) for how, rows in sorted(hits.items())},
        "near_takes_merged": {how: [merged.get(how, 0), count] for how, count in sorted(near.items())},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest")
    parser.add_argument("--clips", type=int, default=100, help="recordings (default 100)")
    parser.add_argument("--model", default="small", help="encoder of the collection (default small)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    every = list(read_manifest(args.manifest))
    groups = {clip.group: clip for clip in (every[k] for k in rng.permutation(len(every)))}  # one clip of a recording
    clips = list(groups.values())[: args.clips]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "sounds"
        folder.mkdir()
        truth = make_folder(folder, clips, rng)
        with Indexer([folder], Path(name) / "collection", args.model) as indexer, progress_bar("indexing") as bar:
            indexer.update(progress=bar)
            began = time.process_time()
            with progress_bar("duplicates") as bar:
                found = find_duplicates(indexer.store, progress=bar)
            seconds = time.process_time() - began
        figures = judge(found, truth)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False)
    result = {
        "command": " ".join(["python benchmarks/duplicates/run.py MANIFEST", *sys.argv[2:]]),
        "commit": commit.stdout.strip(), "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "data": {"manifest_sha256": sha256_file(args.manifest), "recordings": len({t[0] for t in truth.values()}),
                 "files": len(truth)},
        "seed": args.seed, "cpu_s": round(seconds, 1), **figures,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if args.out:
        write_json(args.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
