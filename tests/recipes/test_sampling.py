"""Which clips the distillation hears: rare sounds more often; and pairs about two sounds for the alignment."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "small"


@pytest.fixture(scope="module")
def recipe():
    for name in ("onnx", "torch", "transformers"):
        pytest.importorskip(name)
    sys.path.insert(0, str(RECIPE))
    try:
        import corpus
        import joined

        import audio

        yield {"audio": audio, "corpus": corpus, "joined": joined}
    finally:
        sys.path.remove(str(RECIPE))


@pytest.fixture
def folder(tmp_path):
    """Six clips of two groups; the last could not be read."""
    frames = np.zeros((50, 128), np.float16)
    (tmp_path / "frames.f16").write_bytes(frames.tobytes())
    rows = [
        {"id": f"debian/{k}", "first": 10 * k, "frames": 10 * (k < 5), "group": "a" if k < 4 else "b", "text": "Rain"}
        for k in range(6)
    ]
    (tmp_path / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_takes_of_one_group_share_their_weight(recipe, folder):
    corpus = recipe["corpus"].open_corpus(folder)
    weights = np.diff(recipe["audio"].weights_of(folder, corpus), prepend=0)
    np.testing.assert_allclose(weights, [1 / 6] * 4 + [1 / 3])


def test_clips_that_the_teacher_hears_alike_share_their_weight(recipe, folder):
    embedding = np.array([[1, 0], [1, 0.01], [1, -0.01], [-1, 0], [5, 5]], np.float32)  # the last: a second window
    ids = np.array(["debian/0", "debian/1", "debian/2", "debian/3", "debian/3"])
    np.savez(folder / "heard.npz", ids=ids, window=np.array([0, 0, 0, 0, 1]), embedding=embedding)
    alike = recipe["audio"].how_many_alike(folder / "heard.npz", [f"debian/{k}" for k in range(5)])
    assert alike.tolist() == [3, 3, 3, 1, 1]  # one that was not heard is taken as alone
    weights = np.diff(
        recipe["audio"].weights_of(folder, recipe["corpus"].open_corpus(folder), folder / "heard.npz"), prepend=0
    )
    assert weights[3] == pytest.approx(3**0.5 * weights[0])


def test_two_sounds_are_both_heard_in_a_joined_mixture(recipe, folder):
    joined = recipe["joined"]
    assert joined.takes_of_titles(folder, recipe["corpus"].open_corpus(folder)) == {"rain": [0, 1, 2, 3, 4]}
    low, high = np.zeros((200, 128), np.float32), np.zeros((30, 128), np.float32)
    low[:, 20], high[:, 100] = 3, 1
    for seed in range(5):
        mel = joined.both(joined.to_log_mel(low), joined.to_log_mel(high), np.random.default_rng(seed))
        assert mel.shape == (128, joined.FRAMES)
        heard = joined.energy(mel.T).sum(0)
        assert set(np.argsort(heard)[-2:]) == {20, 100}
        assert 0.2 < heard[20] * 30 / (heard[100] * 200) < 5  # about equally loud while they sound
