"""Time and memory of the search for copies in a large collection, without decoding: random fingerprints, 1 % copies.

    python benchmarks/duplicates/scale.py --sounds 100000 --seconds 5

The copies have 8 % of their bits flipped, weak bits first. Decoding and fingerprinting are not part of it: they are
done once for each new file, at 190 times real time for opus on one core (7,738 files).
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from askaudio.checks.fingerprints import HOP_S, WEAK, Fingerprint
from askaudio.duplicates import prints
from askaudio.duplicates.candidates import candidates
from askaudio.duplicates.pairs import MOST_BIT_ERROR, best_offset
from askaudio.duplicates.prints import PrintCache


def random_print(rng: np.random.Generator, n: int) -> Fingerprint:
    weak = np.argsort(rng.random((n, 32), dtype=np.float32), axis=1)[:, :WEAK].astype(np.uint8)
    return Fingerprint(rng.integers(1, 2**32, n, dtype=np.uint32), weak)


def copy_of(one: Fingerprint, rng: np.random.Generator) -> Fingerprint:
    words = one.words.copy()
    for k in range(WEAK):  # each weak bit is wrong with 50 %, and one other bit with 60 %
        words ^= (rng.random(len(words)) < 0.5).astype(np.uint32) << (31 - one.weak[:, k].astype(np.uint32))
    words ^= (rng.random(len(words)) < 0.6).astype(np.uint32) << rng.integers(0, 32, len(words), dtype=np.uint32)
    return Fingerprint(words, one.weak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    keys = [str(k) for k in range(args.sounds)]
    truth = set()
    with tempfile.TemporaryDirectory() as folder, PrintCache(Path(folder) / "prints.sqlite") as cache:
        one = random_print(rng, 1)
        for k in range(args.sounds):
            if k % 100 == 1:
                one = copy_of(one, rng)
                truth.add((k - 1, k))
            else:
                one = random_print(rng, round(args.seconds / HOP_S))
            cache._db.execute("INSERT INTO prints VALUES (?, ?)", (keys[k], prints._packed(one)))
        cache._db.commit()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, clock = time.process_time(), time.monotonic()
        found, proposed = set(), 0
        for first, second, vote in candidates(cache, keys):
            proposed += 1
            a, b = cache.get(keys[first]), cache.get(keys[second])
            if best_offset(a.words, b.words, vote)[1] < MOST_BIT_ERROR:
                found.add((first, second))
        figures = {
            "sounds": args.sounds, "seconds": args.seconds, "proposed": proposed, "found": len(found & truth),
            "copies": len(truth), "wrong": len(found - truth), "cpu_s": round(time.process_time() - began, 1),
            "s": round(time.monotonic() - clock, 1),
            "memory_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
        }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
