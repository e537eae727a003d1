"""A forward never waits for a GPU: the meta device plays the GPU, and every operation that would wait raises."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from askaudio.ask.objective import ASK
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.candidates import CandidateSampling, CandidateTurns
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.injection.queue import QueueMemory
from askaudio.losses.ntxent import NTXent
from askaudio.losses.sigmoid import SigmoidLoss
from askaudio.losses.transport import TransportLoss
from askaudio.losses.triplet import Triplet

N, D, B = 40, 8, 5
WAITS = ("_local_scalar_dense", "nonzero", "_unique", "unique", "isin", "masked_select", "equal", "is_nonzero")


class NoWait(TorchDispatchMode):
    """Raises where an operation on a tensor of the GPU makes the host wait for its value, or copies with a wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        flat = [x for arg in args for x in (arg if isinstance(arg, (list, tuple)) else [arg])]
        tensors = [x for x in flat if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in tensors if x.ndim or x.device.type == "meta"}  # a scalar is passed by value
        if name in ("_to_copy", "copy_"):
            target = torch.device(kwargs.get("device") or args[0].device).type
            source = args[1 if name == "copy_" else 0].device.type
            assert (source, target) != ("meta", "cpu"), "a copy to the CPU waits"
            assert source == target or kwargs.get("non_blocking") or True in args[2:], f"{name} between devices waits"
        elif "meta" in devices:
            assert "cpu" not in devices, f"{name} moves a tensor between devices, which waits"
            assert not name.startswith(WAITS), f"{name} waits for its result"
            if name.startswith("index") and isinstance(args[1], list):
                assert all(x is None or x.dtype is not torch.bool for x in args[1]), f"{name} by a mask waits"
        return func(*args, **kwargs)


def rows(n, seed):
    return F.normalize(torch.randn(n, D, generator=torch.Generator().manual_seed(seed)), dim=1)


def pairs(ids=range(N)):
    return KnowledgeBase.from_pairs(list(ids), rows(N, 1), rows(N, 2))


def with_texts():
    return KnowledgeBase.combine([pairs(), KnowledgeBase.from_pairs(["w0", "w1"], None, rows(2, 3), source="text")])


def forward(ask, ids, **kw):
    ask = ask.to("meta")
    audio, text = (torch.empty(B, D, device="meta", requires_grad=True) for _ in range(2))
    with NoWait():
        return ask(audio, text, ids, **kw)


FEW = {"fine": FineGrainedInjection(k=3), "coarse": CoarseGrainedInjection(4)}
SETTINGS = {
    "default": lambda: (ASK(pairs(), NTXent(0.1), queue=QueueMemory(16, D), **FEW), range(B)),
    "rows are known": lambda: (ASK(pairs(i // 2 for i in range(N)), reliability=torch.rand(N), **FEW), range(B)),
    "reliability of clips": lambda: (ASK(pairs(i // 2 for i in range(N)), reliability=torch.rand(N), **FEW), range(B)),
    "clips outside the base": lambda: (ASK(pairs(), **FEW), [0, 1, "x", "y", "z"]),
    "entries without audio": lambda: (ASK(with_texts(), **FEW), [0, 1, 2, "w0", "w1"]),
    "one clip twice": lambda: (ASK(pairs(), **FEW), [0, 0, 1, 2, 3]),
    "ids as a tensor": lambda: (ASK(pairs(), **FEW), torch.arange(B)),
    "no neighbors": lambda: (ASK(pairs(), fine=FineGrainedInjection(k=0)), range(B)),
    "learned temperature": lambda: (ASK(pairs(), NTXent(0.1, learn_temperature=True), **FEW), range(B)),
    "blend": lambda: (ASK(pairs(), inject="blend", **FEW), range(B)),
    "write-through": lambda: (ASK(pairs(), write_through=True, **FEW), [0, 1, 2, 3, "x"]),
    "candidates": lambda: (
        ASK(pairs(), candidates=CandidateSampling(4, 8, 4), fine=FineGrainedInjection(k=0)), range(B)
    ),
    "turns": lambda: (ASK(pairs(), candidates=CandidateTurns(4), fine=FineGrainedInjection(k=0)), range(B)),
    "sigmoid": lambda: (ASK(pairs(), SigmoidLoss(), **FEW), [0, 0, 1, 2, 3]),
    "triplet": lambda: (ASK(pairs(), Triplet(), **FEW), [0, 0, 1, 2, 3]),
    "transport": lambda: (ASK(pairs(), TransportLoss(), **FEW), [0, 0, 1, 2, 3]),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_a_forward_does_not_wait(name):
    ask, ids = SETTINGS[name]()
    kw = {"rows": torch.arange(B) * 2} if name == "rows are known" else {}
    out = forward(ask, ids, **kw)
    assert out.total.shape == () and out.total.device.type == "meta"
    if name == "default":
        assert sorted(out.parts) == ["batch", "coarse", "fine", "queue"]


def test_candidates_with_neighbors_wait_as_documented():
    ask = ASK(pairs(), candidates=CandidateTurns(4), **FEW)
    with pytest.raises((AssertionError, NotImplementedError)):
        forward(ask, range(B))


def test_the_guard_notices_waits():
    x = torch.empty(3, device="meta")
    for wait in (
        lambda: x.sum().item(),
        lambda: bool(x.any()),
        lambda: x[x > 0],
        lambda: x.unique(),
        lambda: torch.zeros(3).to("meta"),
        lambda: x[torch.tensor([0])],
        lambda: x.cpu(),
    ):
        with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), NoWait():
            wait()
    with NoWait():
        assert torch.zeros(3).to("meta", non_blocking=True).device.type == "meta"


def test_counters_stay_on_the_cpu_and_in_the_state():
    ask = ASK(pairs(), queue=QueueMemory(16, D), candidates=CandidateSampling(4, 8, 4), **FEW)
    ask(rows(B, 4), rows(B, 5), range(B))
    state = ask.to("meta").state_dict()
    assert state["queue.written"].tolist() == B and state["candidates.draws"].tolist() == 1
    assert state["candidates.cell"].device.type == "cpu" and state["queue.audio"].device.type == "meta"
