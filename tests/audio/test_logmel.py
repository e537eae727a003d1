"""Log-mel: against a slow reading of the definition, known tones, and settings that survive storage."""

import numpy as np
import pytest

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.core.errors import ModelError


def slow_log_mel(x: np.ndarray, s: LogMel) -> np.ndarray:
    """One frame and one filter at a time, in float64."""
    x = x.astype(np.float64)
    if s.preemphasis:
        x = np.array([x[n + 1] - s.preemphasis * x[n] for n in range(len(x) - 1)])
    half = s.n_fft // 2
    padded = np.concatenate([x[half:0:-1], x, x[-2 : -half - 2 : -1]])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(s.window) / (s.window - 1))
    window = np.zeros(s.n_fft)
    lead = (s.n_fft - s.window) // 2
    window[lead : lead + s.window] = hann
    mel = [1127 * np.log(1 + f / 700) for f in (s.f_min_hz, s.f_max_hz)]
    step = (mel[1] - mel[0]) / (s.n_mels + 1)
    columns = []
    for first in range(0, len(padded) - s.n_fft + 1, s.hop):
        power = np.abs(np.fft.fft(padded[first : first + s.n_fft] * window)[: half + 1]) ** 2
        column = np.zeros(s.n_mels)
        for k in range(half):
            place = (1127 * np.log(1 + k * s.sample_rate_hz / s.n_fft / 700) - mel[0]) / step
            for m in range(s.n_mels):
                column[m] += max(0.0, 1 - abs(place - (m + 1))) * power[k]
        columns.append((np.log(column + s.floor) + s.shift) / s.scale)
    return np.array(columns).T


@pytest.mark.parametrize(
    "settings",
    [
        LogMel(sample_rate_hz=8000, n_mels=12, n_fft=128, window=100, hop=40, f_max_hz=3800.0),
        LogMel(
            sample_rate_hz=8000, n_mels=12, n_fft=128, window=128, hop=64, f_min_hz=50, f_max_hz=4000, preemphasis=0
        ),
    ],
)
def test_equals_the_definition(settings, rng):
    x = (0.2 * rng.standard_normal(901)).astype(np.float32)
    fast, slow = settings(x), slow_log_mel(x, settings)
    assert fast.shape == slow.shape
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, slow, atol=2e-5)


def test_default_settings_give_a_frame_every_hundredth_of_a_second():
    assert LogMel()(np.zeros(320000, dtype=np.float32)).shape == (128, 1000)


def test_a_tone_lights_its_band_and_higher_tones_higher_bands():
    time_s = np.arange(32000) / 32000
    peaks = [LogMel()(np.sin(2 * np.pi * hz * time_s).astype(np.float32)).mean(1).argmax() for hz in (200, 1000, 6000)]
    assert peaks == sorted(peaks)
    mel = 1127 * np.log1p(1000 / 700) / (1127 * np.log1p(15000 / 700)) * 129 - 1
    assert abs(peaks[1] - mel) <= 1


@pytest.mark.parametrize("n", [1, 2, 319, 511, 512, 513, 514, 1024])
def test_very_short_sounds_have_finite_spectrograms(n):
    out = LogMel()(np.full(n, 0.5, dtype=np.float32))
    assert out.shape[0] == 128
    assert out.shape[1] >= 1
    assert np.isfinite(out).all()


def test_silence_is_the_floor():
    np.testing.assert_allclose(LogMel()(np.zeros(32000, dtype=np.float32)), (np.log(1e-5) + 4.5) / 5, rtol=1e-6)


def test_settings_survive_storage():
    settings = FrontEnd(LogMel(n_mels=64, f_max_hz=14000.0), window_s=5.0, short="zeros", short_s=2.0)
    assert FrontEnd.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("change", [{"new_option": 1}, {"short": "mirror"}, {"log_mel": {"octaves": 3}}])
def test_unknown_settings_ask_for_an_update(change):
    with pytest.raises(ModelError, match="update askaudio"):
        FrontEnd.from_json({**FrontEnd().to_json(), **change})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("keep", [1, 2, 3]), ("zeros", [1, 2, 3, 0, 0, 0, 0, 0]), ("repeat", [1, 2, 3, 1, 2, 3, 1, 2])],
)
def test_rules_for_short_sounds(rule, expected):
    front_end = FrontEnd(LogMel(sample_rate_hz=8), short=rule, short_s=1.0)
    assert front_end.lengthen(np.array([1, 2, 3], dtype=np.float32)).tolist() == expected
    assert front_end.lengthen(np.arange(9, dtype=np.float32)).tolist() == list(range(9))


@pytest.mark.parametrize("shape", [(0,), (320001,), (2, 100)])
def test_front_end_refuses_what_is_no_window(shape):
    with pytest.raises(ModelError, match="waveform must have shape"):
        FrontEnd()(np.zeros(shape, dtype=np.float32))
