"""Measure the speed of ingestion on one core, and its memory over many files.

    python benchmarks/index/ingest.py                                   # mp3 and ogg, model small: one CPU-minute
    python benchmarks/index/ingest.py --files 0 --many 20000            # tiny files, toy encoder: two CPU-minutes

The first command makes files of 60 s from real recordings (``../shared``; stereo, 44.1 kHz, mp3 and ogg), indexes them
with one process, and measures each stage alone on the same files: decoding with resampling, log-mel, tower, and the
rest (reading, hashing, tags, storing). Goal: 150 times real time a core, in CPU time. The second command writes that
many short files and prints the memory of the process after every tenth of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import soundfile

from askaudio.audio.decode import decode, stream_windows
from askaudio.core.errors import AudioDecodeError
from askaudio.data.manifest import read_manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.onnx import OnnxEncoder
from askaudio.encoders.registry import SMALL
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.update import ingest

RATE_HZ, FILE_S = 44_100, 60


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def make_files(manifest: Path, folder: Path, count: int) -> None:
    """Half of the files mp3, half ogg: real recordings one after the other, the right channel a little later."""
    clips = iter(read_manifest(manifest))
    for n in range(count):
        pieces, length = [], 0
        while length < FILE_S * RATE_HZ:
            try:
                pieces.append(decode(next(clips).path, RATE_HZ))
            except AudioDecodeError:
                continue
            length += len(pieces[-1])
        mono = np.concatenate(pieces)[: FILE_S * RATE_HZ]
        stereo = np.stack([mono, np.roll(mono, 40)], axis=1)
        if n % 2:
            soundfile.write(folder / f"{n:03d}.mp3", stereo, RATE_HZ, format="MP3")
        else:  # libsndfile's Vorbis encoder fails on very large blocks
            with soundfile.SoundFile(folder / f"{n:03d}.ogg", "w", RATE_HZ, 2, format="OGG", subtype="VORBIS") as file:
                for start in range(0, len(stereo), RATE_HZ):
                    file.write(stereo[start : start + RATE_HZ])


def index(folder: Path, collection: Path, encoder: Encoder, progress: Callable[..., None] | None = None) -> float:
    """CPU seconds of one run over a folder."""
    with open_store(collection, "w", Identity.of(encoder, "measured")) as store:
        options = {"progress": progress} if progress else {}
        return cpu_s(lambda: ingest([folder], store, encoder, **options))  # type: ignore[arg-type]


def speed(args: argparse.Namespace, root: Path) -> dict[str, object]:
    encoder = OnnxEncoder(args.encoder, threads=1)
    folder = root / "sounds"
    folder.mkdir()
    make_files(args.manifest, folder, args.files)
    encoder.encode_audio([np.zeros(encoder.sample_rate_hz, np.float32)])
    index_s = index(folder, root / "collection", encoder)
    paths = sorted(folder.iterdir())
    split: dict[str, float] = {}
    for kind in ("mp3", "ogg"):
        some = [path for path in paths if path.suffix == f".{kind}"]
        split[f"decode {kind}"] = cpu_s(lambda some=some: [decode(p, encoder.sample_rate_hz) for p in some])
    windows = [
        w.samples
        for p in paths
        for w in stream_windows(p, encoder.sample_rate_hz, encoder.window_s, encoder.hop_s)
    ]  # fmt: skip
    split["log-mel"] = cpu_s(lambda: [encoder.front_end(w) for w in windows])
    split["tower"] = cpu_s(lambda: encoder.encode_audio(windows)) - split["log-mel"]
    split["rest"] = index_s - sum(split.values())
    sound_s = FILE_S * len(paths)
    share = {"decode mp3": sound_s / 2, "decode ogg": sound_s / 2}
    return {
        "sound_s": sound_s,
        "cpu_s": round(index_s, 2),
        "times_real_time": round(sound_s / index_s),
        "goal": 150,
        "stages_cpu_s": {name: round(s, 2) for name, s in split.items()},
        "stages_times_real_time": {n: round(share.get(n, sound_s) / max(s, 1e-9)) for n, s in split.items()},
    }


def memory(args: argparse.Namespace, root: Path) -> dict[str, object]:
    folder = root / "sounds"
    rng = np.random.default_rng(0)
    for n in range(args.many):
        (folder / f"{n // 1000:03d}").mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{n // 1000:03d}" / f"{n:06d}.wav", 0.1 * rng.standard_normal(800), 16_000)
    process, seen = psutil.Process(), []

    def note(done: int, total: int | None, text: str = "") -> None:
        if total and done and done % (total // 10) == 0:
            seen.append(round(process.memory_info().rss / 2**20))

    took_s = index(folder, root / "collection", ToyEncoder(), note)
    return {"files": args.many, "cpu_s": round(took_s, 1), "resident_mb": seen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, default=SMALL.shipped_folder, help="default: the model in the box")
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data/sounds/manifest.jsonl"))
    parser.add_argument("--files", type=int, default=20, help="of 60 s (default: %(default)s); 0 measures memory only")
    parser.add_argument("--many", type=int, default=0, help="tiny files for the curve of memory")
    args = parser.parse_args()
    for wanted, work in ((args.files, speed), (args.many, memory)):
        if wanted:
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(work(args, Path(folder)), indent=2), flush=True)


if __name__ == "__main__":
    main()
