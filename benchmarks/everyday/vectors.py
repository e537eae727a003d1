"""Vectors of real recordings, encoded once for each model and kept in ``runs/everyday``.

    python benchmarks/everyday/vectors.py --models small efficientat     # three minutes and one of one idle core

The clips: all that the shipped models have not been trained on (the rule of ``reproduce/small/corpus.py``), of the
street sounds at most ``STREET`` of each label in each half, and ``TRAINED`` clips of their training, from which the
direction of hubs is computed. A file of the cache has the fingerprint of the encoder in its name.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askaudio.cli.output import progress_bar
from askaudio.core.files import atomic_path
from askaudio.data.manifest import Clip, read_manifest, split_by_group
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load
from askaudio.encoders.recording import encode_recording

SOUNDS = Path("../shared/data/sounds/manifest.jsonl")
CACHE = Path("runs/everyday")
LONGEST_S = 30.0
STREET, TRAINED = 40, 600


@dataclass(frozen=True)
class Encoded:
    """Clips and the vectors of their windows.

    Attributes:
        clips: N clips.
        vectors: (W, D), rows of length 1.
        owner: (W,) number of the clip of each window.
    """

    clips: list[Clip]
    vectors: np.ndarray
    owner: np.ndarray

    def where(self, keep: np.ndarray) -> Encoded:
        """The clips for which ``keep`` (N,) is true, with their windows."""
        number = np.cumsum(keep) - 1
        rows = keep[self.owner]
        clips = [clip for clip, kept in zip(self.clips, keep, strict=True) if kept]
        return Encoded(clips, self.vectors[rows], number[self.owner[rows]])


def source_of(clip: Clip) -> str:
    """The part of the id before the first slash: kitchen20, urbansound8k, debian or moodist."""
    return clip.clip_id.split("/")[0]


def pack_of(clip: Clip) -> str:
    """Collection or package that a clip comes from."""
    return clip.source.split(" ")[-1] if clip.source.startswith("Debian package") else source_of(clip)


def split_of(clips: list[Clip], sounds: Path = SOUNDS) -> np.ndarray:
    """(N,) "train", "val" or "test" as the shipped models were trained; urbansound8k is "street", never trained on."""
    manifest = read_manifest(sounds)
    clean = manifest.where([source_of(c) != "urbansound8k" for c in manifest])
    split = {c.clip_id: str(c.split) for c in split_by_group(clean)}
    return np.array([split.get(c.clip_id, "street") for c in clips])


def group_of(clip: Clip) -> str:
    """The recording of a clip."""
    return clip.group or clip.clip_id


def is_test(clip: Clip) -> bool:
    """In which half of the street sounds a clip is, by its recording."""
    return hashlib.sha256(group_of(clip).encode()).digest()[0] % 2 == 1


def chosen(clips: list[Clip], sounds: Path = SOUNDS) -> list[Clip]:
    """The clips that are encoded, see the head of this file."""
    split = split_of(clips, sounds)
    train = np.flatnonzero(split == "train")
    kept = (split == "val") | (split == "test")
    kept[train[np.linspace(0, len(train) - 1, TRAINED).astype(int)]] = True
    for half in (False, True):
        kept |= spread(clips, (split == "street") & np.array([is_test(c) == half for c in clips]), STREET)
    return [clip for clip, is_in in zip(clips, kept, strict=True) if is_in]


def spread(clips: list[Clip], among: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` clips of each label: the first of each recording, then the second of each, and so on."""
    kept = np.zeros(len(clips), bool)
    for label in sorted({clip.label for clip, is_in in zip(clips, among, strict=True) if is_in}):
        turns: dict[str, int] = {}
        order = []
        for number, clip in enumerate(clips):
            if among[number] and clip.label == label:
                turns[group_of(clip)] = turns.get(group_of(clip), 0) + 1
                order.append((turns[group_of(clip)], group_of(clip), number))
        kept[[number for *_, number in sorted(order)[:most]]] = True
    return kept


def encoded(encoder: Encoder, sounds: Path = SOUNDS, cache: Path = CACHE) -> Encoded:
    """The chosen clips of a manifest with their vectors, from the cache where they are in it."""
    path = cache / f"{encoder.name}-{encoder.fingerprint[:12]}.npz"
    clips = chosen(list(read_manifest(sounds)), sounds)
    if path.is_file():
        with np.load(path) as file:
            of = {clip_id: n for n, clip_id in enumerate(file["ids"].tolist())}
            owner, vectors = file["owner"], file["vectors"]
        rows = [np.flatnonzero(owner == of[clip.clip_id]) for clip in clips]
        return Encoded(clips, vectors[np.concatenate(rows)], np.repeat(np.arange(len(clips)), [len(r) for r in rows]))
    rows, owners = [], []
    with progress_bar(f"encode with {encoder.name}", "clips") as progress:
        for number, clip in enumerate(clips):
            rows.append(encode_recording(encoder, clip.path, LONGEST_S).vectors)
            owners += [number] * len(rows[-1])
            progress(number + 1, len(clips))
    cache.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        np.savez(out, vectors=np.concatenate(rows), owner=np.array(owners), ids=[c.clip_id for c in clips])
    return encoded(encoder, sounds, cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small", "efficientat"], help="names or encoder folders")
    parser.add_argument("--sounds", type=Path, default=SOUNDS)
    args = parser.parse_args()
    for name in args.models:
        found = encoded(load(name), args.sounds)
        print(f"{name}: {len(found.clips)} clips, {len(found.vectors)} windows")


if __name__ == "__main__":
    main()
