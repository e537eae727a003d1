"""The grain of events: couples of a batch, alignment, its own base, and training with it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from askaudio.ask.objective import ASK
from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError
from askaudio.knowledge.refinement.policies import RefineEveryEpochs
from askaudio.losses.ntxent import NTXent
from askaudio.training.fit import fit
from askaudio.training.phrase_grain import Couples, PhraseGrain, attend, embed_couples
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_model, make_pairs, make_queries

N, SOUNDS = 40, 6


def make_couples(seed=0):
    """Clips of four segments, two of which hold one of six sounds each; two captions name one sound each."""
    rng = np.random.default_rng(seed)
    looks, words = rng.standard_normal((2, SOUNDS, 12))
    segments = 0.2 * rng.standard_normal((N, 4, 12))
    clip, phrase, place = np.repeat(np.arange(N), 2), rng.integers(SOUNDS, size=2 * N), np.tile([1, 3], N)
    segments[clip, place] += looks[phrase]
    tensors = [torch.from_numpy(x.astype(np.float32)) for x in (segments, words)]
    return Couples(*tensors, torch.from_numpy(clip), torch.from_numpy(phrase), torch.arange(2 * N)), place


def grain(model, couples, **settings):
    return PhraseGrain(model, couples, NTXent(0.1, learn_temperature=True), **settings)


def test_couples_of_a_batch():
    couples, _ = make_couples()
    entries = torch.tensor([7, 0, 7])
    assert couples.rows_of(entries).tolist() == [7, 0, 7]
    several = Couples(couples.segments, couples.texts, couples.clip, couples.phrase, torch.arange(2 * N) // 3)
    assert several.rows_of(torch.tensor([2, 0])).tolist() == [6, 7, 8, 0, 1, 2]
    assert several.rows_of(torch.tensor([900])).tolist() == []


def test_attention_equals_a_loop():
    torch.manual_seed(0)
    segments, text = F.normalize(torch.randn(3, 4, 8), dim=2), F.normalize(torch.randn(3, 8), dim=1)
    for row, found in enumerate(attend(segments, text)):
        weights = torch.softmax(torch.stack([s @ text[row] for s in segments[row]]) / 0.1, dim=0)
        mean = sum(w * s for w, s in zip(weights, segments[row], strict=True))
        assert torch.allclose(found, mean / mean.norm(), atol=1e-6)


def test_base_holds_all_couples_and_weighs_them():
    couples, _ = make_couples()
    model = make_model()
    part = grain(model, couples, refine=RefineEveryEpochs(1), reliability=torch.linspace(0, 1, 2 * N))
    assert len(part.ask.base) == 2 * N
    out = part(model, torch.arange(12))
    assert sorted(out.parts) == ["batch", "fine"] and out.total > 0
    out.total.backward()
    assert model.audio_projection.hidden.weight.grad.abs().sum() > 0
    stored = part.ask.base.audio.clone()
    with torch.no_grad():
        model.audio_projection.hidden.weight.mul_(1.5)
    assert part.ask.epoch_ended() is not None  # encoded and aligned again
    assert not torch.equal(part.ask.base.audio, stored)
    alone = grain(model, couples)
    assert alone.ask.base is None and sorted(alone(model, torch.arange(12)).parts) == ["batch"]


@pytest.mark.parametrize("based", [True, False])
def test_training_aligns_phrases_with_their_segments(tmp_path, based):
    couples, place = make_couples()
    model, pairs = make_model(), make_pairs(N)
    part = grain(model, couples, refine=RefineEveryEpochs(1) if based else None)
    objective = Objective(ASK(None, NTXent(0.1, learn_temperature=True)), phrases=part)
    settings = TrainSettings(epochs=30, batch_size=8, lr=1e-2, device="cpu")
    trained = fit(model, objective, pairs, make_queries(), tmp_path, settings).model.eval()
    with torch.no_grad():
        audio, text = embed_couples(trained, couples, torch.arange(2 * N))
        segments = trained.encode_audio(couples.segments.flatten(0, 1)).reshape(N, 4, -1)
    best = torch.einsum("nsd,nd->ns", segments[couples.clip], text).argmax(dim=1)
    assert (best.numpy() == place).mean() > 0.7  # chance: a quarter, or half where both sounds are equal
    assert ((audio * text).sum(1)).mean() > 0.6


def test_keys_that_do_not_fit_are_refused():
    given = ["data.manifest=x", "model.audio_weights=a.onnx", "knowledge.phrase_weight=0.5"]
    assert load_recipe("sounds", given).knowledge.phrase_weight == 0.5
    with pytest.raises(ConfigError, match=r"take train\.devices=1"):
        load_recipe("sounds", [*given, "train.devices=2"])
    with pytest.raises(ConfigError, match="refreshed whole"):
        load_recipe("sounds", [*given, "knowledge.refresh=parts"])
