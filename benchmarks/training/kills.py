"""Does a training that is killed with kill -9 and resumed end with the bits of one that is not killed?

    python benchmarks/training/kills.py                                  prints: 50 of 50 bit-equal
    python benchmarks/training/kills.py --kinds ask --processes 2        two processes that share each batch
    python benchmarks/training/kills.py --moments                        each kind at two fixed moments

Data: none, random arrays. Time: about 2 minutes on 2 cores. Each kind has a convolutional tower whose weights are
channels-last in memory: ``plain`` without knowledge, ``ask`` with a knowledge base, ``queue`` with a momentum queue. A
trial is killed at a random moment of its run and resumed; losses, scores and weights are compared with those of a run
that was not killed. torch is imported once: every run is a fork of this process, which computes nothing itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from askaudio.ask.objective import ASK
from askaudio.core.processes import is_first
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.evaluation.relevance import Relevance
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.queue import MomentumEncoder, QueueMemory
from askaudio.losses.ntxent import NTXent
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from askaudio.training.callbacks import RunFolder
from askaudio.training.dataset import PairDataset
from askaudio.training.fit import fit
from askaudio.training.retrieval import RetrievalSet, entry_encoder
from askaudio.training.settings import Objective, TrainSettings

KINDS = ("plain", "ask", "queue")
EPOCHS, CLIPS, BATCH, DIM = 3, 16, 4, 12
STEPS = CLIPS // BATCH  # of an epoch
SETTINGS = TrainSettings(
    epochs=EPOCHS, batch_size=BATCH, lr=0.01, device="cpu", seed=3, save_every_steps=2, feature_dropout=0.1
)
Moment = Callable[[], None]


def pairs(n: int, seed: int) -> PairDataset:
    """Clips with two log-mels (32, 12) and two captions each."""
    rng = np.random.default_rng(seed)
    names = [f"{seed}-{row}" for row in range(n)]
    clips = [Clip(name, name, tuple(Caption(f"{name}#{k}", f"{name} {k}") for k in range(2))) for name in names]
    audio = [rng.standard_normal((2, 32, 12)).astype(np.float32) for _ in range(n)]
    texts = rng.standard_normal((2 * n, DIM)).astype(np.float32)
    return PairDataset(Manifest("random", tuple(clips)), audio, texts, [[[2 * i], [2 * i + 1]] for i in range(n)])


def objective(kind: str, model: DualEncoder, data: PairDataset) -> Objective:
    """The loss of a kind of training."""
    loss = NTXent(0.1, learn_temperature=True)
    if kind == "queue":
        return Objective(ASK(None, loss, queue=QueueMemory(8, 8)), MomentumEncoder(model))
    if kind == "plain":
        return Objective(ASK(None, loss))
    encode = entry_encoder(model, data)
    base = KnowledgeBase.encoded(data.identities[data.entry_clips].tolist(), encode)
    return Objective(ASK(base, loss, encode=encode))


def train(folder: Path, kind: str, kill_at: str) -> None:
    """Train, or continue what is in the folder."""
    torch.manual_seed(0)
    tower = CnnAudioTower(32, channels=(4, 6, 8, 8, 8), dim=DIM)
    model = DualEncoder(Projection(DIM, 8, 16, 0.1), Projection(DIM, 8, 16, 0.1), tower, learn_temperature=False)
    data, val = pairs(CLIPS, 0), pairs(8, 5)
    validation = RetrievalSet(val.audio, val.texts, Relevance.from_clips(val.clips))
    if kill_at == "end of epoch":
        written = RunFolder.on_train_epoch_end

        def then_kill(self: RunFolder, *args: Any) -> None:
            written(self, *args)
            os.kill(os.getpid(), signal.SIGKILL)

        RunFolder.on_train_epoch_end = then_kill  # type: ignore[method-assign]

    def progress(done: int, total: int | None, note: str = "") -> None:
        if kill_at == "inside epoch" and done == STEPS + 3 and is_first():
            os.kill(os.getpid(), signal.SIGKILL)

    fit(model, objective(kind, model, data), data, validation, folder, SETTINGS, resume=True, progress=progress)


def in_forks(folder: Path, kind: str, processes: int, kill_at: str = "", after_s: float = 0.0) -> bool:
    """Run a training in new processes, and kill them ``after_s`` seconds later; whether it ran to its end.

    Raises:
        RuntimeError: It failed for another reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = Path(tempfile.mkdtemp(dir=folder.parent)) / "store"
    children = [_fork(folder, kind, kill_at, rank, processes, store) for rank in range(processes)]
    if after_s:
        time.sleep(after_s)
        for child in children:
            os.kill(child, signal.SIGKILL)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(os.WIFSIGNALED(status) for status in statuses):
        return False
    if any(statuses):
        raise RuntimeError(f"{folder}: a training failed by itself")
    return True


def _fork(folder: Path, kind: str, kill_at: str, rank: int, processes: int, store: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)
        if processes > 1:
            os.environ |= {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes), "GROUP_RANK": "0",
                "LOCAL_WORLD_SIZE": str(processes), "TORCHELASTIC_RUN_ID": "kills", "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": "1", "GLOO_SOCKET_IFNAME": "lo",
            }  # fmt: skip
            dist.init_process_group(
                "gloo", init_method=f"file://{store}", rank=rank, world_size=processes, timeout=timedelta(seconds=60)
            )
        train(folder, kind, kill_at)
        code = 0
    finally:
        os._exit(code)


def result(folder: Path) -> tuple[list[Any], str]:
    """Losses and scores of all epochs, and the digest of the weights."""
    history = json.loads((folder / "metrics.json").read_text())["history"]
    digest = sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    return [(entry["losses"], entry["temperature"], entry["validation"]) for entry in history], digest


def main() -> int:
    """Kill, resume, compare; exit code 1 where a result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--moments", action="store_true", help="kill once at the end of an epoch, once inside one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    equal = kills = 0
    with tempfile.TemporaryDirectory() as place:
        root, whole, seconds = Path(place), {}, {}
        for kind in args.kinds:
            start = time.monotonic()
            in_forks(root / kind / "whole", kind, args.processes)
            whole[kind], seconds[kind] = result(root / kind / "whole"), time.monotonic() - start
        planned = [(kind, at) for kind in args.kinds for at in ("end of epoch", "inside epoch")]
        n = len(planned) if args.moments else args.kills
        while kills < n:
            kind, at = planned[kills] if args.moments else (args.kinds[kills % len(args.kinds)], "")
            after_s = 0.0 if args.moments else draw.uniform(0.01, seconds[kind])
            folder = Path(tempfile.mkdtemp(dir=root)) / "run"
            if in_forks(folder, kind, args.processes, at, after_s):
                continue  # it ended before it was killed
            kills += 1
            in_forks(folder, kind, args.processes)
            same = result(folder) == whole[kind]
            equal += same
            if not same:
                print(f"{kind}, killed {at or f'after {after_s:.2f} s'}: differs", file=sys.stderr)
    print(f"{equal} of {kills} bit-equal")
    return int(equal < kills)


if __name__ == "__main__":
    sys.exit(main())
