"""Measure what the measured facts cost while indexing, and how far the loudness is from a reference.

    python benchmarks/measurements/run.py --sounds ../shared/data/sounds/manifest.jsonl

The same files are encoded twice each, once with and once without the measurements, in turn and in one process, so that
both see the same machine. The figure is the ratio of their CPU times. Goal: at most 1.15. Where pyloudnorm is
installed, the loudness of every file of at least 3 s is compared with it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from askaudio.audio.decode import decode
from askaudio.data.manifest import read_manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load_encoder
from askaudio.encoders.recording import encode_recording
from askaudio.ingest.encode_file import encode_file, measure_file
from askaudio.measurements.meter import FACTS, Meter


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


class _Nothing(Meter):
    """A meter that measures nothing: the other side of the ratio."""

    def start(self, sample_rate_hz: int, channels: int) -> None: ...

    def take(self, block: np.ndarray, mono: np.ndarray) -> None: ...


def cost(encoder: Encoder, paths: list[str], rounds: int) -> dict[str, float]:
    """CPU seconds with and without, the smallest of some rounds for each file."""
    import askaudio.ingest.encode_file as module

    sums = {"without": 0.0, "with": 0.0, "alone": 0.0}
    for path in paths:
        times: dict[str, list[float]] = {name: [] for name in sums}
        for _ in range(rounds):
            for name, kind in (("without", _Nothing), ("with", Meter)):
                module.Meter = kind  # type: ignore[misc]
                times[name].append(cpu_s(lambda path=path: encode_file(encoder, path)))
            times["alone"].append(cpu_s(lambda path=path: measure_file(path)))
        for name, seen in times.items():
            sums[name] += min(seen)
    return {
        **{f"{name}_cpu_s": round(s, 2) for name, s in sums.items()},
        "ratio": round(sums["with"] / sums["without"], 3),
    }


def long_files(paths: list[str], folder: Path, count: int) -> list[str]:
    """Stereo recordings of 60 s at 44.1 kHz, in turn wav, flac and mp3."""
    made, clips = [], iter(paths)
    for n in range(count):
        pieces: list[np.ndarray] = []
        while sum(map(len, pieces)) < 60 * 44_100:
            pieces.append(decode(next(clips), 44_100, partial=True))
        mono = np.concatenate(pieces)[: 60 * 44_100]
        suffix = ("wav", "flac", "mp3")[n % 3]
        made.append(str(folder / f"{n:03d}.{suffix}"))
        soundfile.write(made[-1], np.stack([mono, np.roll(mono, 40)], axis=1), 44_100)
    return made


def agreement(paths: list[str]) -> dict[str, object]:
    """Differences in LU from pyloudnorm over files of at least 3 s, and the share of files with each fact."""
    import pyloudnorm

    away, facts, sounds = [], dict.fromkeys(FACTS, 0), 0
    for path in paths:
        measured = measure_file(path).metadata
        sounds += 1
        for name in FACTS:
            facts[name] += name in measured
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.SoundFileError:
            continue
        if len(samples) < 3 * rate or samples.shape[1] > 5 or "loudness_lufs" not in measured:
            continue
        reference = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples)
        if np.isfinite(reference):
            away.append(abs(reference - measured["loudness_lufs"]))
    return {
        "files": sounds,
        "compared": len(away),
        "lu_median": round(float(np.median(away)), 3),
        "lu_99th": round(float(np.quantile(away, 0.99)), 3),
        "lu_largest": round(float(np.max(away)), 3),
        "share_with_fact": {name: round(n / sounds, 3) for name, n in facts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, default=Path("../shared/data/sounds/manifest.jsonl"))
    parser.add_argument("--files", type=int, default=60, help="of the manifest, spread over it (default: %(default)s)")
    parser.add_argument("--long", type=int, default=6, help="made files of 60 s in stereo (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    clips = [str(clip.path) for clip in read_manifest(args.sounds)]
    some = clips[:: max(1, len(clips) // args.files)][: args.files]
    encoder = load_encoder("small")
    encoder.threads = 1  # type: ignore[attr-defined]
    encode_recording(encoder, some[0], partial=True)
    result: dict[str, object] = {"real": cost(encoder, some, args.rounds)}
    with tempfile.TemporaryDirectory() as folder:
        result["stereo of 60 s"] = cost(encoder, long_files(clips, Path(folder), args.long), args.rounds)
    result["loudness"] = agreement(clips[:: max(1, len(clips) // (10 * args.files))])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
