"""Measure audio fingerprints: recall on re-encoded copies, precision on pairs found among real sounds, and speed.

    python benchmarks/fingerprints/run.py ../shared/data/sounds/manifest.jsonl --clips 400 --all --out found.json

Recall: each clip is written as opus (about 37 kbit/s), mp3 (48 and 95 kbit/s), with a lower level, and as its middle
half in mp3; each copy is searched among all originals. Precision: pairs found among the originals are verified by the
normalised cross-correlation of their waveforms, which is independent of fingerprints; the other pairs are printed, to
be checked by listening. Needs a manifest of real sounds.
"""

import argparse
import io
import json
import random
import time
from pathlib import Path

import numpy as np
import soundfile

from askaudio.audio.decode import decode
from askaudio.checks.fingerprints import RATE_HZ, Fingerprint, fingerprint_of, make_fingerprints
from askaudio.checks.same_sound import Overlap, find_overlaps
from askaudio.data.manifest import Clip, read_manifest

SOURCE_HZ = 48_000
LENGTHS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 1e9)


def as_file(samples: np.ndarray, **settings: object) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SOURCE_HZ, **settings)
    return buffer.getvalue()


def copies(samples: np.ndarray) -> dict[str, bytes]:
    quarter = len(samples) // 4
    middle = samples[quarter + 137 : quarter + 137 + max(len(samples) // 2, 4800)]
    return {
        "opus 37k": as_file(samples, format="OGG", subtype="OPUS", compression_level=0.9),
        "mp3 48k": as_file(samples, format="MP3", compression_level=0.9),
        "mp3 95k": as_file(samples, format="MP3", compression_level=0.3),
        "-20 dB": as_file(0.1 * samples, format="WAV", subtype="PCM_16"),
        "middle half, mp3 95k": as_file(middle, format="MP3", compression_level=0.3),
    }


def recall(clips: list[Clip]) -> dict[str, dict[str, str]]:
    originals: list[Fingerprint] = []
    altered: dict[str, list[Fingerprint]] = {}
    seconds = []
    for clip in clips:
        samples = decode(clip.path, SOURCE_HZ)
        seconds.append(len(samples) / SOURCE_HZ)
        originals.append(fingerprint_of(decode(clip.path, RATE_HZ)))
        for name, data in copies(samples).items():
            altered.setdefault(name, []).append(fingerprint_of(decode(data, RATE_HZ)))
    table: dict[str, dict[str, str]] = {}
    for name, prints in altered.items():
        found = {(o.first, o.second) for o in find_overlaps(originals + prints)}
        hits = np.array([(k, k + len(clips)) in found for k in range(len(clips))])
        bucket = np.digitize(seconds, LENGTHS_S) - 1
        table[name] = {"all": f"{hits.mean():.3f} of {len(hits)}"}
        for b in sorted(set(bucket)):
            label = f"{LENGTHS_S[b]:g}-{LENGTHS_S[b + 1]:g} s".replace("-1e+09 s", " s and more")
            table[name][label] = f"{hits[bucket == b].mean():.3f} of {(bucket == b).sum()}"
    return table


def correlation(a: Clip, b: Clip) -> float:
    """Largest normalised cross-correlation of two waveforms at 8 kHz, over all offsets, over the shorter one."""
    x, y = sorted((decode(a.path, 8000), decode(b.path, 8000)), key=len)
    n = len(x) + len(y)
    cross = np.fft.irfft(np.fft.rfft(y, n) * np.conj(np.fft.rfft(x, n)), n)
    energy = np.concatenate([[0.0], np.cumsum(y.astype(np.float64) ** 2)])
    lags = np.concatenate([np.arange(len(y)), np.arange(-len(x) + 1, 0)])
    start, stop = np.clip(lags, 0, len(y)), np.clip(lags + len(x), 0, len(y))
    own = np.concatenate([[0.0], np.cumsum(x.astype(np.float64) ** 2)])
    mine = own[np.clip(stop - lags, 0, len(x))] - own[np.clip(start - lags, 0, len(x))]
    norm = np.sqrt(np.maximum((energy[stop] - energy[start]) * mine, 1e-9))
    long_enough = stop - start >= min(len(x), 2000)
    return float(np.abs(np.where(long_enough, cross[lags] / norm, 0)).max())


def precision(clips: list[Clip], cache: str | None, judged: int) -> dict[str, object]:
    start = time.process_time()
    prints = make_fingerprints([clip.path for clip in clips], cache)
    made = time.process_time() - start
    here = [k for k, one in enumerate(prints) if one is not None]
    start = time.process_time()
    overlaps = find_overlaps([prints[k] for k in here])
    compared = time.process_time() - start
    chosen = random.Random(0).sample(overlaps, min(judged, len(overlaps)))
    verdicts: list[tuple[float, Overlap, Clip, Clip]] = []
    for overlap in chosen:
        a, b = clips[here[overlap.first]], clips[here[overlap.second]]
        verdicts.append((correlation(a, b), overlap, a, b))
    unsure = sorted((v for v in verdicts if v[0] < 0.5), key=lambda v: v[0])
    return {
        "clips": len(clips),
        "cpu_s_making": round(made, 1),
        "cpu_s_comparing": round(compared, 1),
        "pairs": len(overlaps),
        "judged": len(chosen),
        "correlation_above_0.5": len(chosen) - len(unsure),
        "rest": [
            [round(c, 2), round(o.bit_error, 3), round(o.overlap_s, 2), a.clip_id, b.clip_id, a.group == b.group != ""]
            for c, o, a, b in unsure
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest")
    parser.add_argument("--clips", type=int, default=200, help="clips for the recall (default 200)")
    parser.add_argument("--all", action="store_true", help="also compare all clips of the manifest with each other")
    parser.add_argument("--judged", type=int, default=400, help="pairs to judge by correlation (default 400)")
    parser.add_argument("--cache", help="folder for fingerprints")
    parser.add_argument("--out", help="JSON file for the figures")
    args = parser.parse_args()
    clips = list(read_manifest(args.manifest))
    figures: dict[str, object] = {"recall": recall(random.Random(1).sample(clips, min(args.clips, len(clips))))}
    print(json.dumps(figures, indent=1), flush=True)  # the rest takes longer
    if args.all:
        figures["precision"] = precision(clips, args.cache, args.judged)
    text = json.dumps(figures, indent=1)
    print(text)
    if args.out:
        Path(args.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
