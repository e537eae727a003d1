"""Measure peak memory and time of one training step over batch sizes, plain and with a cached gradient.

    OMP_NUM_THREADS=1 python benchmarks/training/large_batch.py --sizes 64 128 256 --chunk 32     # no data needed

Each line is a process of its own; its peak resident memory is the operating system's figure. The CNN audio tower takes
10 s at 64 mel bins, random inputs; ASK has 2,000 random entries. Memory of the process with the batch in it, before the
step, is subtracted. A few minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time


def one(size: int, chunk: int) -> dict[str, float]:
    import torch

    from askaudio.ask.objective import ASK
    from askaudio.knowledge.base.knowledge_base import KnowledgeBase
    from askaudio.knowledge.refinement.policies import NeverRefine
    from askaudio.losses.ntxent import NTXent
    from askaudio.models.cnn import CnnAudioTower
    from askaudio.models.dual_encoder import DualEncoder
    from askaudio.models.projection import Projection
    from askaudio.training.collate import Batch
    from askaudio.training.module import RetrievalModule
    from askaudio.training.settings import Objective, TrainSettings

    torch.manual_seed(0)
    normalise = torch.nn.functional.normalize
    table = [normalise(torch.randn(2000, 256), dim=1) for _ in range(2)]
    ask = ASK(KnowledgeBase.from_pairs(list(range(2000)), *table), NTXent(), refine=NeverRefine())
    model = DualEncoder(Projection(384, 256), Projection(384, 256), CnnAudioTower(64))
    module = RetrievalModule(model, Objective(ask), TrainSettings(gradient_cache_chunk=chunk))

    def batch(n: int) -> Batch:
        return Batch((torch.randn(n, 64, 1001), torch.full((n,), 1001)), torch.randn(n, 384), torch.arange(n), None)

    def step(what: Batch) -> float:
        begin = time.process_time()
        module.backward(module.training_step(what, 0))
        return time.process_time() - begin

    module._base_rows = lambda batch: None
    step(batch(2))  # kernels and tables are there before anything is measured
    whole = batch(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = step(whole)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"batch": size, "chunk": chunk, "MB": round((after - before) / 1024), "cpu_s": round(seconds, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--chunk", type=int, default=32)
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(*args.one)))
        return
    for chunk in (0, args.chunk):
        for size in args.sizes:
            command = [sys.executable, __file__, "--one", str(size), str(chunk)]
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
