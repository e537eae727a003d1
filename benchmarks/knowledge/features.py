"""Scenes of real recordings as arrays: what a frozen tower and a trainable tower need, made once and kept.

Recordings are decoded once to 32 kHz wav (their own format is the slowest part of mixing), mixed by the scene
generator, and of each scene are kept: the frozen tower's embedding (384), a coarse log-mel picture for the trainable
tower (64 bands x 125 frames of 80 ms), five captions with their MiniLM embeddings (5, 384), and the labels heard.

    python benchmarks/knowledge/features.py --sounds ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as.onnx --out runs/knowledge/recorded
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from askaudio.audio.decode import decode
from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.core.files import atomic_path, write_json
from askaudio.data.manifest import Clip, Manifest, read_manifest
from askaudio.scenes.library import SceneSet, recorded_scenes
from askaudio.scenes.parallel import in_order

RATE_HZ = 32_000
BANDS, FRAMES = 64, 125  # the trainable tower's picture of ten seconds
COUNTS = {"train": 7000, "val": 600, "test": 1200, "external": 2000}


@dataclass
class Part:
    """One part of the benchmark: N scenes with five captions each.

    Attributes:
        audio: (N, 384) frozen tower features (or None for procedural scenes).
        mel: (N, 64, 125) float16.
        text: (N, 5, 384) MiniLM.
        captions, labels: per scene.
    """

    audio: np.ndarray
    mel: np.ndarray
    text: np.ndarray
    captions: list[list[str]]
    labels: list[list[str]]

    def __len__(self) -> int:
        return len(self.text)


def to_wav(clip: Clip, folder: Path) -> Clip:
    """Decode one recording to 32 kHz float wav, once."""
    target = folder / f"{clip.clip_id.replace('/', '_')}.wav"
    if not target.exists():
        temporary = target.with_suffix(".tmp")  # no fsync: 7,700 of them take longer than the decoding
        soundfile.write(temporary, decode(clip.path, RATE_HZ), RATE_HZ, format="WAV", subtype="FLOAT")
        temporary.replace(target)
    return replace(clip, path=str(target))


def coarse(mel: np.ndarray) -> np.ndarray:
    """Log-mel (128, T) of ten seconds -> (64, 125) float16 by averaging neighbours."""
    mel = mel[:, : mel.shape[1] // FRAMES * FRAMES] if mel.shape[1] >= FRAMES else np.pad(mel, ((0, 0), (0, FRAMES)))
    return mel.reshape(BANDS, -1, FRAMES, mel.shape[1] // FRAMES).mean(axis=(1, 3)).astype(np.float16)


def statistics(mel: np.ndarray) -> np.ndarray:
    """Log-mel (64, T) -> (448,): mean, spread and peak of each band over time, and its mean in each quarter."""
    quarters = [q.mean(axis=1) for q in np.array_split(mel, 4, axis=1)]
    return np.concatenate([mel.mean(axis=1), mel.std(axis=1), mel.max(axis=1), *quarters]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _tower(path: str):
    from askaudio.encoders.efficientat import EfficientATFeatures

    return EfficientATFeatures(path)


def scene_row(scenes: SceneSet, tower: str | None, index: tuple[str, int]) -> tuple:
    """One scene -> embedding, picture, captions, labels."""
    scene = scenes.scene(*index)
    rate = scenes.settings.sample_rate_hz
    front_end = _tower(tower).front_end if tower else FrontEnd(LogMel(rate, BANDS, f_max_hz=rate / 2))
    mel = front_end(scene.samples)
    audio = _tower(tower).features([scene.samples])[0] if tower else statistics(mel)
    return audio, coarse(mel), [c.text for c in scene.clip.captions], [e.label for e in scene.events]


def text_features(captions: list[list[str]]) -> np.ndarray:
    """MiniLM embeddings (N, 5, 384); each distinct caption is encoded once."""
    from askaudio.models.minilm import MiniLMFeatures

    distinct = sorted({text for row in captions for text in row})
    rows = MiniLMFeatures().features(distinct)
    at = {text: k for k, text in enumerate(distinct)}
    return rows[[[at[text] for text in row] for row in captions]]


def build(scenes: SceneSet, out: Path, tower: str | None, workers: int, progress: Callable = lambda *_: None) -> None:
    """Make and keep every part that is not there yet."""
    write_json(out / "about.json", {**scenes.about(), "counts": dict(scenes.counts)})
    for part, n in scenes.counts.items():
        target = out / f"{part}.npz"
        if target.exists() or not n:
            continue
        indices = [(part, k) for k in range(n)]
        row = functools.partial(scene_row, scenes, tower)
        rows = list(in_order(row, indices, workers, progress))
        captions = [r[2] for r in rows]
        with atomic_path(out / f"{part}.json") as temporary:
            temporary.write_text(json.dumps({"captions": captions, "labels": [r[3] for r in rows]}))
        arrays = {"audio": np.stack([r[0] for r in rows]), "mel": np.stack([r[1] for r in rows])}
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            np.savez(file, text=text_features(captions), **arrays)


def load(folder: Path, part: str) -> Part:
    """Read one part."""
    meta = json.loads((folder / f"{part}.json").read_text())
    with np.load(folder / f"{part}.npz") as arrays:
        return Part(arrays["audio"], arrays["mel"], arrays["text"], meta["captions"], meta["labels"])


def recorded(sounds: Path, out: Path, workers: int) -> SceneSet:
    """The benchmark's scenes over recordings that were decoded once."""
    manifest = read_manifest(sounds)
    (out / "wav").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        clips = tuple(pool.map(functools.partial(to_wav, folder=out / "wav"), manifest, chunksize=32))
    return recorded_scenes(Manifest(manifest.name, clips), COUNTS, external_share=0.15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()

    def show(done: int, total: int | None, note: str = "") -> None:
        if done % 200 == 0 or done == total:
            print(f"\r{done}/{total} scenes", end="", file=sys.stderr, flush=True)

    build(recorded(args.sounds, args.out, args.workers), args.out, args.tower, args.workers, show)


if __name__ == "__main__":
    main()
