"""Mixtures in the spectrogram: energies come back, the same seed gives the same mixture, sums are sums."""

import numpy as np
import pytest

from reproduce.small import mixing
from reproduce.small.corpus import Corpus


@pytest.fixture
def sounds():
    """Three clips: a tone in band 40, one in band 90, noise."""
    rng = np.random.default_rng(0)
    power = [np.zeros((length, 128), np.float32) for length in (80, 300, 600)]
    power[0][:, 40], power[1][:, 90] = 5, 5
    power[2] += rng.exponential(0.1, power[2].shape)
    frames = np.concatenate([mixing.to_log_mel(p) for p in power]).astype(np.float16)
    length = np.array([80, 300, 600])
    return Corpus(frames, np.cumsum(length) - length, length)


def test_energy_and_log_mel_are_inverse():
    power = np.exp(np.random.default_rng(0).uniform(-8, 5, (50, 128))).astype(np.float32)
    np.testing.assert_allclose(mixing.energy(mixing.to_log_mel(power)), power, rtol=1e-4)


def test_same_seed_same_mixture_another_seed_another(sounds):
    weights = np.array([0.3, 0.6, 1.0])
    one, again, other = (mixing.mixture(sounds, weights, 320, np.random.default_rng(k)) for k in (1, 1, 2))
    assert one.shape == (320, 128)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_every_change_keeps_finite_energies(sounds):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        part = mixing.changed(sounds.clip(seed % 3), 200, rng)
        assert part.shape[1] == 128
        assert 1 <= len(part) <= 200
        assert np.isfinite(part).all()
        assert (part >= 0).all()


def test_shift_moves_a_tone_up(sounds):
    moved = mixing.shifted(sounds.clip(0).astype(np.float32), 6.0)
    assert moved.mean(0).argmax() == 46
    assert moved[:, :6].max() == pytest.approx(mixing.to_log_mel(np.zeros(1, np.float32))[0])
