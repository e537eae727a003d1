"""Sampling of the distillation (rare sounds more often), and mixtures of two sounds for the alignment."""

import json

import numpy as np
import pytest

from reproduce.small import audio_tower
from reproduce.small.corpus import open_corpus
from reproduce.small.paired_mixtures import FRAMES, both, energy, takes_of_titles, to_log_mel


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


def test_takes_of_one_group_share_their_weight(folder):
    corpus = open_corpus(folder)
    weights = np.diff(audio_tower.weights_of(folder, corpus), prepend=0)
    np.testing.assert_allclose(weights, [1 / 6] * 4 + [1 / 3])


def test_clips_with_similar_embeddings_share_their_weight(folder):
    embedding = np.array([[1, 0], [1, 0.01], [1, -0.01], [-1, 0], [5, 5]], np.float32)  # the last: a second window
    ids = np.array(["debian/0", "debian/1", "debian/2", "debian/3", "debian/3"])
    np.savez(folder / "heard.npz", ids=ids, window=np.array([0, 0, 0, 0, 1]), embedding=embedding)
    alike = audio_tower.how_many_alike(folder / "heard.npz", [f"debian/{k}" for k in range(5)])
    assert alike.tolist() == [3, 3, 3, 1, 1]  # a clip without an embedding counts as the only one of its kind
    weights = np.diff(audio_tower.weights_of(folder, open_corpus(folder), folder / "heard.npz"), prepend=0)
    assert weights[3] == pytest.approx(3**0.5 * weights[0])


def test_a_mixture_of_two_titles_contains_both_sounds(folder):
    assert takes_of_titles(folder, open_corpus(folder)) == {"rain": [0, 1, 2, 3, 4]}
    low, high = np.zeros((200, 128), np.float32), np.zeros((30, 128), np.float32)
    low[:, 20], high[:, 100] = 3, 1
    for seed in range(5):
        mel = both(to_log_mel(low), to_log_mel(high), np.random.default_rng(seed))
        assert mel.shape == (128, FRAMES)
        heard = energy(mel.T).sum(0)
        assert set(np.argsort(heard)[-2:]) == {20, 100}
        assert 0.2 < heard[20] * 30 / (heard[100] * 200) < 5  # about equally loud while they sound
