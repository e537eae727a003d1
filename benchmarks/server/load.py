"""Load the server with 50 clients for a minute: no error, and p99 at most 10 times the p50 of one client.

    python benchmarks/server/load.py                      # generated sounds, toy encoder
    python benchmarks/server/load.py --collection DIR     # your collection (name the model in the log)

A client behaves like a person with the page: it searches, requests waveforms, plays a piece, and pauses for about a
second (``--think``). The same mix is measured with one client first, in the same run. ``--flood`` measures 50 programs
without pauses instead; latency is then the length of the queue, and the figure is requests/s.
Every visit also requests ``/v1/health``, which does no work: its latency is the share of the machine and of this
script; the rest is the search's. Prints one JSON value; exit code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
from serving import make_collection, resident_mb, served

WORDS = ["low hum", "high whistle", "bell", "engine rumble", "bird", "siren", "thunder", "cricket", "alarm", "hiss"]


class Client:
    """One kept connection that speaks just enough HTTP to cost the measuring process little."""

    def __init__(self, port: int, seed: int) -> None:
        self.port, self.random = port, random.Random(seed)
        self.reader: asyncio.StreamReader | None = None

    async def ask(self, path: str, headers: str = "") -> tuple[int, bytes]:
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        body = await self.reader.readexactly(length)
        if "connection: close" in head:
            self.reader = None
        return int(head.split()[1]), body

    async def visit(self, note: dict[str, list[float]], errors: list[str]) -> None:
        """A search; sometimes waveforms of its hits and a piece of one's audio."""
        await self._timed("health", "/v1/health", note, errors)
        query = f"{self.random.choice(WORDS)} {self.random.randrange(10_000)}"
        body = await self._timed("search", f"/v1/search?q={quote(query)}&top_k=20", note, errors)
        hits = json.loads(body or b"{}").get("hits", [])
        if not hits:
            return
        clip = quote(self.random.choice(hits)["clip_id"], safe="")
        if self.random.random() < 0.5:
            await self._timed("peaks", f"/v1/clips/{clip}/peaks?points=400", note, errors)
        if self.random.random() < 0.3:
            await self._timed("audio", f"/v1/clips/{clip}/audio", note, errors, "Range: bytes=0-65535\r\n")
        if self.random.random() < 0.2:
            await self._timed("similar", f"/v1/similar?clip_id={clip}", note, errors)

    async def _timed(self, kind: str, path: str, note: dict, errors: list[str], headers: str = "") -> bytes:
        started = time.perf_counter()
        try:
            status, body = await asyncio.wait_for(self.ask(path, headers), 30)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            errors.append(f"{kind}: {type(error).__name__}")
            self.reader = None
            return b""
        note[kind].append(1000 * (time.perf_counter() - started))
        if status not in (200, 206):
            errors.append(f"{kind}: status {status}")
        return body


async def run_clients(port: int, count: int, seconds: float, think_s: float) -> tuple[dict, list[str], float]:
    note: dict[str, list[float]] = defaultdict(list)
    errors: list[str] = []
    until = time.perf_counter() + seconds

    async def person(seed: int) -> None:
        client = Client(port, seed)
        await asyncio.sleep(client.random.random() * think_s)
        while time.perf_counter() < until:
            await client.visit(note, errors)
            await asyncio.sleep(think_s * client.random.uniform(0.5, 1.5))

    started = time.perf_counter()
    await asyncio.gather(*(person(seed) for seed in range(count)))
    return note, errors, time.perf_counter() - started


def summary(note: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    return {
        kind: {"n": len(ms), "p50_ms": round(float(np.median(ms)), 2), "p99_ms": round(float(np.quantile(ms, 0.99)), 2)}
        for kind, ms in sorted(note.items())
    }


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def measure(collection: Path | str, args: argparse.Namespace) -> dict:
    think_s = 0.0 if args.flood else args.think
    with served(collection, rate_per_s=0) as (port, process):
        asyncio.run(run_clients(port, 2, 3.0, 0.0))  # warm
        alone, first_errors, _ = asyncio.run(run_clients(port, 1, min(args.seconds, 20.0), min(think_s, 0.1)))
        before, cpu_before = resident_mb(process), cpu_seconds(process)
        many, errors, took_s = asyncio.run(run_clients(port, args.clients, args.seconds, think_s))
        ratio = {kind: float(np.quantile(many[kind], 0.99) / np.median(alone[kind])) for kind in ("search", "health")}
        return {
            "clients": args.clients,
            "seconds": args.seconds,
            "think_s": think_s,
            "one": summary(alone),
            "many": summary(many),
            "requests_per_s": round(sum(map(len, many.values())) / took_s, 1),
            "server_cpu_ms_per_request": round(
                1000 * (cpu_seconds(process) - cpu_before) / sum(map(len, many.values())), 2
            ),
            "errors": len(errors) + len(first_errors),
            "first_errors": (first_errors + errors)[:5],
            "p99_over_single_p50": round(ratio["search"], 2),
            "health_p99_over_single_p50": round(ratio["health"], 2),
            "load_average": round(os.getloadavg()[0], 1),
            "resident_mb": [round(before), round(resident_mb(process))],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", help="instead of generated sounds")
    parser.add_argument("--clips", type=int, default=500, help="generated sounds (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--think", type=float, default=1.0, help="mean pause of a person in seconds")
    parser.add_argument("--flood", action="store_true", help="no pause at all")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args.collection or make_collection(Path(folder), args.clips), args)
    print(json.dumps(found, indent=2))
    return int(found["errors"] > 0 or (not args.flood and found["p99_over_single_p50"] > 10))


if __name__ == "__main__":
    sys.exit(main())
