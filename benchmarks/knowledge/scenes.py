"""Make the scenes of the benchmark once, and read them as inputs of the product's training.

    python benchmarks/knowledge/scenes.py --sounds ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as.onnx --out runs/knowledge/recorded

7,000 training, 600 validation and 1,200 test scenes of ten seconds are mixed from recordings; parts never share a group
of recordings. The recordings are decoded once to 32 kHz wav, because decoding is the slowest part of mixing. Of each
scene are stored: the frozen tower's embedding (384), a coarse log-mel for the trainable tower (64 bands x 125 frames of
80 ms), and its manifest row with five captions and its events. Six minutes of two cores, and 8 GB of disk for the wav.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from askaudio.audio.decode import decode
from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.config.schema import Recipe
from askaudio.core.files import atomic_path, write_json
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import Clip, Manifest, read_manifest, write_manifest
from askaudio.encoders.efficientat import FRONT_END
from askaudio.models.frozen_encoder import FrozenTowers
from askaudio.pipeline.inputs import Inputs
from askaudio.scenes import caption_errors
from askaudio.scenes.library import SceneSet, recorded_scenes, wordings_of
from askaudio.scenes.parallel import in_order

sys.path.append(str(Path(__file__).parents[1]))
from scene_runs import minilm_rows, show

RATE_HZ = 32_000
BANDS, FRAMES = 64, 125  # of the coarse log-mel
COUNTS = {"train": 7000, "val": 600, "test": 1200}
EXTERNAL_SHARE = 0.15  # of the recordings are left out, so that the scenes are those of earlier results
Errors = Callable[[Manifest, float, int], Manifest]
# Kinds of caption errors. Each caption is wrong or right by itself. (In the results of earlier/, all captions of a
# scene were replaced together by those of one other scene, so the rows with errors are not comparable.)
ERRORS: dict[str, Errors] = {
    "exchanged": lambda m, share, seed: caption_errors.exchange_captions(m, share, seed)[0],
    "by clip": lambda m, share, seed: exchange_clips(m, share, seed),
    "similar": lambda m, share, seed: caption_errors.similar_captions(m, share, seed)[0],
    "left out": lambda m, share, seed: caption_errors.drop_event(m, wordings_of(m), share, seed)[0],
    "wrong": lambda m, share, seed: caption_errors.wrong_event(m, wordings_of(m), share, seed)[0],
}


def exchange_clips(manifest: Manifest, share: float, seed: int) -> Manifest:
    """Give all captions of chosen training scenes to each other: the next chosen scene's, in a random order."""
    train = [k for k, clip in enumerate(manifest) if clip.split == "train"]
    chosen = np.random.default_rng([seed, 2]).permutation(train)[: round(share * len(train))]
    clips = list(manifest.clips)
    for mine, other in zip(chosen, np.roll(chosen, 1), strict=True):
        texts = [caption.text for caption in manifest.clips[other].captions]
        captions = tuple(replace(c, text=t) for c, t in zip(clips[mine].captions, texts, strict=True))
        clips[mine] = replace(clips[mine], captions=captions)
    return replace(manifest, clips=tuple(clips))


def to_wav(clip: Clip, folder: Path) -> Clip:
    """Decode one recording to 32 kHz float wav, once."""
    target = folder / f"{clip.clip_id.replace('/', '_')}.wav"
    if not target.exists():
        temporary = target.with_suffix(".tmp")  # no fsync: for 7,700 files it takes longer than decoding them
        soundfile.write(temporary, decode(clip.path, RATE_HZ), RATE_HZ, format="WAV", subtype="FLOAT")
        temporary.replace(target)
    return replace(clip, path=str(target))


def coarse(mel: np.ndarray) -> np.ndarray:
    """Log-mel (128, T) of ten seconds -> (64, 125) float16, means over neighboring bands and frames."""
    mel = mel[:, : mel.shape[1] // FRAMES * FRAMES] if mel.shape[1] >= FRAMES else np.pad(mel, ((0, 0), (0, FRAMES)))
    return mel.reshape(BANDS, -1, FRAMES, mel.shape[1] // FRAMES).mean(axis=(1, 3)).astype(np.float16)


def statistics(mel: np.ndarray) -> np.ndarray:
    """Log-mel (64, T) -> (384,): mean, spread and peak of each band, and its mean in each third of the time."""
    thirds = [part.mean(axis=1) for part in np.array_split(mel, 3, axis=1)]
    return np.concatenate([mel.mean(axis=1), mel.std(axis=1), mel.max(axis=1), *thirds]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _tower(path: str):
    from askaudio.encoders.efficientat import EfficientATFeatures

    return EfficientATFeatures(path)


def scene_row(scenes: SceneSet, tower: str | None, index: tuple[str, int]) -> tuple[np.ndarray, np.ndarray, Clip]:
    """One scene: features (384,), coarse log-mel (64, 125), manifest row."""
    scene = scenes.scene(*index)
    rate = scenes.settings.sample_rate_hz
    front_end = _tower(tower).front_end if tower else FrontEnd(LogMel(rate, BANDS, f_max_hz=rate / 2))
    mel = front_end(scene.samples)
    audio = _tower(tower).features([scene.samples])[0] if tower else statistics(mel)
    return audio, coarse(mel), scene.clip


def build(scenes: SceneSet, out: Path, tower: str | None, workers: int, progress: Progress = silent) -> None:
    """Make every part that is missing: ``PART.npz`` and ``PART.jsonl``.

    Args:
        scenes: Which scenes.
        out: Folder.
        tower: EfficientAT's ONNX file; None takes log-mel statistics of the same width instead.
        workers: Processes.
        progress: Called after each scene.
    """
    write_json(out / "about.json", {**scenes.about(), "counts": dict(scenes.counts)})
    for part, n in scenes.counts.items():
        if (out / f"{part}.jsonl").exists():
            continue
        found = in_order(functools.partial(scene_row, scenes, tower), [(part, k) for k in range(n)], workers, progress)
        audio, mels, clips = zip(*found, strict=True)
        with atomic_path(out / f"{part}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, audio=np.stack(audio), mel=np.stack(mels))
        write_manifest(Manifest(part, clips), out / f"{part}.jsonl")


class Scenes:
    """The stored scenes of a folder."""

    def __init__(self, folder: Path) -> None:
        parts = [part for part in COUNTS if (folder / f"{part}.jsonl").exists()]
        clips = [clip for part in parts for clip in read_manifest(folder / f"{part}.jsonl")]
        self.manifest = Manifest("scenes", tuple(clips))
        arrays = [np.load(folder / f"{part}.npz") for part in parts]
        self._audio = {kind: np.concatenate([a[kind] for a in arrays])[:, None] for kind in ("audio", "mel")}
        self._folder = folder

    def inputs(self, recipe: Recipe, errors: str = "", share: float = 0.0) -> Inputs:
        """What the product's training takes.

        Args:
            recipe: Its tower decides which features are used, its seed which captions are wrong.
            errors: Kind of caption errors in the training split.
            share: Share of the captions with such an error.
        """
        manifest = ERRORS[errors](self.manifest, share, recipe.seed) if errors else self.manifest
        audio = self._audio["mel" if recipe.model.audio == "cnn" else "audio"]  # (N, 1, ...): one window a scene
        texts = sorted({caption.text for clip in manifest for caption in clip.captions})
        of_clip = {clip.clip_id: rows for clip, rows in zip(manifest, audio, strict=True)}
        rows = {text: k for k, text in enumerate(texts)}
        source = None if recipe.model.audio == "cnn" else f"efficientat:{recipe.model.audio_weights}"
        towers = FrozenTowers(source, recipe.model.text, None, None)
        return Inputs(recipe.data, manifest, of_clip, self._texts(texts), rows, FRONT_END, towers)

    def _texts(self, texts: list[str]) -> np.ndarray:
        """MiniLM embeddings (U, 384), each text encoded once for the folder."""
        return minilm_rows(texts, self._folder / "texts")


def recorded(sounds: Path, out: Path, workers: int) -> SceneSet:
    """The benchmark's scenes over recordings that were decoded once."""
    manifest = read_manifest(sounds)
    (out / "wav").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        clips = tuple(pool.map(functools.partial(to_wav, folder=out / "wav"), manifest, chunksize=32))
    return recorded_scenes(Manifest(manifest.name, clips), COUNTS, external_share=EXTERNAL_SHARE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge/recorded"))
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    build(recorded(args.sounds, args.out, args.workers), args.out, args.tower, args.workers, show)


if __name__ == "__main__":
    main()
