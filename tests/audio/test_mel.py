"""Mel spectrograms equal those of the transformers library's extractors; waveforms pass through as one row."""

import numpy as np
import pytest

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.mel import MelSpectrogram
from askaudio.audio.raw import RawWaveform
from askaudio.core.errors import ModelError

WHISPER = MelSpectrogram(
    16000, 80, n_fft=400, window=400, f_max_hz=8000.0, mel="slaney", unit_area=True, log="log10", depth=8.0,
    drop_last=True, shift=4.0, scale=4.0,
)  # fmt: skip
AST = MelSpectrogram(
    16000, 128, n_fft=512, window=400, f_min_hz=20.0, periodic=False, centred=False, straight_in="mel",
    remove_mean=True, preemphasis=0.97, log="ln", floor=1.192092955078125e-07, frames=1024, shift=4.2677393,
    scale=2 * 4.5689974,
)  # fmt: skip


@pytest.fixture
def sound():
    rng = np.random.default_rng(0)
    t = np.arange(24000) / 16000
    return (0.3 * np.sin(2 * np.pi * 440 * t) + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def test_whisper(sound):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=80)
    found = FrontEnd(WHISPER, window_s=30.0, hop_s=30.0, short="zeros", short_s=30.0)(sound)
    expected = extractor(sound, sampling_rate=16000, return_tensors="np").input_features[0]
    assert found.shape == expected.shape == (80, 3000)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_audio_spectrogram_transformer(sound):
    from transformers import ASTFeatureExtractor

    expected = ASTFeatureExtractor()(sound, sampling_rate=16000, return_tensors="np").input_values[0].T
    found = AST(sound)
    assert found.shape == expected.shape == (128, 1024)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_decibels_of_ced(sound):
    """Slow path: torch's transform, the filters of the transformers library, decibels cut 120 below the maximum."""
    import torch
    from transformers.audio_utils import mel_filter_bank

    spectrum = torch.stft(torch.from_numpy(sound), 512, 160, window=torch.hann_window(512), return_complex=True)
    filters = torch.from_numpy(mel_filter_bank(257, 64, 0.0, 8000.0, 16000, norm=None, mel_scale="htk")).float()
    decibels = 10 * (filters.T @ spectrum.abs() ** 2).clamp(min=1e-10).log10()
    expected = torch.maximum(decibels, decibels.max() - 120).numpy()
    np.testing.assert_allclose(MelSpectrogram(depth=120.0)(sound), expected, atol=0.01)


@pytest.mark.parametrize("settings", [WHISPER, AST, RawWaveform(8000, standardise=True, multiple=7)])
def test_settings_come_back_and_short_sounds_have_a_result(settings):
    front_end = FrontEnd(settings, window_s=2.0, hop_s=2.0, short="keep")
    again = FrontEnd.from_json(front_end.to_json())
    assert again == front_end
    assert np.isfinite(again(np.ones(30, dtype=np.float32))).all()
    with pytest.raises(ModelError, match="update askaudio"):
        FrontEnd.from_json({**front_end.to_json(), "log_mel": {**settings.to_json(), "phase": 1}})
    with pytest.raises(ModelError, match="update askaudio"):
        FrontEnd.from_json({**front_end.to_json(), "log_mel": {"kind": "constant q"}})


def test_waveform(sound):
    assert np.array_equal(RawWaveform()(sound), sound[None])
    found = RawWaveform(standardise=True, multiple=1000)(sound[:2500] + 1)
    assert found.shape == (1, 3000)
    assert abs(found[0, :2500].mean()) < 1e-5 and abs(found[0, :2500].std() - 1) < 1e-4
    np.testing.assert_array_equal(found[0, 2500:], found[0, 2498:1998:-1])
