"""The fused read of a large table against the plain formula, in every type and at awkward sizes."""

import pytest
import torch
import torch.nn.functional as F

from askaudio.losses import partition
from askaudio.losses.partition import LEFT_OUT, log_partition, read_table
from askaudio.losses.soft_targets import small_table_contrast, table_contrast


def unit(n, d, seed, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, d, generator=g, dtype=torch.float64), dim=1).to(dtype)


def naive(u, keys, bias):
    logits = u @ keys.T
    if bias is not None:
        logits = logits + bias
    return logits.logsumexp(dim=1)


@pytest.mark.parametrize("n", [1, 5, 8191, 8193, 10_000])
@pytest.mark.parametrize("biased", [False, True])
def test_float64_equals_plain_formula_with_gradient(n, biased):
    keys = unit(n, 8, 1)
    bias = torch.linspace(-3, 0, n, dtype=torch.float64) if biased else None
    u = (unit(4, 8, 2) * 20).requires_grad_()
    scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)  # a learned temperature
    got, want = log_partition(u * scale, keys, bias), naive(u * scale, keys, bias)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    out = torch.randn(4, dtype=torch.float64)
    grads = zip(torch.autograd.grad(got, (u, scale), out), torch.autograd.grad(want, (u, scale), out), strict=True)
    for g, h in grads:
        torch.testing.assert_close(g, h, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 2e-5), (torch.bfloat16, 2e-2), (torch.float16, 5e-3)])
@pytest.mark.parametrize("n", [3, 4099, 6151])
def test_fused_types_are_near_the_float64_truth(dtype, tolerance, n):
    keys = unit(n, 64, 1, dtype)
    u = unit(6, 64, 2, torch.float32) * 20
    bias = torch.linspace(-2, 0, n)
    for b in (None, bias):
        mean, total = read_table(u, keys, b)
        logits = u.double() @ keys.double().T + (0 if b is None else b.double())
        torch.testing.assert_close(total.double(), logits.logsumexp(1), rtol=0, atol=tolerance * 5)
        want = torch.softmax(logits, 1) @ keys.double()
        torch.testing.assert_close(mean.double(), want, rtol=0, atol=tolerance)


def test_sharding_depends_on_the_table_alone():
    keys, u = unit(9000, 32, 1, torch.float32), unit(8, 32, 2, torch.float32) * 10
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = read_table(u, keys)
        torch.set_num_threads(2)
        two = read_table(u, keys)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


@pytest.mark.parametrize("value", [LEFT_OUT, float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_rows_left_out_count_nothing_even_a_whole_shard(value, dtype):
    keys = unit(6000, 16, 1, dtype)
    bias = torch.zeros(6000)
    bias[3000:] = value  # the later shards hold nothing else
    u = unit(3, 16, 2, torch.float64 if dtype == torch.float64 else torch.float32) * 5
    whole = read_table(u, keys, bias)
    part = read_table(u, keys[:3000].clone(), torch.zeros(3000))
    for got, want in zip(whole, part, strict=True):
        assert torch.isfinite(got).all()
        torch.testing.assert_close(got, want, rtol=1e-2, atol=2e-2 if dtype == torch.bfloat16 else 1e-4)


def slow_table_contrast(a, table, rows, mass, tau, bias, own):
    out = []
    for i in range(len(a)):
        z = sum(torch.exp(a[i] @ table[j] / tau + bias[j]) for j in range(len(table)))
        rest = 1.0 - float(mass[i].sum())
        if rest > 1e-6:
            z = z + torch.exp(a[i] @ own[i] / tau)
        value = torch.log(z)
        for r, m in zip(rows[i], mass[i], strict=True):
            if m > 0:
                value = value - m * (a[i] @ table[r] / tau + bias[r])
        if rest > 1e-6:
            value = value - rest * (a[i] @ own[i] / tau)
        out.append(value)
    return torch.stack(out)


def test_table_contrast_equals_slow_loop_with_gradients():
    a, own = unit(4, 6, 0).requires_grad_(), unit(4, 6, 1).requires_grad_()
    table, bias = unit(11, 6, 2), -torch.rand(11, dtype=torch.float64)
    rows = torch.tensor([[0, 3], [1, 1], [7, 10], [0, 0]])
    mass = torch.tensor([[0.9, 0.1], [1.0, 0.0], [0.3, 0.2], [0.0, 0.0]], dtype=torch.float64)
    got = table_contrast(a, table, rows, mass, 0.1, bias=bias, own=own)
    want = slow_table_contrast(a, table, rows, mass, 0.1, bias, own)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    for g, h in zip(torch.autograd.grad(got.sum(), (a, own)), torch.autograd.grad(want.sum(), (a, own)), strict=True):
        torch.testing.assert_close(g, h, rtol=1e-8, atol=1e-11)


def test_no_gradient_reaches_the_table():
    table = unit(9, 4, 1).requires_grad_()
    a = unit(2, 4, 2).requires_grad_()
    loss = table_contrast(a, table.detach(), torch.tensor([[0], [1]]), torch.ones(2, 1), 0.1).sum()
    loss.backward()
    assert table.grad is None and a.grad is not None
    assert torch.autograd.grad(log_partition(a, table).sum(), table, allow_unused=True)[0] is None


def test_small_table_contrast_is_a_cross_entropy():
    a, table, q = unit(3, 5, 0), unit(4, 5, 1), torch.softmax(torch.randn(3, 4, dtype=torch.float64), 1)
    want = F.cross_entropy(a @ table.T / 0.2, q, reduction="none")
    torch.testing.assert_close(small_table_contrast(a, table, q, 0.2), want)


def test_pieces_and_fused_read_agree(monkeypatch):
    keys, u = unit(5000, 32, 1, torch.float32), unit(8, 32, 2, torch.float32) * 15
    fused = read_table(u, keys)
    monkeypatch.setattr(partition, "FUSED", ())
    monkeypatch.setattr(partition, "PIECE", 700)
    pieces = read_table(u, keys)
    for got, want in zip(fused, pieces, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
