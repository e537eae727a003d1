"""Mixtures of two unheard recordings, each with two sentences: queries that are longer than a title.

    python benchmarks/everyday/mixtures.py --models small efficientat    # a minute of one idle core for each

Half of the mixtures are for validation and half for the test; they share no recording. The sentences are those of
``reproduce/small/held_out_mixtures.py``, which no training uses.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from vectors import CACHE, SOUNDS, chosen, is_test, source_of, split_of

from askaudio.audio.decode import decode
from askaudio.cli.output import progress_bar
from askaudio.core.files import atomic_path
from askaudio.data.manifest import Clip, read_manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load

sys.path.append(str(Path(__file__).parents[2]))
from reproduce.small.held_out_mixtures import JOINS, WORDS

COUNT, LENGTH_S = 150, 8.0  # of each half


@dataclass(frozen=True)
class Mixtures:
    """Vectors (M, D) of M mixtures and their sentences, two of each: the second ones follow all first ones."""

    vectors: np.ndarray
    sentences: list[str]


def pairs(clips: list[Clip], seed: int) -> list[tuple[Clip, Clip]]:
    """COUNT random pairs of clips with two different labels."""
    rng = np.random.default_rng(seed)
    found: list[tuple[Clip, Clip]] = []
    while len(found) < COUNT:
        first, second = (clips[k] for k in rng.choice(len(clips), 2, replace=False))
        if first.label != second.label:
            found.append((first, second))
    return found


def mixed(first: Clip, second: Clip, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Both sounds from their start, the second at -6 to +3 dB of the first's loudness, starting up to 2 s later."""
    samples = int(LENGTH_S * rate)
    out = np.zeros(samples, np.float32)
    gain = 10 ** (rng.uniform(-6, 3) / 20)
    for clip, late, factor in ((first, 0, 1.0), (second, int(rng.integers(0, 2 * rate)), gain)):
        wave = decode(Path(clip.path), rate)[: samples - late]
        out[late : late + len(wave)] += factor * wave / max(float(np.sqrt(np.mean(wave**2))), 1e-6)
    return 0.5 * out / max(float(np.abs(out).max()), 1e-6)


def mixtures(encoder: Encoder, name: str, sounds: Path = SOUNDS) -> Mixtures:
    """The mixtures of "val" or "test", encoded once."""
    seed = ("val", "test").index(name)
    clips = chosen(list(read_manifest(sounds)), sounds)
    split = split_of(clips, sounds)
    mine = [
        c for c, s in zip(clips, split, strict=True)
        if c.label in WORDS and (s == name or (s == "street" and is_test(c) == (name == "test")))
        and source_of(c) in ("kitchen20", "urbansound8k")
    ]  # fmt: skip
    chosen_pairs = pairs(mine, seed)
    rng = np.random.default_rng([seed, 1])
    joins = [[JOINS[rng.integers(len(JOINS))] for _ in (0, 1)] for _ in chosen_pairs]
    sentences = [
        joins[n][turn].format(WORDS[a.label][turn], WORDS[b.label][turn])
        for turn in (0, 1) for n, (a, b) in enumerate(chosen_pairs)
    ]  # fmt: skip
    path = CACHE / f"mixtures-{name}-{encoder.name}-{encoder.fingerprint[:12]}.npy"
    if not path.is_file():
        rows = []
        with progress_bar(f"mixtures, {encoder.name}", "mixtures") as progress:
            for n, (a, b) in enumerate(chosen_pairs):
                wave = mixed(a, b, encoder.sample_rate_hz, np.random.default_rng([seed, 2, n]))
                rows.append(encoder.encode_audio([wave])[0])
                progress(n + 1, COUNT)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, np.stack(rows))
    return Mixtures(np.load(path), sentences)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small", "efficientat"], help="names or encoder folders")
    args = parser.parse_args()
    for name in args.models:
        encoder = load(name)
        for half in ("val", "test"):
            mixtures(encoder, half)


if __name__ == "__main__":
    main()
