"""Measure the embedded store with a million entries against its goals, on one core.

    python benchmarks/index/speed.py --encoder ENCODER --rows 1000000           # 12 CPU-minutes, 6 GB of disk

ENCODER is an encoder folder with D = 512 (``askaudio train sounds ... model.embed_dim=512``, then ``askaudio export
--precision int8``). The rows come from ``embeddings.py``, and are made first if ``--data`` does not contain them. Every
step runs in a new process, so memory and opening times are those of a fresh start. Each figure is printed as a line of
JSON, and the table of all is written to ``results.md``.

Times are wall and CPU times. On a shared machine only CPU times can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import embeddings
import numpy as np
import psutil

from askaudio.encoders.onnx import OnnxEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.index.store import VectorStore
from askaudio.search.engine import SearchEngine

BATCH = 20_000
STEPS = ("build", "open", "search", "engine", "add")
RESULTS = Path(__file__).with_name("results.md")


class Clock:
    """Wall and CPU seconds of a block."""

    def __enter__(self) -> Clock:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu


def report(figure: str, goal: str, wall: str, cpu: str = "") -> None:
    print(json.dumps({"figure": figure, "goal": goal, "wall": wall, "cpu": cpu}), flush=True)


def resident() -> tuple[str, str]:
    """Memory of this process now and at most."""
    now, most = psutil.Process().memory_info().rss / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return f"{now:.0f} MB", f"{most:.0f} MB"


def entries(rows: np.ndarray, texts: list[str], start: int, stop: int) -> Iterator[Entry]:
    """Ten windows a recording, with metadata as ingestion writes it; file names are the texts of real sounds."""
    for n in range(start, stop):
        clip = n // 10
        title = texts[clip % len(texts)]
        facts = {"duration_s": 10.0 + clip % 7, "channels": 1 + clip % 2, "sample_rate_hz": 48000, "format": "wav",
                 "tags": title.split()[:3], "windows": 10, "content_hash": f"{clip:064x}", "size_bytes": 960_044,
                 "stamp": f"960044:{clip}/", "modified_s": 1.7e9 + clip}  # fmt: skip
        path = f"/library/{clip % 500:03d}/{title.replace('/', ' ')} {clip // len(texts):04d}.wav"
        yield Entry(f"{clip:016x}#{n % 10:05d}", f"{clip:016x}", rows[n], n % 10, n % 10 + 1.0, path, facts)


def build(data: Path, out: Path, identity: Identity) -> None:
    rows, texts = np.load(data / "rows.npy", mmap_mode="r"), json.loads((data / "texts.json").read_text())
    with Clock() as adding, open_store(out, "w", identity) as store:
        for start in range(0, len(rows), BATCH):
            store.add(entries(rows, texts, start, min(len(rows), start + BATCH)))
    report(f"adding {len(rows):,} entries, {BATCH:,} at a time", "", f"{adding.wall:.0f} s", f"{adding.cpu:.0f} s")
    with Clock() as saving, open_store(out, "w", identity) as store:
        store.save()
    report("building the search cache", "", f"{saving.wall:.0f} s", f"{saving.cpu:.0f} s")
    report("memory while building, most (mapped source rows included)", "", resident()[1])


def truth(data: Path, queries: np.ndarray) -> np.ndarray:
    """Ten nearest rows by exact search, in blocks -> (Q, 10)."""
    rows = np.load(data / "rows.npy", mmap_mode="r")
    best = np.full((len(queries), 10), -2.0, np.float32)
    ids = np.full((len(queries), 10), -1)
    for start in range(0, len(rows), 20_000):
        scores = queries @ np.asarray(rows[start : start + 20_000]).T
        near = np.argpartition(-scores, 10, axis=1)[:, :10]
        best = np.concatenate([best, np.take_along_axis(scores, near, 1)], axis=1)
        ids = np.concatenate([ids, start + near], axis=1)
        top = np.argpartition(-best, 10, axis=1)[:, :10]
        best, ids = np.take_along_axis(best, top, 1), np.take_along_axis(ids, top, 1)
    return ids


def recall(store: VectorStore, queries: np.ndarray, true: np.ndarray) -> float:
    hits = store.search(queries, 10)
    found = [{int(m.entry_id[:16], 16) * 10 + int(m.entry_id[17:]) for m in row} for row in hits]
    return float(np.mean([len(f & set(t.tolist())) / 10 for f, t in zip(found, true, strict=True)]))


def opening(out: Path) -> None:
    """What a fresh process waits for after its imports."""
    import faiss  # noqa: F401

    with Clock() as clock, open_store(out) as store:
        store.count()
    report("open", "1 s", f"{clock.wall:.2f} s", f"{clock.cpu:.2f} s")


def searching(data: Path, out: Path) -> None:
    store = open_store(out)
    store.count()
    for kind in ("text", "sound"):
        queries = np.load(data / f"{kind}_queries.npy")[:1000]
        share = recall(store, queries, truth(data, queries))  # warms the files up, too
        with Clock() as clock:
            for start in range(0, len(queries), 100):
                store.search(queries[start : start + 100], 10)
        rate = f"{len(queries) / clock.wall:.0f}/s", f"{len(queries) / clock.cpu:.0f}/s"
        report(f"recall@10 of {len(queries)} {kind} queries", "0.98", f"{share:.4f}")
        report(f"{kind} queries a second", "1,000/s", *rate)
    queries = np.load(data / "text_queries.npy")[:100]
    for where in ("tag=rain", "duration<12 and channels=2", "clip_id=0000000000000007"):
        with Clock() as clock:
            store.search(queries, 10, where)
        report(f"one query with {where}", "", f"{clock.wall * 10:.2f} ms", f"{clock.cpu * 10:.2f} ms")
    store.close()


def engine_latency(data: Path, out: Path) -> None:
    """Whole searches, each with a text that is new to the cache: text tower, vectors, words, duplicates, metadata."""
    texts = json.loads((data / "texts.json").read_text())[-600:]
    with SearchEngine.open(out) as engine:
        engine.encoder.threads = 1  # type: ignore[attr-defined]
        for text in texts[:100]:
            engine.search(text)
        for words, label in ((True, "engine"), (False, "engine, vectors only")):
            taken = []
            for text in texts[100:]:
                asked = f"{text} nearby" if words else f"{text} far away"  # never seen before, so always encoded
                with Clock() as clock:
                    engine.search(asked, words=words)
                taken.append((clock.wall, clock.cpu))
            wall, cpu = (np.percentile([t[i] for t in taken], [50, 99]) * 1000 for i in (0, 1))
            report(f"{label}, new text: p50", "5 ms", f"{wall[0]:.2f} ms", f"{cpu[0]:.2f} ms")
            report(f"{label}, new text: p99", "20 ms", f"{wall[1]:.2f} ms", f"{cpu[1]:.2f} ms")
        with Clock() as clock:
            for text in texts[100:]:
                engine.encoder.encode_text([f"{text} alone"])
        each = 1000 / len(texts[100:])
        report("of which the text tower, mean", "", f"{clock.wall * each:.2f} ms", f"{clock.cpu * each:.2f} ms")
        report("resident (second: most)", "700 MB", *resident())


def adding(data: Path, out: Path, identity: Identity) -> None:
    """1,000 recordings of one window each, three times; then the next reader's open."""
    rows, texts = np.load(data / "rows.npy", mmap_mode="r"), json.loads((data / "texts.json").read_text())
    made = list(entries(np.asarray(rows[:1000]), texts, 0, 1000))
    with open_store(out, "w", identity) as store:
        store.count()
        for again in range(3):
            fresh = [Entry(f"new{again}{n:05d}#0", f"new{again}{n:05d}", e.vector, 0, 1, e.path, e.metadata)
                     for n, e in enumerate(made)]  # fmt: skip
            with Clock() as clock:
                store.add(fresh)
            with Clock() as look:
                store.search(fresh[0].vector, 1)
            report(f"adding 1,000 clips, time {again + 1}", "1 s", f"{clock.wall:.2f} s", f"{clock.cpu:.2f} s")
            report("the search after it", "", f"{look.wall:.2f} s", f"{look.cpu:.2f} s")
        with Clock() as clock:
            store.save()
        report("save after them", "", f"{clock.wall:.2f} s", f"{clock.cpu:.2f} s")
    with Clock() as clock, open_store(out) as store:
        store.count()
    report("open after them", "1 s", f"{clock.wall:.2f} s", f"{clock.cpu:.2f} s")


def write_results(figures: list[dict[str, str]], made: dict[str, object]) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f} at the end"
    lines = [
        "# The embedded store, measured",
        "",
        f"`python benchmarks/index/speed.py --rows {made['rows']}` at {commit.stdout.strip()}, "
        f"{datetime.now(UTC):%Y-%m-%d}; {machine}; one thread; seed 0. Rows: {made['rows']:,} of 512 numbers, of which "
        f"{made['encoded']:,} were encoded (windows of {made['recordings']:,} real recordings and one altered copy of "
        f"each), the others are such windows with the change that alteration made to another window (median length "
        f"{made['change_length']}); see the head of `embeddings.py`. Texts are the recordings' own.",
        "",
        "| figure | goal | wall | CPU |",
        "|---|---|---|---|",
        *(f"| {f['figure']} | {f['goal']} | {f['wall']} | {f['cpu']} |" for f in figures),
        "",
    ]
    RESULTS.write_text("\n".join(lines))


def step(args: argparse.Namespace) -> None:
    encoder = OnnxEncoder(args.encoder)
    identity = Identity.of(encoder, str(args.encoder.resolve()))
    work = {
        "build": lambda: build(args.data, args.out, identity),
        "open": lambda: opening(args.out),
        "search": lambda: searching(args.data, args.out),
        "engine": lambda: engine_latency(args.data, args.out),
        "add": lambda: adding(args.data, args.out, identity),
    }
    work[args.step]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    embeddings.add_arguments(parser)
    parser.add_argument("--data", type=Path, default=Path("/tmp/askaudio-rows"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="collection to build (default: beside the rows)")
    parser.add_argument("--step", choices=STEPS, help="one step only, without results.md")
    args = parser.parse_args()
    args.out = args.out or args.data / "collection"
    if args.step:
        step(args)
        return
    if args.out.exists():
        sys.exit(f"{args.out} is there already: remove it, so that building is measured from nothing")
    if not (args.data / "made.json").exists():
        embeddings.make(args.manifest, args.encoder, args.recordings, args.rows, args.data)
    figures = []
    for name in STEPS:
        command = [sys.executable, __file__, "--step", name, "--encoder", args.encoder, "--data", args.data,
                   "--out", args.out]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            for line in child.stdout or ():
                print(line, end="", flush=True)
                figures.append(json.loads(line))
        if child.returncode:
            sys.exit(f"the step {name} failed")
    write_results(figures, json.loads((args.data / "made.json").read_text()))


if __name__ == "__main__":
    main()
