"""Compute a tower's embeddings and class logits for every clip of a manifest, the input of the alignment.

    python -m reproduce.small.audio_features --manifest ../shared/data/sounds/manifest.jsonl --tower TOWER.onnx
    python -m reproduce.small.audio_features --manifest ... --tower runs/small/audio
    python -m reproduce.small.audio_features --corpus runs/small/corpus --tower ...

With ``--corpus`` the stored spectrograms of ``corpus`` are used instead of audio files. Written to
``runs/small/features/TOWER.npz`` (with ``--corpus``: ``TOWER_corpus.npz``) with the clip ids; clips that the file
already holds are skipped. A long clip has a row for each 10 s up to 30 s; ``window`` is the number of the row's window.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from askaudio.audio.decode import stream_windows
from askaudio.cli.output import progress_bar
from askaudio.core.errors import AskAudioError
from askaudio.core.files import atomic_path
from askaudio.data.manifest import read_manifest
from askaudio.encoders.efficientat import FRONT_END
from askaudio.models.small_audio import SmallAudioTower

from .corpus import open_corpus, rows_of
from .mixing import to_log_mel
from .teacher import Teacher

EncodeMel = Callable[
    [np.ndarray], tuple[np.ndarray, np.ndarray]
]  # log-mel (1, F, T) -> embedding (1, 384), logits (1, 527)
LONGEST_S = 30.0


def open_tower(path: Path) -> EncodeMel:
    """The teacher's ONNX file, or a folder of audio_tower.py with the student's weights."""
    if path.suffix == ".onnx":
        teacher = Teacher(path)
        return lambda mel: teacher(mel)[1:]
    tower = SmallAudioTower()
    tower.load_state_dict(load_file(path / "audio.safetensors"))
    tower.eval()

    @torch.inference_mode()
    def encode_mel(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        embedding, logits = tower.outputs(torch.from_numpy(mel))
        return embedding.numpy(), logits.numpy()

    return encode_mel


def mels(path: str) -> list[np.ndarray]:
    """Log-mels (128, T) of the windows of one file; empty for a file that cannot be read."""
    try:
        windows = stream_windows(path, FRONT_END.sample_rate_hz, FRONT_END.window_s, FRONT_END.hop_s, LONGEST_S)
        return [FRONT_END(window.samples) for window in windows]
    except AskAudioError:
        return []


def decoded(manifest: Path, seen: set[str], limit: int | None) -> tuple[int, Iterator[tuple[str, list[np.ndarray]]]]:
    """Number of new clips, and their ids and windows."""
    new = [clip for clip in read_manifest(manifest) if clip.clip_id not in seen]
    if limit and len(new) > limit:
        new = [new[k] for k in np.linspace(0, len(new) - 1, limit).astype(int)]

    def ahead() -> Iterator[tuple[str, list[np.ndarray]]]:
        with ThreadPoolExecutor(1) as pool:
            yield from zip([c.clip_id for c in new], pool.map(mels, [c.path for c in new]), strict=True)

    return len(new), ahead()


def stored(folder: Path, seen: set[str]) -> tuple[int, Iterator[tuple[str, list[np.ndarray]]]]:
    """The same from the file of ``corpus``; windows shorter than 10 s are padded with silence."""
    corpus = open_corpus(folder)
    ids = [row["id"] for row in rows_of(folder, corpus)]
    new = [k for k, clip_id in enumerate(ids) if clip_id not in seen]
    silence = to_log_mel(np.zeros(1, np.float32))[0]

    def cut(mel: np.ndarray) -> list[np.ndarray]:
        out = []
        for start in range(0, max(1, len(mel) - 200), 1000):
            window = np.full((1000, mel.shape[1]), silence, np.float32)
            part = mel[start : start + 1000]
            window[: len(part)] = part
            out.append(np.ascontiguousarray(window.T))
        return out

    return len(new), ((ids[k], cut(corpus.clip(k))) for k in new)


def read(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a features file: ids (n,), window (n,), embedding (n, 384), logits (n, 527)."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", type=Path)
    source.add_argument("--corpus", type=Path)
    parser.add_argument("--tower", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="default: runs/small/features/NAME.npz")
    parser.add_argument("--limit", type=int, help="largest number of clips, spread over the manifest")
    args = parser.parse_args()
    torch.set_num_threads(1)
    name = args.tower.stem + ("_corpus" if args.corpus else "")
    target = args.out or Path("runs/small/features") / f"{name}.npz"
    known = read(target) if target.is_file() else {}
    seen = set(known["ids"].tolist()) if known else set()
    total, found = stored(args.corpus, seen) if args.corpus else decoded(args.manifest, seen, args.limit)
    encode_mel = open_tower(args.tower)
    rows: list[tuple[str, int, np.ndarray, np.ndarray]] = []
    with progress_bar("features", "clips") as progress:
        for done, (clip_id, windows) in enumerate(found):
            for number, mel in enumerate(windows):
                embedding, logits = encode_mel(mel[None])
                rows.append((clip_id, number, embedding[0], logits[0]))
            progress(done + 1, total)
    fresh = {
        "ids": np.array([row[0] for row in rows]),
        "window": np.array([row[1] for row in rows], np.int16),
        "embedding": np.array([row[2] for row in rows], np.float32).reshape(-1, 384),
        "logits": np.array([row[3] for row in rows], np.float16).reshape(-1, 527),
    }
    if known:
        fresh = {name: np.concatenate([known[name], fresh[name]]) for name in fresh}
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez(file, **fresh)
    print(f"{target}: {len(set(fresh['ids'].tolist()))} clips, {len(fresh['ids'])} windows")


if __name__ == "__main__":
    main()
