"""Gradient caching in the trainer: the gradient of the plain large batch, with memory that does not grow with it."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch

from askaudio.config.load import load_recipe
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from askaudio.training.collate import Batch, collate
from askaudio.training.fit import fit
from askaudio.training.module import RetrievalModule
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_model, make_objective, make_pairs, make_queries


def cnn_model(dropout=0.0):
    torch.manual_seed(0)
    tower = CnnAudioTower(32, (4, 4, 8, 8, 8), 16)
    return DualEncoder(Projection(16, 8, 16, dropout), Projection(12, 8, 16, dropout), audio_tower=tower)


def log_mel_batch(n, frames=40):
    g = torch.Generator().manual_seed(1)
    lengths = torch.randint(20, frames + 1, (n,), generator=g)
    sounds = torch.randn(n, 32, frames, generator=g) * (torch.arange(frames) < lengths[:, None])[:, None]
    return Batch((sounds, lengths), torch.randn(n, 12, generator=g), torch.arange(n), torch.arange(n))


def module_of(model, ask, chunk=0):
    return RetrievalModule(model, Objective(ask), TrainSettings(gradient_cache_chunk=chunk))


def gradients(module, batch):
    loss = module.training_step(batch, 0)
    module.backward(loss)
    return loss.detach(), {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def double(batch):
    return Batch(batch.audio.double(), batch.text.double(), batch.ids, batch.entries)


@pytest.mark.parametrize("kind", ["none", "ask"])
@pytest.mark.parametrize("chunk", [5, 8, 23])
def test_the_gradient_is_that_of_the_plain_large_batch(kind, chunk):
    pairs = make_pairs()
    for projection in (model := make_model()).children():
        projection.dropout.p = 0.0
    objective = make_objective(kind, model, pairs)
    batch = double(collate([pairs[i] for i in range(24)]))
    plain = module_of(model, objective).double()
    cached = module_of(copy.deepcopy(model), copy.deepcopy(objective), chunk).double()
    want, want_grads = gradients(plain, batch)
    got, got_grads = gradients(cached, batch)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    assert got_grads.keys() == want_grads.keys() and "objective.loss.log_scale" in got_grads
    for name, grad in want_grads.items():
        assert float((got_grads[name] - grad).abs().max()) < 1e-6, name


def test_dropout_draws_the_same_on_both_ways():
    """The reference encodes the same pieces in the same order, all kept in memory."""
    batch = log_mel_batch(12)
    module = module_of(cnn_model(dropout=0.4), make_objective("none", None, None), 5)
    module.train()
    reference = copy.deepcopy(module)
    reference._seed_draws()
    parts = [reference.model(*piece) for piece in reference._pieces(batch.audio, batch.text)]
    out = reference.objective(*(torch.cat(side) for side in zip(*parts, strict=True)), batch.ids)
    out.total.backward()
    loss, grads = gradients(module, batch)
    torch.testing.assert_close(loss, out.total.detach())
    for name, p in reference.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(grads[name], p.grad, rtol=1e-5, atol=1e-7)
    for mine, its in zip(module.buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(mine, its)  # running statistics moved once


def test_under_autocast_both_ways_compute_in_the_same_precision():
    batch = log_mel_batch(8)
    module = module_of(cnn_model(), make_objective("none", None, None), 4)
    seen = []
    module.model.audio_projection.hidden.register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        loss = module.training_step(batch, 0)
    module.backward(loss)
    assert seen == [torch.bfloat16] * 4


class SavedBytes:
    """Most bytes that autograd kept for the way back at one time."""

    def __init__(self):
        self.now = self.most = 0

    def __enter__(self):
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda box: box[0])
        self._hooks.__enter__()
        return self

    def __exit__(self, *error):
        self._hooks.__exit__(*error)

    def _pack(self, tensor):
        class Box(list):
            __slots__ = ("__weakref__",)

        box = Box([tensor])
        size = tensor.numel() * tensor.element_size()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(box, self._free, size)
        return box

    def _free(self, size):
        self.now -= size


def kept(size, chunk):
    module = module_of(cnn_model(), make_objective("none", None, None), chunk)
    batch = log_mel_batch(size)
    gc.collect()
    with SavedBytes() as meter:
        gradients(module, batch)
    return meter.most


def test_what_is_kept_for_the_way_back_does_not_grow_with_the_batch():
    one_piece = kept(16, 0)
    assert kept(128, 0) > 7.5 * one_piece  # the meter sees that the plain batch grows
    for size in (64, 128):
        own = 4 * (8 * size * size + 64 * size)  # the loss's (B, B) and (B, D) arrays, which every batch has
        assert kept(size, 16) < one_piece + own


def test_a_run_in_pieces_is_the_run(tmp_path):
    def run(name, **options):
        pairs = make_pairs()
        for projection in (model := make_model()).children():
            projection.dropout.p = 0.0
        settings = TrainSettings(epochs=2, batch_size=20, lr=0.01, device="cpu", **options)
        objective = Objective(make_objective("ask", model, pairs))
        return fit(model, objective, pairs, make_queries(), tmp_path / name, settings)

    plain, pieces = run("plain"), run("pieces", gradient_cache_chunk=6)
    for mine, its in zip(pieces.history, plain.history, strict=True):
        assert mine["losses"] == pytest.approx(its["losses"], rel=1e-4)
    np.testing.assert_allclose(
        *(result.model.audio_projection.out.weight.detach().numpy() for result in (pieces, plain)), atol=1e-4
    )


def test_the_recipe_has_the_key():
    keys = ["data.manifest=x", "model.audio_weights=y", "train.gradient_cache_chunk=32"]
    assert load_recipe("sounds", keys).train.gradient_cache_chunk == 32
