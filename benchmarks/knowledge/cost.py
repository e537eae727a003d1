"""Measure what a training step costs with knowledge: plain and ASK side by side, in CPU time of one thread.

    python benchmarks/knowledge/cost.py            # about a minute of one core; writes cost.json and cost.md

Random inputs, no data needed. Two settings: projections over frozen features (B = 24, N = 7,000, D = 256), where the
loss is most of a step, and a trained CNN on ten-second log-mels (B = 32, N = 50,000, D = 512). Steps of all rows
alternate, so that other load slows all of them alike; the ratio is that of medians. Whole steps are measured: encode,
loss, backward, optimizer.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from askaudio.ask.objective import ASK
from askaudio.core.files import write_json, write_text
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling, CandidateTurns
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.refinement.policies import NeverRefine
from askaudio.losses.ntxent import NTXent
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.projection import Projection

EVERY = (8, 32)  # a step reads one in so many entries, as in the benchmark's rows


def machine() -> str:
    """Processor, its support for bfloat16 products, and torch's version."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    known = {key.strip(): value for key, value in found.items()}
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in known.get("flags", "").split()]
    name = known.get("model name", platform.machine()).strip()
    return f"{name} ({', '.join(flags) or 'no bfloat16 products'}), 1 thread, torch {torch.__version__}"


class Head(nn.Module):
    """A projection with rows of length 1."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.projection = Projection(inputs, dim, 512, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.projection(x), dim=-1)


class CnnWithHead(nn.Module):
    """The library's trainable tower on (B, 64, T) log-mels, with a projection."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.tower = CnnAudioTower(64)
        self.head = Head(self.tower.dim, dim)

    def forward(self, mel: Tensor) -> Tensor:
        frames = torch.full((len(mel),), mel.shape[2])
        return self.head(self.tower(mel, frames))


def rows_of(dim: int, n: int, random: Callable[..., Tensor]) -> dict[str, ASK]:
    """Objectives to compare, over a random base of n entries."""
    base = KnowledgeBase.from_pairs(list(range(n)), random(n, dim), random(n, dim))

    def ask(**changed: object) -> ASK:
        fine, coarse = FineGrainedInjection(k=0), CoarseGrainedInjection(256, iterations=1)
        return ASK(base, NTXent(0.07), fine=fine, coarse=coarse, refine=NeverRefine(), **changed)  # type: ignore[arg-type]

    turns = "ASK, in turn one in"
    return {
        "plain": ASK(None, NTXent(0.07)),
        "ASK, the whole base": ask(),
        "ASK, the whole base, fine grain only": ask(coarse_weight=0.0),
        f"ASK, {n // EVERY[0]:,} drawn": ask(candidates=CandidateSampling(0, n // EVERY[0])),
        **{f"{turns} {every}": ask(candidates=CandidateTurns(every)) for every in EVERY},
        **{
            f"{turns} {every}, fine grain only": ask(candidates=CandidateTurns(every), coarse_weight=0.0)
            for every in EVERY
        },
    }


def measure(audio: nn.Module, inputs: tuple[int, ...], dim: int, n: int, steps: int) -> dict:
    """Median CPU milliseconds of a step of each row, and its ratio to the plain one."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    text = Head(384, dim)
    optimizer = torch.optim.AdamW([*audio.parameters(), *text.parameters()], lr=1e-4, fused=True)
    rows = rows_of(dim, n, random)
    spent: dict[str, list[float]] = {name: [] for name in rows}
    x, y = random(*inputs), random(inputs[0], 384)
    for step in range(steps + 2):
        ids = torch.randperm(n, generator=generator)[: inputs[0]]
        for name, ask in rows.items():
            begin = time.thread_time()
            out = ask(audio(x), text(y), ids)
            optimizer.zero_grad()
            out.total.backward()
            optimizer.step()
            ask.step_ended()
            if step >= 2:  # the first two warm up
                spent[name].append(1000 * (time.thread_time() - begin))
    plain = float(np.median(spent["plain"]))
    return {name: {"ms": float(np.median(v)), "ratio": float(np.median(v)) / plain} for name, v in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int, default=200, help="of the heads; a tenth of it with the tower")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = {
        "heads only: B = 24, N = 7,000, D = 256": measure(Head(384, 256), (24, 384), 256, 7000, args.steps),
        "trained CNN, 10 s: B = 32, N = 50,000, D = 512": measure(
            CnnWithHead(512), (32, 64, 1000), 512, 50_000, max(3, args.steps // 10)
        ),
    }
    lines = ["| setting | row | ms a step | times plain |", "|---|---|---|---|"]
    for setting, rows in found.items():
        lines += [f"| {setting} | {name} | {r['ms']:.1f} | {r['ratio']:.2f} |" for name, r in rows.items()]
    print("\n".join(lines))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    write_json(args.out / "cost.json", {"commit": commit, "machine": machine(), "settings": found})
    write_text(args.out / "cost.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
