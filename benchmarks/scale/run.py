"""Measure the cost of a step, and the error of its loss, with a base of 10^5, 10^6 or 10^7 entries in mapped files.

    python benchmarks/scale/run.py --entries 100000 1000000 --out benchmarks/scale/results.json   # needs no data
    python benchmarks/scale/run.py --recorded runs/knowledge/recorded       # real features of knowledge/scenes.py

Generated embeddings are pairs around centers of unequal frequency with a gap between the two sides. The anchors of a
step are base rows plus noise (a cosine of about 0.9). The exact loss reads the whole base. Times are CPU seconds of
this process with one thread; memory excludes the mapped pages of the base. Two minutes for 10^5 entries, some twenty
for 10^6.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import torch
import torch.nn.functional as F

from askaudio.ask.objective import ASK
from askaudio.data.manifest import read_manifest
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.mapped import map_base
from askaudio.knowledge.injection.candidates import CandidateSampling
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.inverted_lists import InvertedLists
from askaudio.knowledge.refinement.policies import NeverRefine, RefineInParts
from askaudio.losses.ntxent import NTXent
from askaudio.models.minilm import MiniLMFeatures

CENTERS, NOISE = 2000, 1.1
TAU = 0.07


def cpu() -> float:
    return time.process_time()


def commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return asked.stdout.strip()


def memory_mb() -> dict[str, int]:
    """Held apart from files, and mapped from files, in MB."""
    found = psutil.Process().memory_info()
    return {"own": round((found.rss - found.shared) / 2**20), "files": round(found.shared / 2**20)}


class Clusters:
    """Pairs that can be made piece by piece: row j is the same whoever asks for it."""

    def __init__(self, dim: int, seed: int = 0) -> None:
        self.dim, self.seed = dim, seed
        g = torch.Generator().manual_seed(seed)
        self.centers = F.normalize(torch.randn(CENTERS, dim, generator=g), dim=1)
        self.gap = 0.3 * F.normalize(torch.randn(dim, generator=g), dim=0)
        share = 1.0 / torch.arange(1, CENTERS + 1) ** 0.8
        self.ends = torch.cumsum(share / share.sum(), 0)

    def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        g = torch.Generator().manual_seed(self.seed + 1 + int(rows[0]))
        own = torch.searchsorted(self.ends, torch.rand(len(rows), generator=g)).clamp_max(CENTERS - 1)
        shared = self.centers[own] + NOISE * torch.randn(len(rows), self.dim, generator=g) / self.dim**0.5
        apart = 0.6 * torch.randn(len(rows), self.dim, generator=g) / self.dim**0.5
        return F.normalize(shared + self.gap, dim=1), F.normalize(shared + apart - self.gap, dim=1)


def drifted(base: KnowledgeBase, rows: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    noise = 0.5 * torch.randn(2, len(rows), base.dim, generator=g) / base.dim**0.5
    audio, text = (F.normalize(x[rows].float() + n, dim=1) for x, n in zip((base.audio, base.text), noise, strict=True))
    return audio.requires_grad_(), text.requires_grad_()


def objective(base: KnowledgeBase, candidates: object, **options: object) -> ASK:
    return ASK(
        base, NTXent(TAU), fine=FineGrainedInjection(0), coarse=CoarseGrainedInjection(256), batch_weight=0.0,
        candidates=candidates, **({"refine": NeverRefine(), "coarse_weight": 0.0} | options),
    )  # fmt: skip


def measure(base: KnowledgeBase, sources: dict[str, object], batch: int, batches: int) -> dict[str, object]:
    """Losses, gradients and CPU times of the same batches, exact and by each source."""
    g = torch.Generator().manual_seed(11)
    picks = [torch.randperm(len(base), generator=g)[:batch] for _ in range(batches)]
    found: dict[str, object] = {}
    truth: list[tuple[float, torch.Tensor]] = []
    for name, source in {"exact": None, **sources}.items():
        started = cpu()
        ask = objective(base, source)
        prepared = cpu() - started
        losses, grads, spent = [], [], []
        for number, rows in enumerate(picks):
            audio, text = drifted(base, rows, number)
            ids = base.index.ids[rows]
            started = cpu()
            loss = ask(audio, text, ids).parts["fine"]
            (grad,) = torch.autograd.grad(loss, audio)
            spent.append(cpu() - started)
            losses.append(float(loss.detach()))
            grads.append(grad)
        row: dict[str, object] = {
            "prepare_s": round(prepared, 2), "step_ms": round(1000 * sorted(spent)[len(spent) // 2], 1),
            "loss": round(sum(losses) / len(losses), 4), "memory_mb": memory_mb(),
        }  # fmt: skip
        if source is None:
            truth = list(zip(losses, grads, strict=True))
        else:
            errors = [(mine - its) / its for mine, (its, _) in zip(losses, truth, strict=True)]
            cosines = [float(F.cosine_similarity(m.flatten(), t.flatten(), dim=0))
                       for m, (_, t) in zip(grads, truth, strict=True)]  # fmt: skip
            row |= {
                "loss_error_percent": round(100 * sum(errors) / len(errors), 3),
                "worst_batch_percent": round(100 * max(errors, key=abs), 3),
                "gradient_cosine": round(sum(cosines) / len(cosines), 4),
            }
        found[name] = row
        print(json.dumps({"entries": len(base), "by": name, **row}), flush=True)
    return found


def refresh_in_parts(base: KnowledgeBase, encode: object, parts: int, steps: int = 3) -> dict[str, object]:
    """CPU time of a part, its encoding (making the rows) apart, with prototypes kept."""
    inside = [0.0]

    def timed(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        started = cpu()
        rows_found = encode(rows)  # type: ignore[operator]
        inside[0] += cpu() - started
        return rows_found

    ask = objective(base, None, encode=timed, refine=RefineInParts(parts), coarse_weight=0.5)
    started = cpu()
    for _ in range(steps):
        ask.step_ended()
    whole = cpu() - started
    return {"parts": parts, "rows_a_part": len(base) // parts, "part_ms": round(1000 * (whole - inside[0]) / steps, 1)}


def recorded_base(folder: Path, dim: int) -> KnowledgeBase:
    """Real features of one space: the leading canonical directions of frozen audio features and text embeddings."""
    clips = read_manifest(folder / "train.jsonl")
    ids = torch.tensor([k for k, clip in enumerate(clips) for _ in clip.captions])  # (N,) clip of each caption
    x = torch.from_numpy(np.load(folder / "train.npz")["audio"])[ids]
    y = torch.from_numpy(MiniLMFeatures().features([c.text for clip in clips for c in clip.captions]))
    x, y = x - x.mean(0), y - y.mean(0)

    def whitener(z: torch.Tensor) -> torch.Tensor:
        values, vectors = torch.linalg.eigh(z.T @ z / len(z) + 1e-3 * z.var() * torch.eye(z.shape[1]))
        return vectors / values.sqrt()

    x, y = x @ whitener(x), y @ whitener(y)
    u, s, v = torch.linalg.svd(x.T @ y / len(x))
    strength = s[:dim].sqrt()
    return KnowledgeBase.from_pairs(ids, x @ u[:, :dim] * strength, y @ v.T[:, :dim] * strength)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="*", default=[])
    parser.add_argument("--recorded", type=Path)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--codec", default="SQ8")
    parser.add_argument("--folder", type=Path, help="where the files of the base lie meanwhile")
    parser.add_argument("--out", type=Path, help="JSON file to which results are added")
    args = parser.parse_args()
    torch.set_num_threads(1)
    about = {
        "date": str(date.today()), "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
        "torch": torch.__version__, "dim": args.dim, "batch": args.batch, "codec": args.codec, "temperature": TAU,
        "commit": commit(),
    }  # fmt: skip
    results = json.loads(args.out.read_text()) if args.out and args.out.exists() else []

    def keep(row: dict[str, object]) -> None:
        results.append({**about, **row})
        if args.out:
            args.out.write_text(json.dumps(results, indent=1) + "\n")

    if args.recorded:
        base = recorded_base(args.recorded, args.dim)
        sources = {"lists": InvertedLists(codec=args.codec), "cells": CandidateSampling()}
        keep({"data": "recorded", "entries": len(base), "by": measure(base, sources, args.batch, args.batches)})
    for n in args.entries:
        folder = Path(tempfile.mkdtemp(dir=args.folder))
        try:
            encode = Clusters(args.dim)
            started = cpu()
            base = map_base(folder / "base", torch.arange(n), args.dim, encode)
            made = round(cpu() - started, 1)
            sources = {"lists": InvertedLists(codec=args.codec), "cells": CandidateSampling()}
            by = measure(base, sources, args.batch, args.batches)
            parts = refresh_in_parts(base, encode, max(1, n // 1000))
            files = sum(path.stat().st_size for path in (folder / "base").iterdir()) // 2**20
            keep({"data": "clusters", "entries": n, "make_s": made, "files_mb": files, "by": by, "refresh": parts})
            print(json.dumps({"entries": n, "files_mb": files, "make_s": made, **parts}), flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
