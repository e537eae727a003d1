"""A batch in pieces and a batch over processes give the loss and the gradients of the batch in one piece."""

import subprocess
import sys

import torch
import torch.nn.functional as F
from torch import nn

from askaudio.losses.gradient_cache import cached_backward
from askaudio.losses.ntxent import NTXent

WORKER = """
import sys, torch, torch.distributed as dist, torch.nn.functional as F
from askaudio.losses.gather import gather_ids, gather_rows
from askaudio.losses.ntxent import ntxent
from askaudio.losses.positives import same_clip
rank, place = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{place}/store", rank=rank, world_size=2)
g = torch.Generator().manual_seed(0)
x, y = torch.randn(8, 5, generator=g).double(), torch.randn(8, 5, generator=g).double()
w = torch.randn(5, 4, generator=g).double().requires_grad_()
ids = ["a", "b", "c", "a", "d", "e", "f", "b"]
def loss(rows, ids, gather):
    a, t = F.normalize(x[rows] @ w, dim=1), F.normalize(y[rows] @ w, dim=1)
    if gather:
        a, t, ids = gather_rows(a), gather_rows(t), gather_ids(ids)
    return ntxent(a, t, 0.1, same_clip(ids))
one = loss(slice(0, 8), ids, False)
want = torch.autograd.grad(one, w)[0]
mine = slice(4 * rank, 4 * rank + 4)
two = loss(mine, ids[mine], True)
got = torch.autograd.grad(two, w)[0]
dist.all_reduce(got)
got /= 2  # what data parallel training does with parameter gradients
torch.testing.assert_close(two, one)
torch.testing.assert_close(got, want)
dist.destroy_process_group()
"""


def test_two_processes_give_the_loss_and_gradients_of_one(tmp_path):
    runs = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for run in runs:
        _, errors = run.communicate(timeout=240)
        assert run.returncode == 0, errors


def test_gradient_cache_equals_the_whole_batch_dropout_included():
    torch.manual_seed(0)
    x = torch.randn(12, 6, dtype=torch.float64)
    net = nn.Sequential(nn.Linear(6, 9), nn.Dropout(0.3), nn.Linear(9, 4)).double()
    loss = NTXent(0.2, learn_temperature=True).double()

    def encode(rows):
        return F.normalize(net(x[rows]), dim=1), F.normalize(net(x[rows].flip(1)), dim=1)

    pieces = torch.arange(12).split(5)
    parameters = [*net.parameters(), *loss.parameters()]
    torch.manual_seed(7)
    parts = [encode(piece) for piece in pieces]
    want = loss(torch.cat([a for a, _ in parts]), torch.cat([t for _, t in parts]))
    want_grads = torch.autograd.grad(want, parameters)
    torch.manual_seed(7)
    got = cached_backward(encode, pieces, loss)
    torch.testing.assert_close(got, want.detach())
    for p, g in zip(parameters, want_grads, strict=True):
        torch.testing.assert_close(p.grad, g)
