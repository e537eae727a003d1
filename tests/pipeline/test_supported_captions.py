"""Captions without unsupported phrases, and segments of frames and windows."""

import numpy as np
import pytest
import torch

from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.models.projection import Projection
from askaudio.pipeline import phrase_grain
from askaudio.pipeline.phrases import PhraseFeatures, segments_of, with_supported_captions
from askaudio.training.dataset import PairDataset
from small_training import make_model

SOUNDS = tuple(
    f"a {noun} {verb}"
    for noun in ("dog", "bell", "car", "cow", "cat", "horn")
    for verb in ("calls", "rings", "beeps", "moves")
)


def test_segments_are_means_of_equal_parts():
    frames = np.arange(2 * 3 * 8, dtype=np.float32).reshape(2, 3, 8)  # two windows of eight frames of three channels
    steps = np.concatenate([frames[0].T, frames[1].T])  # (16, 3)
    assert np.allclose(segments_of(frames), steps.reshape(4, 4, 3).mean(axis=1))
    assert np.allclose(segments_of(frames[:1, :, 0]), frames[0, :, 0])  # one window: every part is the same


@pytest.fixture
def noisy():
    """400 training clips of two sounds, one of them named wrongly in 80 of them, and one test clip."""
    rng = np.random.default_rng(0)
    looks = {name: rng.standard_normal(16) for name in SOUNDS}
    words = {name: rng.standard_normal(12) for name in SOUNDS}
    clips, audio, wrong = [], {}, {}
    for i in range(401):
        a, b, c = rng.choice(SOUNDS, 3, replace=False)
        frames = 0.4 * rng.standard_normal((1, 16, 8))
        frames[0, :, :4] += looks[a][:, None]
        frames[0, :, 4:] += looks[b][:, None]
        named = c if i % 5 == 0 else b
        if i % 5 == 0:
            wrong[f"c{i}"] = (a, c)
        captions = (Caption(f"c{i}#0", f"{a}, then {named}"),)
        clips.append(Clip(f"c{i}", f"c{i}.wav", captions, "test" if i == 400 else "train"))
        audio[f"c{i}"] = frames.astype(np.float32)

    def text(texts):
        return np.stack([words[t] for t in texts]).astype(np.float32)

    return Manifest("noisy", tuple(clips)), audio, text, wrong


def test_unsupported_phrases_leave_the_training_captions(noisy):
    manifest, audio, text, wrong = noisy
    shorter = with_supported_captions(manifest, audio, text)
    assert [c.clip_id for c in shorter] == [c.clip_id for c in manifest]
    assert shorter.clips[400] == manifest.clips[400]  # only training captions change
    found = sum(shorter.clips[int(k[1:])].captions[0].text == wrong[k][0] for k in wrong if k != "c400")
    kept = sum(a == b for a, b in zip(manifest, shorter, strict=True) if a.clip_id not in wrong)
    assert found >= 64 and kept >= 290  # of 80 wrong and 320 right captions


def test_captions_without_words_are_refused(noisy):
    _, audio, text, _ = noisy
    with pytest.raises(DataError, match="has no caption with a phrase"):
        PhraseFeatures.of(Manifest("m", (Clip("c0", "c0.wav", (Caption("c0#0", "."),)),)), audio, text)


def test_the_key_is_checked():
    given = ["data.manifest=x", "model.audio_weights=a.onnx"]
    assert load_recipe("sounds", [*given, "data.doubted_phrases=drop"]).data.doubted_phrases == "drop"
    with pytest.raises(ConfigError, match=r"data\.doubted_phrases"):
        load_recipe("sounds", [*given, "data.doubted_phrases=mend"])


def test_the_grain_of_events_is_built_from_the_training_pairs(noisy, monkeypatch):
    manifest, audio, text, _ = noisy
    monkeypatch.setattr(phrase_grain, "text_rows_of", lambda _, texts, root: text(texts))
    clips = manifest.split("train")
    whole = [rows.mean(axis=2) for rows in (audio[clip.clip_id] for clip in clips)]
    pairs = PairDataset(clips, whole, np.zeros((400, 12), np.float32), [[[k]] for k in range(400)])
    given = ["data.manifest=x", "model.audio_weights=a.onnx", "knowledge=ask", "knowledge.reliability=posterior"]
    inputs = type("Inputs", (), {"towers": None})()
    model = make_model()
    assert phrase_grain.build_phrase_grain(load_recipe("sounds", given), inputs, model, pairs) is None
    model.audio_projection = Projection(16, 8, 16, 0.1)
    recipe = load_recipe("sounds", [*given, "knowledge.phrase_weight=0.5"])
    part = phrase_grain.build_phrase_grain(recipe, inputs, model, pairs)
    assert part.weight == 0.5 and len(part.ask.base) == 800
    assert part.couples.segments.shape == (400, 4, 16)
    assert part.couples.rows_of(torch.tensor([3])).tolist() == [6, 7]
    assert part(model, torch.tensor([0, 1, 2])).total > 0
