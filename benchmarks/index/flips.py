"""Flip random bits in the files of collections, and check that none of them is silent.

    python benchmarks/index/flips.py --flips 2000        # no data needed; half a second a flip

For each flip, one bit of one file (of the table or of the search cache) is changed in a copy of a collection. Then the
copy is searched, listed, checked, repaired, and checked, searched and listed again. Reported are:

silent       answers differ from the undamaged collection while ``check`` finds no fault
traceback    an error that is not an ``AskAudioError``
crashed      the process died, or took more than a minute
unrepaired   ``repair`` failed, or ``check`` finds faults after it
lost         entries that are missing after ``repair``, flips in the cache and in the table
wrong        searches without ``check`` that returned other hits than before and no error (they are no silent flips if
             ``check`` finds the fault)

Half of the collections have 60 entries; the others have 1,000, an accelerator, and files that are too large to be
verified when they are opened (the limits are lowered for this). Exit code 1 if anything is silent or lost, a traceback,
a crash or unrepaired.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import AskAudioError
from askaudio.core.types import Json
from askaudio.engines.check import check, repair
from askaudio.engines.local import cache, columns, view
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.index.store import VectorStore

DIM = 64
IDENTITY = Identity("feedfacecafebeef", DIM, "toy:dim=64")
SIZES = (60, 1_000)
LIMIT_S = 60.0
QUERIES = np.random.default_rng(1).standard_normal((4, DIM)).astype(np.float32)


def make_entries(count: int) -> list[Entry]:
    """Entries of ``count / 3`` recordings with metadata of every kind."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        clip = number // 3
        facts: dict[str, Any] = {
            "duration_s": float(1 + clip % 9),
            "channels": 1 + clip % 2,
            "tags": ["rain" if clip % 3 else "wind", f"kit {clip % 4}"],
            "caption": f"a door slams {clip} times",
            "windows": 3 if clip < count // 3 else count % 3,
        }
        path, vector = f"/sounds/Take{clip % 5}/door_{clip:04d}.wav", rng.standard_normal(DIM).astype(np.float32)
        found.append(
            Entry(f"c{clip:05d}#{number % 3}", f"c{clip:05d}", vector, number % 3, number % 3 + 1.5, path, facts)
        )
    return found


def lower_limits(size: int) -> None:
    """Make the larger collection behave as one of a million entries does."""
    large = size > SIZES[0]
    cache.IN_MEMORY = columns.IN_MEMORY = 200 if large else 20_000
    view._SCAN = 50 if large else 5_000
    cache.AT_OPEN = 2_000 if large else 16_000_000


def build(folder: Path, size: int) -> None:
    """A collection with a base, a delta, deleted rows and a table of several files."""
    lower_limits(size)
    entries = make_entries(size)
    with open_store(folder, "w", IDENTITY) as store:
        for start in range(0, size - 12, size // 2):
            store.add(entries[start : min(start + size // 2, size - 12)])
        store.save()
        store.add(entries[size - 12 :])
        store.delete("clip_id=c00004")
        store.save()


def answers(store: VectorStore) -> list[Any]:
    """Results of searches with and without filters, of words, and of the list of recordings."""
    found: list[Any] = [
        [(m.entry_id, m.clip_id, m.score, m.start_s, m.end_s, m.path, dict(m.metadata)) for m in row]
        for query, where in zip(QUERIES, (None, "tag=rain", "duration<4 and channels=2", "caption~door"), strict=True)
        for row in store.search(query, 8, where)
    ]
    found.append([(w.clip_id, w.score) for w in store.find_words("door slams 7", 10)])
    found.append([(c.clip_id, c.path, c.windows, dict(c.metadata)) for c in store.clips()])
    return found


def attempt(work: Callable[[], Any], found: Json, name: str) -> Any:
    """The result of a step; None after an error, which is noted."""
    try:
        return work()
    except AskAudioError as error:
        found["refused"].append(f"{name}: {error}")
    except Exception as error:
        found["traceback"].append(f"{name}: {error!r}"[:300])
    return None


def reading(folder: Path) -> list[Any]:
    with open_store(folder) as store:
        return answers(store)


def checking(folder: Path) -> list[str]:
    with open_store(folder) as store:
        return [fault.what for fault in check(store)]


def repairing(folder: Path) -> set[str]:
    """Repair; returns the ids of the entries that are left."""
    with open_store(folder, "w") as store:
        repair(store, check(store))
        return {entry.entry_id for entry in store.iterate(vectors=False)}


def flip(folder: Path, chance: random.Random) -> str:
    """Change one bit of one file; files and places have equal chances. Returns where."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size and p.name != ".writer.lock")
    path = chance.choice(files)
    data = bytearray(path.read_bytes())
    place, bit = chance.randrange(len(data)), chance.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.relative_to(folder)}:{place}.{bit}"


def one(number: int, seed: int, root: Path) -> Json:
    """One flip and everything after it."""
    chance = random.Random(f"{seed}/{number}")
    size = SIZES[number % 2]
    lower_limits(size)
    folder = root / f"copy{number}"
    shutil.copytree(root / str(size), folder)
    found: Json = {"number": number, "refused": [], "traceback": [], "where": flip(folder, chance)}
    true = json.loads((root / f"{size}.json").read_text())
    got = attempt(lambda: reading(folder), found, "search")
    faults = attempt(lambda: checking(folder), found, "check")
    found["wrong"] = got is not None and json.loads(json.dumps(got)) != true["answers"]
    found["noticed"] = faults != []
    left = attempt(lambda: repairing(folder), found, "repair")
    found["lost"] = len(set(true["ids"]) - left) if left is not None else 0
    again = attempt(lambda: checking(folder), found, "check after repair")
    found["unrepaired"] = left is None or again != []
    after = attempt(lambda: reading(folder), found, "search after repair")
    found["wrong_after"] = after is not None and not found["lost"] and json.loads(json.dumps(after)) != true["answers"]
    shutil.rmtree(folder)
    return found


def worker(start: int, end: int, seed: int, root: Path, out: Any) -> None:
    for number in range(start, end):
        out.send(one(number, seed, root))


def run(flips: int, seed: int, root: Path) -> list[Json]:
    """All flips, in a process that is replaced when it dies or hangs."""
    context, results = get_context("spawn"), []
    while len(results) < flips:
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=worker, args=(len(results), flips, seed, root, send))
        child.start()
        send.close()
        try:
            while len(results) < flips:
                if not receive.poll(LIMIT_S + (30.0 if not results else 0.0)):
                    raise EOFError
                results.append(receive.recv())
                if len(results) % 100 == 0:
                    print(f"{len(results)} flips", file=sys.stderr, flush=True)
        except EOFError:
            results.append({"number": len(results), "crashed": True})
        child.kill()
        child.join()
    return results


def summary(results: list[Json]) -> Json:
    """Counts of every kind of result."""
    count: Counter[str] = Counter()
    for r in results:
        part = "cache" if str(r.get("where", "")).startswith("cache") else "table"
        count["crashed"] += bool(r.get("crashed"))
        count["silent"] += bool((r.get("wrong") and not r["noticed"]) or r.get("wrong_after"))
        count["traceback"] += bool(r.get("traceback"))
        count["unrepaired"] += bool(r.get("unrepaired"))
        count["wrong"] += bool(r.get("wrong"))
        count["refused"] += bool(r.get("refused"))
        count["noticed"] += bool(r.get("noticed"))
        count[f"lost_{part}"] += int(r.get("lost", 0))
        count[f"flips_{part}"] += 1
    return dict(count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="flips-"))
    for size in SIZES:
        build(root / str(size), size)
        with open_store(root / str(size)) as store:
            true = {"answers": answers(store), "ids": [e.entry_id for e in store.iterate(vectors=False)]}
        (root / f"{size}.json").write_text(json.dumps(true))
    started = time.monotonic()
    results = run(args.flips, args.seed, root)
    count = summary(results)
    bad = [r for r in results if r.get("crashed") or r.get("traceback") or r.get("unrepaired") or r.get("lost")]
    bad += [r for r in results if (r.get("wrong") and not r["noticed"]) or r.get("wrong_after")]
    for r in bad[:40]:
        print(json.dumps(r))
    print(json.dumps({"flips": len(results), "minutes": round((time.monotonic() - started) / 60, 1), **count}))
    shutil.rmtree(root)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
