"""Measure CPU seconds and memory of evaluation: all metrics, bootstrap, comparison, a million clips.

    OMP_NUM_THREADS=1 python benchmarks/evaluation/speed.py [--million]     # half a minute; with --million two

Embeddings are random, with the shape of Clotho's evaluation split (1,045 clips, five captions each, D = 512). Times are
process CPU seconds of one thread, the best of three. Figures: README.md in this folder.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from askaudio.evaluation.compare import compare
from askaudio.evaluation.evaluate import evaluate_embeddings
from askaudio.evaluation.ranks import Ties, ranks_from_scores
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.report import Report
from askaudio.evaluation.scores import EmbeddingScores

N_CLIPS, PER_CLIP, DIM = 1045, 5, 512


def cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Least CPU time of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def clotho_sized(noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Audio (N, D), text (5 N, D), owner (5 N,)."""
    audio = np.random.default_rng(99).normal(size=(N_CLIPS, DIM)).astype(np.float32)
    owner = np.repeat(np.arange(N_CLIPS), PER_CLIP)
    noisy = audio[owner] + noise * np.random.default_rng(seed).normal(size=(len(owner), DIM))
    return audio, noisy.astype(np.float32), owner


def all_numbers(audio: np.ndarray, text: np.ndarray, owner: np.ndarray, ties: Ties = "pessimistic") -> Report:
    """A report with all its printed numbers computed."""
    report = evaluate_embeddings(audio, text, owner, ties=ties)
    _ = report.values
    return report


def scored(noise: float, seed: int, name: str) -> Report:
    """The report of a made system."""
    return replace(all_numbers(*clotho_sized(noise, seed)), name=name)


def million() -> None:
    """1,000 queries against 1,000,000 clips, D = 64, in bounded memory."""
    rng = np.random.default_rng(0)
    audio = rng.normal(size=(1_000_000, 64)).astype(np.float32)
    text = audio[:1000] + 0.5 * rng.normal(size=(1000, 64)).astype(np.float32)
    relevance = Relevance.from_owner(np.arange(1000), 1_000_000)
    scores = EmbeddingScores.of(text, audio)
    tracemalloc.start()  # numpy's arrays are counted
    start = time.process_time()
    ranks_from_scores(scores, relevance)
    seconds = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(
        f"rank 1,000 x 1,000,000: {seconds:.1f} s, at most {peak / 2**20:.0f} MB (the score matrix would be 3,815 MB)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="also rank a million clips (needs 1 GB)")
    args = parser.parse_args()
    audio, text, owner = clotho_sized(20.0, 0)
    flat = np.ones_like(audio)
    base, good = scored(20.0, 1, "base"), scored(19.0, 2, "good")
    pair = {"base": base, "good": good}
    seeds = {n: [scored(noise, s, n) for s in range(3)] for n, noise in (("base", 20.0), ("good", 19.0))}
    work: dict[str, Callable[[], object]] = {
        "5,225 x 1,045, all metrics, both directions, sanity checks": lambda: all_numbers(audio, text, owner),
        "the same, ties in expectation": lambda: all_numbers(audio, text, owner, "expected"),
        "the same, a constant model": lambda: all_numbers(flat, text, owner, "expected"),
        "intervals of all 16 numbers, 10,000 resamples": lambda: replace(base).intervals,
        "compare two systems, t2a/R@1, 10,000 resamples": lambda: compare(pair),
        "compare two systems, t2a/MedR, 10,000 resamples": lambda: compare(pair, "t2a/MedR"),
        "compare two systems of three seeds, clips and seeds": lambda: compare(seeds),
    }
    for title, job in work.items():
        print(f"{title}: {cpu_seconds(job):.2f} s")
    if args.million:
        million()


if __name__ == "__main__":
    main()
