"""Captions without unsupported phrases, and segments of frames and windows."""

import numpy as np
import pytest

from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.pipeline.phrases import PhraseFeatures, segments_of, with_supported_captions

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
