"""Store recordings as log-mel spectrograms in one flat file, from which the distillation makes its mixtures.

    M=../shared/data/sounds/manifest.jsonl
    python -m reproduce.small.corpus --manifest $M --exclude 'urbansound8k/*' --hold-out
    python -m reproduce.small.corpus --manifest runs/small/gathered/manifest.jsonl

Each call appends new clips to ``runs/small/corpus``: ``frames.f16`` (the frames of all clips one after another, 128
bins each, float16) and ``clips.jsonl`` (one line a clip: id, first frame, frames, group, licence, source). Both files
only grow, so a training that runs at the same time can read them again. Cost: 60-90 s of one core for an hour of sound.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askaudio.audio.decode import decode
from askaudio.cli.output import progress_bar
from askaudio.core.errors import AskAudioError
from askaudio.core.types import FloatArray
from askaudio.data.manifest import Clip, read_manifest, split_by_group
from askaudio.encoders.efficientat import FRONT_END

N_MELS = 128
LONGEST_S = 30.0
FRAMES_FILE, CLIPS_FILE = "frames.f16", "clips.jsonl"


@dataclass(frozen=True)
class Corpus:
    """The flat file, mapped into memory, and where each clip lies in it."""

    frames: np.memmap
    first: np.ndarray
    length: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def clip(self, number: int) -> np.ndarray:
        """Log-mel (T, 128) float16 of one clip, in the tower's scale."""
        start = self.first[number]
        return self.frames[start : start + self.length[number]]


def open_corpus(folder: Path) -> Corpus:
    """What is in the folder now; clips whose frames are not yet on disk are left out."""
    size = (folder / FRAMES_FILE).stat().st_size // (2 * N_MELS)
    frames = np.memmap(folder / FRAMES_FILE, np.float16, "r", shape=(size, N_MELS))
    rows = [row for row in clips(folder) if row["first"] + row["frames"] <= size and row["frames"] > 0]
    first = np.array([row["first"] for row in rows], dtype=np.int64)
    return Corpus(frames, first, np.array([row["frames"] for row in rows], dtype=np.int64))


def rows_of(folder: Path, corpus: Corpus) -> list[dict]:
    """The row of ``clips.jsonl`` of each clip of a corpus, in its order."""
    return [row for row in clips(folder) if row["frames"] > 0][: len(corpus)]


def clips(folder: Path) -> Iterator[dict]:
    """Rows of ``clips.jsonl``; a last line that is only half written is passed over."""
    path = folder / CLIPS_FILE
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def spectrogram(path: str) -> FloatArray | str:
    """Frames (T, 128) float16 of one file, at most 30 s; or what is wrong with it."""
    try:
        wave = decode(Path(path), FRONT_END.sample_rate_hz)[: int(LONGEST_S * FRONT_END.sample_rate_hz)]
        return FRONT_END.log_mel(wave).T.astype(np.float16)
    except AskAudioError as error:
        return str(error)


def add(chosen: list[Clip], folder: Path, workers: int) -> list[str]:
    """Append clips; returns the messages of files that could not be read (they get a row without frames)."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {row["id"] for row in clips(folder)}
    new = [clip for clip in chosen if clip.clip_id not in known]
    broken: list[str] = []
    with (
        (folder / FRAMES_FILE).open("ab") as frames,
        (folder / CLIPS_FILE).open("a", encoding="utf-8") as rows,
        ProcessPoolExecutor(workers) as pool,
        progress_bar("spectrograms", "clips") as progress,
    ):
        found = pool.map(spectrogram, [c.path for c in new], chunksize=16)
        for done, (clip, mel) in enumerate(zip(new, found, strict=True)):
            if isinstance(mel, str):
                broken.append(mel)
                mel = np.zeros((0, N_MELS), np.float16)
            first = frames.tell() // (2 * N_MELS)
            frames.write(np.ascontiguousarray(mel).tobytes())
            row = {"id": clip.clip_id, "first": first, "frames": len(mel), "group": clip.group}
            about = {"text": clip.captions[0].text if clip.captions else "", "licence": clip.licence}
            rows.write(json.dumps({**row, **about, "source": clip.source}) + "\n")
            if done % 200 == 0:
                frames.flush()
                rows.flush()
            progress(done + 1, len(new))
    return broken


def sound_name(clip: Clip) -> str:
    """Package and file stem: the same sound of one package under the same name, whoever cut it."""
    package = clip.source.removeprefix("Debian package ").split(" ")[0]
    return package + "/" + Path(clip.path).stem.split("_")[-1].lower()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="clip ids to leave out")
    parser.add_argument("--hold-out", action="store_true", help="take the training split by group only (seed 0)")
    parser.add_argument("--held-out-of", type=Path, help="leave out sounds that this manifest holds out, by name")
    parser.add_argument("--out", type=Path, default=Path("runs/small/corpus"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    manifest = read_manifest(args.manifest)
    manifest = manifest.where([not any(fnmatch.fnmatch(c.clip_id, p) for p in args.exclude) for c in manifest])
    if args.hold_out:
        manifest = split_by_group(manifest).split("train")
    chosen = list(manifest)
    if args.held_out_of:
        other = split_by_group(read_manifest(args.held_out_of))
        held = {sound_name(clip) for clip in other if clip.split != "train"}
        chosen = [clip for clip in chosen if sound_name(clip) not in held]
    broken = add(chosen, args.out, args.workers)
    print(f"{args.out}: {sum(1 for _ in clips(args.out))} clips; {len(broken)} could not be read")
    for message in broken[:20]:
        print("  " + message)


if __name__ == "__main__":
    main()
