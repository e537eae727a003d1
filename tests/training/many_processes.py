"""Run by test_many_processes.py in a process of its own: forks groups of 1, 2 and 4, which all must agree.

One import of torch serves all groups; ``python many_processes.py FOLDER`` prints nothing when all is well.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F

from askaudio.ask.objective import ASK
from askaudio.core.processes import all_gather_object, all_reduce_sum, rank, world_size
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.refinement.policies import RefineEveryEpochs, RefineInParts, RefineOnDrift
from askaudio.losses.gather import gather_ids, gather_rows
from askaudio.losses.ntxent import NTXent
from askaudio.training.fit import fit
from askaudio.training.retrieval import entry_encoder
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_model, make_pairs, make_queries

N, CLIPS, IN, D, B = 53, 40, 7, 6, 8
GROUPS = (1, 2, 4)


def in_group(size, task, place, may_fail=False):
    """Fork ``size`` processes that join a group and run ``task(folder)``; what the first returns."""
    folder = Path(place) / f"{task.__name__}-{size}"
    folder.mkdir(parents=True)
    children = []
    for number in range(size):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.environ |= {
                    "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(size), "GROUP_RANK": "0",
                    "LOCAL_WORLD_SIZE": str(size), "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": "1", "GLOO_SOCKET_IFNAME": "lo",
                }  # fmt: skip
                if size > 1:
                    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=size)
                found = task(folder)
                if number == 0:
                    torch.save(found, folder / "found.pt")
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    assert may_fail or not any(codes), f"{task.__name__} with {size} processes: exit codes {codes}"
    return torch.load(folder / "found.pt")


def world_of_rows():
    """Features of N pairs from CLIPS clips, one of them without sound, and ids as texts."""
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(N, IN, generator=g, dtype=torch.float64) for _ in range(2))
    return x, y, [f"c{row % CLIPS}" for row in range(N)]


def train_by_hand(refine, steps, k=4, candidates=None):
    """Steps of a linear encoder under ASK; all that must not depend on the number of processes."""
    x, y, ids = world_of_rows()
    g = torch.Generator().manual_seed(1)
    w = (torch.randn(IN, D, generator=g, dtype=torch.float64)).requires_grad_()

    def encode(rows):
        return F.normalize(x[rows] @ w, dim=1), F.normalize(y[rows] @ w, dim=1)

    base = KnowledgeBase.encoded(ids, encode, dtype=torch.float64, piece=10)
    trust = torch.rand(N, generator=torch.Generator().manual_seed(2)).clamp_min(0.2)
    ask = ASK(
        base, NTXent(0.2).double(), encode=encode, refine=refine, fine=FineGrainedInjection(k), reliability=trust,
        coarse=CoarseGrainedInjection(6), candidates=candidates,
    )  # fmt: skip
    losses, grads = [], []
    for step in range(steps):
        rows = torch.arange(B) + B * (step % 5)
        mine = rows.chunk(world_size())[rank()]
        a, t = encode(mine)
        batch = gather_ids([ids[row] for row in mine.tolist()])
        out = ask(gather_rows(a), gather_rows(t), batch, rows=torch.cat([rows]))
        (grad,) = torch.autograd.grad(out.total, w)
        grad = all_reduce_sum(grad) / world_size()
        losses.append(torch.stack([out.total.detach(), *(p.detach() for p in out.parts.values())]))
        grads.append(grad)
        with torch.no_grad():
            w -= 0.05 * grad
        ask.step_ended()
        if step % 5 == 4:
            ask.epoch_ended()
    drift = ask.last_drift
    state = {name: value for name, value in ask.state_dict().items() if "candidates" not in name}
    return {
        "losses": torch.stack(losses), "grads": torch.stack(grads), "drift": torch.tensor([drift.audio, drift.text]),
        "sample": torch.tensor(ask.refresher.sample_drift()), **state,
    }  # fmt: skip


def every_epoch(folder):
    return train_by_hand(RefineEveryEpochs(1), 6)


def on_drift(folder):
    return train_by_hand(RefineOnDrift(1e-4, every_steps=2), 4)


def in_parts(folder):
    return train_by_hand(RefineInParts(3), 7, k=0)


def sampled(folder):
    return train_by_hand(RefineInParts(3), 6, candidates=CandidateSampling(20, 30, cells=3))


def run(folder, epochs, resume=False, stop_at=None, **options):
    """A training through Lightning; ``stop_at`` ends it by force after so many steps."""
    pairs, model = make_pairs(), make_model()
    model.audio_projection.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # each process draws its own
    encode = entry_encoder(model, pairs)
    base = KnowledgeBase.encoded(pairs.identities[pairs.entry_clips].tolist(), encode, dtype=torch.float32)
    ask = ASK(base, NTXent(0.1, learn_temperature=True), encode=encode)

    def progress(done, total, note=""):
        if done == stop_at:
            raise KeyboardInterrupt

    settings = {"batch_size": 8, "lr": 0.01, "device": "cpu", "seed": 3, "save_every_steps": 3} | options
    result = fit(
        model, Objective(ask), pairs, make_queries(), folder, TrainSettings(epochs=epochs, **settings), resume=resume,
        progress=progress,
    )  # fmt: skip
    whole = ask.base.whole()
    return {
        "losses": [entry["losses"] for entry in result.history],
        "scores": [entry["validation"] for entry in result.history],
        "weights": model.state_dict(),
        "audio": whole.audio,
        "world": all_gather_object(rank()),
    }


def through_lightning(folder):
    return run(folder / "run", 2)


def with_cached_gradient(folder):
    return run(folder / "run", 1, gradient_cache_chunk=1)


def in_half_precision(folder):
    return run(folder / "run", 1, precision="bf16-mixed")["losses"]


def goes_on_with_another_number(folder):
    """The state that two processes left in the middle of an epoch, gone on with by this group."""
    run_folder = folder / "run"
    if rank() == 0:
        run_folder.mkdir()
        (run_folder / "state").mkdir()
        (run_folder / "state" / "last.safetensors").write_bytes(Path(os.environ["STATE"]).read_bytes())
    all_gather_object(None)
    return run(run_folder, 2, resume=True)


def first_half(folder):
    """Two processes that are stopped after three steps of ten."""
    try:
        run(folder / "run", 2, stop_at=4)
    except KeyboardInterrupt:
        return None
    return None


def compare(one, other, name, tolerance=1e-6):
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(other, one, rtol=tolerance, atol=tolerance, msg=lambda text: f"{name}: {text}")
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), (name, one.keys() ^ other.keys())
        for key in one:
            compare(one[key], other[key], f"{name}/{key}", tolerance)
    elif isinstance(one, list):
        for number, (x, y) in enumerate(zip(one, other, strict=True)):
            compare(x, y, f"{name}[{number}]", tolerance)
    elif isinstance(one, float):
        compare(torch.tensor(one), torch.tensor(other), name, tolerance)


def main(place):
    torch.set_num_threads(1)
    for task in (every_epoch, on_drift, in_parts):
        found = [in_group(size, task, place) for size in GROUPS]
        for size, other in zip(GROUPS[1:], found[1:], strict=True):
            compare(found[0], other, f"{task.__name__}, {size} processes")
    drawn = [in_group(size, sampled, place)["losses"] for size in (1, 2)]
    assert (drawn[0] - drawn[1]).abs().max() < 0.25, drawn  # other draws, the same quantity
    one = in_group(1, through_lightning, place)
    for size in GROUPS[1:]:
        other = in_group(size, through_lightning, place)
        assert other.pop("world") == list(range(size))
        compare({k: v for k, v in one.items() if k != "world"}, other, f"lightning, {size} processes", 2e-4)
    cached = [in_group(size, with_cached_gradient, place) for size in (1, 2)]
    compare(cached[0]["weights"], cached[1]["weights"], "cached gradient", 2e-4)
    in_group(2, first_half, place, may_fail=True)  # the second loses its peer
    os.environ["STATE"] = str(Path(place) / "first_half-2" / "run" / "state" / "last.safetensors")
    for size in GROUPS:
        again = in_group(size, goes_on_with_another_number, place)
        compare(one["weights"], again["weights"], f"resumed by {size}", 2e-4)
        compare(one["losses"], again["losses"], f"resumed by {size}", 2e-4)
    half = [in_group(size, in_half_precision, place) for size in (1, 2)]
    compare(one["losses"][:1], half[0], "bf16", 3e-2)
    compare(half[0], half[1], "bf16 by two", 3e-2)
    print(json.dumps({"checked": True}))


if __name__ == "__main__":
    main(sys.argv[1])
