"""Make the scenes of the benchmark once, and read them as inputs of the product's training.

    python benchmarks/fine_grain/scenes.py --sounds ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as.onnx --out runs/fine_grain/scenes

7,000 training, 600 validation and 1,200 test scenes of ten seconds are mixed from real recordings; parts never share a
group of recordings. Order, loudness, distance and count of the sounds are exact, because the mixer makes them so. Of
each scene are stored: the frozen tower's frames (384, 32) in half precision, and its manifest row with five captions
and its events. Ten minutes of one core.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np

from askaudio.config.schema import Recipe
from askaudio.core.files import atomic_path, write_json
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import Clip, Manifest, read_manifest, write_manifest
from askaudio.encoders.efficientat import FRONT_END
from askaudio.models.frozen_encoder import EfficientATFrames, FrozenTowers
from askaudio.pipeline.inputs import Inputs, training_near_misses
from askaudio.scenes import caption_errors
from askaudio.scenes.library import SceneSet, recorded_scenes, wordings_of
from askaudio.scenes.near_miss import near_miss_set
from askaudio.scenes.parallel import in_order

sys.path.append(str(Path(__file__).parents[1]))
from scene_runs import minilm_rows, show

COUNTS = {"train": 7000, "val": 600, "test": 1200}
ERRORS = {"left out": caption_errors.drop_event, "wrong": caption_errors.wrong_event}


@functools.lru_cache(maxsize=1)
def _tower(path: str) -> EfficientATFrames:
    return EfficientATFrames(Path(path))


def scene_row(scenes: SceneSet, tower: str, index: tuple[str, int]) -> tuple[np.ndarray, Clip]:
    """One scene: frames (384, T) float16, manifest row."""
    scene = scenes.scene(*index)
    return _tower(tower).features([scene.samples])[0].astype(np.float16), scene.clip


def build(scenes: SceneSet, out: Path, tower: str, workers: int, progress: Progress = silent) -> None:
    """Make every part that is missing: ``PART.npy`` and ``PART.jsonl``.

    Args:
        scenes: Which scenes.
        out: Folder.
        tower: EfficientAT's published file.
        workers: Processes.
        progress: Called after each scene.
    """
    write_json(out / "about.json", {**scenes.about(), "counts": dict(scenes.counts)})
    for part, n in scenes.counts.items():
        if (out / f"{part}.jsonl").exists():
            continue
        found = in_order(functools.partial(scene_row, scenes, tower), [(part, k) for k in range(n)], workers, progress)
        frames, clips = zip(*found, strict=True)
        with atomic_path(out / f"{part}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.stack(frames))
        write_manifest(Manifest(part, clips), out / f"{part}.jsonl")


class Scenes:
    """The stored scenes of a folder."""

    def __init__(self, folder: Path) -> None:
        clips = [clip for part in COUNTS for clip in read_manifest(folder / f"{part}.jsonl")]
        self.manifest = Manifest("scenes", tuple(clips))
        self.frames = np.concatenate([np.load(folder / f"{part}.npy") for part in COUNTS])  # (N, 384, T)
        self.folder = folder
        self.wordings = wordings_of(self.manifest)

    def inputs(self, recipe: Recipe, errors: str = "", share: float = 0.0) -> Inputs:
        """What the product's training takes.

        Args:
            recipe: Its audio head decides whether frames or their mean are given, its seed which captions are wrong.
            errors: Kind of caption errors in the training split, a key of ``ERRORS``.
            share: Share of the captions with such an error.
        """
        manifest = self.manifest
        if errors:
            manifest = ERRORS[errors](manifest, self.wordings, share, recipe.seed)[0]
        kind = "efficientat" if recipe.model.audio_head == "mean" else "efficientat_frames"
        audio = self.frames.mean(axis=2, dtype=np.float32) if kind == "efficientat" else self.frames
        near = training_near_misses(recipe.data, manifest)
        texts = {caption.text for clip in manifest for caption in clip.captions}
        texts = sorted(texts.union(*near.values()))
        of_clip = {clip.clip_id: rows[None] for clip, rows in zip(manifest, audio, strict=True)}  # one window a scene
        rows = {text: k for k, text in enumerate(texts)}
        towers = FrozenTowers(f"{kind}:{recipe.model.audio_weights}", recipe.model.text, None, None)
        return Inputs(recipe.data, manifest, of_clip, self.texts(texts), rows, FRONT_END, towers, near)

    def texts(self, texts: list[str]) -> np.ndarray:
        """MiniLM embeddings (U, 384), each text encoded once for the folder."""
        return minilm_rows(texts, self.folder / "texts")

    def pairs(self, part: str, seed: int = 0) -> list[tuple[int, str, str, str]]:
        """Row of the clip within its part, kind, true text and wrong text of each exact near miss of a part."""
        clips, lists = near_miss_set(self.manifest.split(part), self.wordings, seed)  # type: ignore[arg-type]
        owners = [row for row, clip in enumerate(clips) for _ in clip.captions]
        true = [caption.text for clip in clips for caption in clip.captions]
        misses = [found[0] for found in lists]
        return [(o, kind, t, text) for o, t, (kind, text) in zip(owners, true, misses, strict=True)]


def recorded(sounds: Path) -> SceneSet:
    """The benchmark's scenes."""
    return recorded_scenes(read_manifest(sounds), COUNTS, attributes=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/fine_grain/scenes"))
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    build(recorded(args.sounds), args.out, args.tower, args.workers, show)


if __name__ == "__main__":
    main()
