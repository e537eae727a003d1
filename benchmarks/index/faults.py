"""Kill ingestion with -9 at random moments, and check that no entry is lost or duplicated.

    python benchmarks/index/faults.py --kills 200        # no data needed; some seconds a kill

Between kills, files are added, changed, renamed and deleted; after every kill a reader opens the collection and
searches it. Each writer and each reader is a process of its own. They are forked from this process before lancedb is
imported (which starts threads), so that the other imports are paid once. Exit code 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pyarrow  # noqa: F401  (once, for all forks)
import soundfile

import askaudio.cli.index  # noqa: F401
import askaudio.ingest.update as ingesting
from askaudio.cli import main as askaudio_command
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.check import check
from askaudio.engines.open import open_store

RATE_HZ = 16_000
FORK = get_context("fork")
ingesting._COMMIT_S = 0.0  # a commit for every file: the most moments to be killed at


def forked(work: Callable[..., int], *arguments: object) -> BaseProcess:
    """Run ``work`` in a process of its own, silently; its result is the exit code."""
    child = FORK.Process(target=_quietly, args=(work, *arguments))
    child.start()
    return child


def _quietly(work: Callable[..., int], *arguments: object) -> None:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    os._exit(work(*arguments))


def index(folder: Path, collection: Path) -> int:
    options = ["--model", "toy", "--workers", "1", "--json", "--remove-missing"]
    return askaudio_command(["index", str(folder), "--collection", str(collection), *options])


def read(collection: Path) -> int:
    """What a reader does after a kill: open and search."""
    with open_store(collection) as store:
        store.search(ToyEncoder().encode_text(["bell"])[0], 5)
    return 0


def tone(path: Path, chance: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = chance.choice([0.3, 1.0, 2.0, 25.0])
    wave = 0.4 * np.sin(2 * np.pi * chance.uniform(60, 7000) * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)
    soundfile.write(path, wave + 1e-3 * chance.random(), RATE_HZ)


def change(folder: Path, chance: random.Random, number: int) -> None:
    """A few things that people do to folders."""
    for n in range(6):
        tone(folder / f"{chance.randrange(5)}" / f"new_{number}_{n}.wav", chance)
    files = sorted(folder.rglob("*.wav"))
    tone(chance.choice(files), chance)
    chance.choice(files).rename(folder / f"renamed_{number}.wav")
    files = sorted(folder.rglob("*.wav"))
    if len(files) > 120:
        for path in chance.sample(files, 12):
            path.unlink()


def faults_of(collection: Path, folder: Path) -> list[str]:
    with open_store(collection) as store:
        stored = sorted(clip.path for clip in store.clips())
        there = sorted(str(path) for path in folder.rglob("*.wav"))
        found = [f"lost {p}" for p in sorted(set(there) - set(stored))]
        found += [f"too many {p}" for p in sorted(set(stored) - set(there))]
        found += [f"doubled {p}" for p in stored if stored.count(p) > 1]
        ids = [e.entry_id for e in store.iterate(vectors=False)]
        return [*found, *(f.what for f in check(store)), *(["an id twice"] if len(ids) != len(set(ids)) else [])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    folder, collection = root / "sounds", root / "collection"
    for n in range(40):
        tone(folder / f"first_{n}.wav", chance)
    kills, rounds, opened, unreadable = 0, 0, 0, 0
    started = time.monotonic()
    forked(index, folder, collection).join()  # how long a whole run takes here: kills fall at any moment of it
    full_s = time.monotonic() - started
    while kills < args.kills:
        rounds += 1
        change(folder, chance, rounds)
        started = time.monotonic()
        child = forked(index, folder, collection)
        child.join(timeout=chance.uniform(0.0, 1.1) * full_s)
        if child.exitcode is not None:
            full_s = 0.5 * full_s + 0.5 * (time.monotonic() - started)
        else:
            child.kill()
            child.join()
            kills += 1
            if kills % 20 == 0:
                print(f"{kills} kills", file=sys.stderr, flush=True)
        if (collection / "collection.json").exists():
            reader = forked(read, collection)
            reader.join()
            opened += 1
            unreadable += reader.exitcode != 0
    last = forked(index, folder, collection)
    last.join()
    faults = [] if last.exitcode == 0 else [f"the last run ended with {last.exitcode}"]
    faults += [f"{unreadable} times it could not be opened"] if unreadable else []
    faults += faults_of(collection, folder)
    files = len(list(folder.rglob("*.wav")))
    found = {"kills": kills, "rounds": rounds, "opened": opened, "run_s": round(full_s, 1), "files": files}
    print(json.dumps({**found, "faults": faults[:20]}))
    shutil.rmtree(root)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
