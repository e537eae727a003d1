"""Measure steps a second of a real-sized tower on a GPU, plain against ASK with 50 k, 500 k and 5 M entries.

    python benchmarks/gpu/run.py --out benchmarks/gpu/results.json      # needs a GPU, no data
    python benchmarks/gpu/run.py --tiny                                 # the same code on a CPU, nothing is written

The model is the trained CNN tower over log-mels of 10 s and a projection of text features, D = 512, B = 64. ASK has
K = 0, 256 prototypes, and a base in half precision on the device. Each line is the median over ``--steps`` steps after
a warm-up, with and without torch.compile, in bfloat16; refresh time and memory are measured too. Results have the date,
the device, the commit, and the versions of torch and driver.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F

from askaudio.ask.objective import ASK
from askaudio.knowledge.base.entries import EntryIndex
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.refinement.policies import RefineEverySteps
from askaudio.losses.ntxent import NTXent
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection

TEXT = 384


def commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return asked.stdout.strip()


def model_of(dim: int) -> DualEncoder:
    torch.manual_seed(0)
    tower = CnnAudioTower(64)
    return DualEncoder(Projection(tower.dim, dim, 1024), Projection(TEXT, dim, 1024), tower, learn_temperature=False)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def median_ms(step: Callable[[], None], steps: int, warm: int, device: torch.device) -> float:
    spent = []
    for number in range(warm + steps):
        wait(device)
        started = time.perf_counter()
        step()
        wait(device)
        if number >= warm:
            spent.append(1000 * (time.perf_counter() - started))
    return sorted(spent)[len(spent) // 2]


def base_on(device: torch.device, n: int, dim: int) -> KnowledgeBase:
    """Random directions, made on the device: what a step costs does not depend on their values."""
    g = torch.Generator(device.type).manual_seed(0)
    rows = []
    for _ in range(2):
        table = torch.empty(n, dim, dtype=torch.bfloat16, device=device)
        for start in range(0, n, 1 << 18):
            piece = table[start : start + (1 << 18)]
            piece.copy_(F.normalize(torch.randn(piece.shape, generator=g, device=device), dim=1))
        rows.append(table)
    return KnowledgeBase(EntryIndex(torch.arange(n), "training", torch.ones(n, dtype=torch.bool)), *rows)


def measure(device: torch.device, n: int, args: argparse.Namespace, compiled: bool, sampled: bool) -> dict[str, object]:
    """One line: N = 0 is the plain loss."""
    model = model_of(args.dim).to(device).train()
    if compiled:
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    mel = torch.randn(args.batch, 64, args.frames, device=device)
    frames = torch.full((args.batch,), args.frames, device=device)
    text = torch.randn(args.batch, TEXT, device=device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def embed(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return model((mel[:count], frames[:count]), text[:count])

    @torch.no_grad()
    def encode(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(device.type, torch.bfloat16):
            pieces = [embed(min(args.batch, len(rows) - at)) for at in range(0, len(rows), args.batch)]
        return torch.cat([a for a, _ in pieces]).float(), torch.cat([t for _, t in pieces]).float()

    base = base_on(device, n, args.dim) if n else None
    ask = ASK(
        base, NTXent(0.07), encode=encode, fine=FineGrainedInjection(0), coarse=CoarseGrainedInjection(256),
        refine=RefineEverySteps(10**9), candidates=CandidateSampling() if sampled else None,
    ).to(device)  # fmt: skip
    draws = torch.Generator().manual_seed(1)

    def step() -> None:
        ids = torch.randperm(max(n, args.batch), generator=draws)[: args.batch] if n < 10**6 else torch.randint(
            n, (args.batch,), generator=draws
        ).unique()  # fmt: skip
        with torch.autocast(device.type, torch.bfloat16):
            audio, words = embed(len(ids))
        loss = ask(F.normalize(audio.float(), dim=1), F.normalize(words.float(), dim=1), ids).total
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        ask.step_ended()

    ms = median_ms(step, args.steps, args.warm, device)
    row: dict[str, object] = {
        "entries": n, "compile": compiled, "candidates": sampled, "step_ms": round(ms, 2),
        "steps_per_s": round(1000 / ms, 2),
    }  # fmt: skip
    if n and n <= args.most_refreshed and not sampled:
        model.eval()
        wait(device)
        started = time.perf_counter()
        ask.refresh()
        wait(device)
        row["refresh_s"] = round(time.perf_counter() - started, 1)
    if device.type == "cuda":
        row["peak_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="run on a CPU, small, to see that the code works")
    parser.add_argument("--entries", type=int, nargs="*", default=[50_000, 500_000, 5_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--warm", type=int, default=10)
    parser.add_argument("--most-refreshed", type=int, default=500_000, help="largest base that is encoded again")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available() and not args.tiny:
        print("no GPU here: nothing was measured. See that the code runs with: python benchmarks/gpu/run.py --tiny")
        return 0
    device = torch.device("cpu" if args.tiny else "cuda")
    if args.tiny:
        args.entries, args.dim, args.batch, args.frames, args.steps, args.warm = [300], 16, 4, 64, 2, 1
    about = {
        "date": str(date.today()), "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu, tiny",
        "torch": torch.__version__, "cuda": torch.version.cuda, "dim": args.dim, "batch": args.batch,
        "commit": commit(),
    }  # fmt: skip
    print(json.dumps(about))
    rows = []
    for compiled in (False,) if args.tiny else (False, True):
        for n, sampled in [(0, False), *((n, False) for n in args.entries), (args.entries[-1], True)]:
            rows.append(measure(device, n, args, compiled, sampled))
            print(json.dumps(rows[-1]), flush=True)
    if args.out and not args.tiny:
        kept = json.loads(args.out.read_text()) if args.out.exists() else []
        args.out.write_text(json.dumps([*kept, {**about, "rows": rows}], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
