"""Near misses in training: batches, equal numbers without them, and what they teach."""

import numpy as np
import pytest
import torch

from askaudio.ask.objective import ASK
from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError
from askaudio.data.manifest import Manifest
from askaudio.losses.ntxent import NTXent
from askaudio.training.collate import collate
from askaudio.training.dataset import PairDataset
from askaudio.training.fit import fit
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_model, make_pairs, make_queries

N = 40


def with_near(near, seed=0):
    """The small training's pairs with near misses: texts that differ from a caption in one number."""
    pairs = make_pairs(N, seed)
    wrong = pairs.texts.copy()
    wrong[:, 0] += 3.0
    texts = np.concatenate([pairs.texts, wrong])
    rows = [[[2 * N + 2 * i] if near else [], [2 * N + 2 * i + 1, 2 * N + 2 * i] if near else []] for i in range(N)]
    return PairDataset(Manifest("train", pairs.clips), pairs.audio, texts, pairs.wordings, near=rows, seed=seed)


def test_batches_hold_the_near_misses_of_the_drawn_captions():
    pairs = with_near(True)
    batch = collate([pairs[i] for i in range(8)])
    assert batch.near.shape == (8, 2, 12)
    for row in range(8):
        clip, caption = divmod(int(batch.entries[row]), 2)
        expected = pairs.near[clip][caption]
        assert int(batch.n_near[row]) == len(expected) == 1 + caption
        assert np.array_equal(batch.near[row, : len(expected)], pairs.texts[expected])
        assert np.array_equal(
            batch.near[row, len(expected) :], pairs.texts[[int(batch.entries[row])]][: 2 - len(expected)]
        )
    assert batch.to("cpu").near is not None


def test_no_near_misses_no_array():
    for pairs in (make_pairs(8), with_near(False)):
        batch = collate([pairs[i] for i in range(8)])
        assert batch.near is None and batch.n_near is None


def trained(pairs, folder, weight=1.0):
    model = make_model()
    objective = Objective(ASK(None, NTXent(0.1, learn_temperature=True), near_weight=weight))
    settings = TrainSettings(epochs=6, batch_size=8, lr=3e-3, device="cpu")
    return fit(model, objective, pairs, make_queries(), folder, settings)


def preferred(model, pairs):
    """Share of captions that their clip scores above the near miss."""
    model.eval()
    with torch.no_grad():
        audio = model.encode_audio(torch.from_numpy(np.stack([a.mean(0) for a in pairs.audio])).repeat_interleave(2, 0))
        own, wrong = (model.encode_text(torch.from_numpy(x)) for x in (pairs.texts[: 2 * N], pairs.texts[2 * N :]))
    return float(((audio * own).sum(1) > (audio * wrong).sum(1)).float().mean())


def test_without_near_misses_every_number_stays_and_with_them_they_are_learnt(tmp_path):
    plain, off = trained(make_pairs(N), tmp_path / "a"), trained(with_near(False), tmp_path / "b")
    for one, other in zip(plain.model.parameters(), off.model.parameters(), strict=True):
        assert torch.equal(one, other)
    on = trained(with_near(True), tmp_path / "c")
    assert preferred(on.model, with_near(True)) > preferred(plain.model, with_near(True)) + 0.1


def test_kinds_of_the_recipe_are_checked():
    recipe = load_recipe(
        "sounds",
        [
            "data.manifest=x",
            "model.audio_weights=a.onnx",
            "data.near_misses=[order, count]",
            "loss.near_miss_weight=0.3",
        ],
    )
    assert recipe.data.near_misses == ["order", "count"] and recipe.loss.near_miss_weight == 0.3
    with pytest.raises(ConfigError, match="'tense' is none of order, attribute"):
        load_recipe("sounds", ["data.manifest=x", "model.audio_weights=a.onnx", "data.near_misses=[tense]"])
