"""CLAP's front end: equal to the extractor that the models were trained with, on all that is deterministic there."""

import numpy as np
import pytest

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.errors import ModelError

CLAP = FrontEnd(SlaneyMel(), window_s=10.0, hop_s=10.0, short="tile", short_s=10.0)


@pytest.fixture(scope="module")
def extractor():
    transformers = pytest.importorskip("transformers")
    # what is published beside laion/clap-htsat-unfused
    return transformers.ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="rand_trunc")


@pytest.mark.parametrize("seconds", [10.0, 9.999, 7.0, 3.3, 0.8, 0.004])
def test_equal_to_the_published_extractor(extractor, rng, seconds):
    size = round(seconds * 48000)
    time_s = np.arange(size) / 48000
    sound = (0.4 * np.sin(2 * np.pi * 700 * time_s) + 0.1 * rng.standard_normal(size)).astype(np.float32)
    expected = extractor(sound, sampling_rate=48000, return_tensors="np")["input_features"]  # (1, 1, T, F)
    ours = CLAP(sound)
    assert ours.shape == (64, 1001) and ours.dtype == np.float32
    np.testing.assert_allclose(ours.T, expected[0, 0], atol=2e-3)  # decibels; theirs rounds spectra to complex64


def test_silence_and_a_click(extractor):
    click = np.zeros(480000, dtype=np.float32)
    click[240000] = 1.0
    for sound in (np.zeros(480000, dtype=np.float32), click):
        expected = extractor(sound, sampling_rate=48000, return_tensors="np")["input_features"]
        np.testing.assert_allclose(CLAP(sound).T, expected[0, 0], atol=2e-3)


def test_settings_travel_as_json():
    assert FrontEnd.from_json(CLAP.to_json()) == CLAP
    other = FrontEnd(LogMel(n_mels=64))
    assert FrontEnd.from_json(other.to_json()) == other and "kind" not in other.to_json()["log_mel"]
    with pytest.raises(ModelError, match="update askaudio"):
        FrontEnd.from_json({**CLAP.to_json(), "log_mel": {"kind": "slaney", "colour": 1}})


def test_tiles_are_whole():
    front_end = FrontEnd(SlaneyMel(sample_rate_hz=100), window_s=1.0, hop_s=1.0, short="tile", short_s=1.0)
    samples = np.arange(1, 31, dtype=np.float32)
    np.testing.assert_array_equal(front_end.lengthen(samples), [*samples, *samples, *samples, *([0] * 10)])
