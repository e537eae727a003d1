"""Front ends without torch from the settings of the transformers library's feature extractors, compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.mel import MelSpectrogram
from askaudio.audio.raw import RawWaveform
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray

WINDOW_S = 10.0  # of towers that take sounds of any length
TOLERANCE = 0.01  # largest difference from the extractor, in its own units (decibels, standard deviations)


def front_end_of(extractor: Any, window_s: float = WINDOW_S) -> FrontEnd:
    """The front end that computes what a feature extractor computes.

    Args:
        extractor: A feature extractor of the transformers library.
        window_s: Length of a window in seconds, for towers that take sounds of any length.

    Raises:
        ModelError: An unknown extractor, settings that ``FrontEnd`` does not have, or a result that differs from the
            extractor's on a probe sound.
    """
    kind = type(extractor).__name__
    if kind not in _BUILDERS:
        raise ModelError(f"unknown feature extractor {kind}; this version has {', '.join(sorted(_BUILDERS))}")
    front_end = _BUILDERS[kind](extractor, window_s)
    _compare(front_end, extractor)
    return front_end


def clap_front_end(extractor: Any, _window_s: float = WINDOW_S) -> FrontEnd:
    """The front end of a ``ClapFeatureExtractor``.

    Raises:
        ModelError: It takes random crops of long sounds, or pads in another way than ``repeatpad``.
    """
    if extractor.truncation == "fusion" or extractor.padding != "repeatpad" or extractor.top_db is not None:
        raise ModelError(
            "of a ClapFeatureExtractor expected truncation rand_trunc, padding repeatpad and no top_db, got "
            f"truncation {extractor.truncation!r}, {extractor.padding!r} and {extractor.top_db!r}; "
            "take an unfused model, for example laion/clap-htsat-unfused"
        )
    mel = SlaneyMel(
        sample_rate_hz=extractor.sampling_rate,
        n_mels=extractor.feature_size,
        n_fft=extractor.fft_window_size,
        hop=extractor.hop_length,
        f_min_hz=float(extractor.frequency_min),
        f_max_hz=float(extractor.frequency_max),
    )
    window_s = float(extractor.max_length_s)
    return FrontEnd(mel, window_s=window_s, hop_s=window_s, short="tile", short_s=window_s)


def _whisper(extractor: Any, _window_s: float) -> FrontEnd:
    mel = MelSpectrogram(
        extractor.sampling_rate, extractor.feature_size, n_fft=extractor.n_fft, window=extractor.n_fft,
        hop=extractor.hop_length, f_max_hz=8000.0, mel="slaney", unit_area=True, log="log10", depth=8.0,
        drop_last=True, shift=4.0, scale=4.0,
    )  # fmt: skip
    length_s = float(extractor.chunk_length)  # the tower has one place for each frame of a full window
    return FrontEnd(mel, window_s=length_s, hop_s=length_s, short="zeros", short_s=length_s)


def _ast(extractor: Any, _window_s: float) -> FrontEnd:
    if not extractor.do_normalize:
        raise ModelError("an ASTFeatureExtractor without do_normalize is unknown")
    hop, rate = 160, extractor.sampling_rate
    mel = MelSpectrogram(
        rate, extractor.num_mel_bins, n_fft=512, window=400, hop=hop, f_min_hz=20.0, f_max_hz=rate / 2,
        periodic=False, centred=False, straight_in="mel", remove_mean=True, preemphasis=0.97, log="ln",
        floor=1.192092955078125e-07, frames=extractor.max_length, shift=-extractor.mean, scale=2 * extractor.std,
    )  # fmt: skip
    length_s = extractor.max_length * hop / rate
    return FrontEnd(mel, window_s=length_s, hop_s=length_s, short="keep")


def _wav2vec2(extractor: Any, window_s: float) -> FrontEnd:
    raw = RawWaveform(extractor.sampling_rate, standardise=bool(extractor.do_normalize))
    return FrontEnd(raw, window_s=window_s, hop_s=window_s)


def _pe_audio(extractor: Any, window_s: float) -> FrontEnd:
    raw = RawWaveform(extractor.sampling_rate, multiple=extractor.hop_length)
    return FrontEnd(raw, window_s=window_s, hop_s=window_s)


_BUILDERS: dict[str, Callable[[Any, float], FrontEnd]] = {
    "ClapFeatureExtractor": clap_front_end,
    "WhisperFeatureExtractor": _whisper,
    "ASTFeatureExtractor": _ast,
    "Wav2Vec2FeatureExtractor": _wav2vec2,
    "PeAudioFeatureExtractor": _pe_audio,
}


def _compare(front_end: FrontEnd, extractor: Any) -> None:
    """Raise where a second of tone and noise gives another result than the extractor's."""
    rate = front_end.sample_rate_hz
    time_s = np.arange(min(rate, round(front_end.window_s * rate))) / rate
    noise = np.random.default_rng(0).standard_normal(len(time_s))
    sound = (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.03 * noise).astype(np.float32)
    expected, found = _features(extractor, sound), front_end(sound)
    if expected.shape != found.shape or not np.abs(expected - found).max() <= TOLERANCE:
        raise ModelError(
            f"the front end does not give what {type(extractor).__name__} gives: shapes {found.shape} and "
            f"{expected.shape}; settings of this extractor are unknown to this version"
        )


def _features(extractor: Any, sound: FloatArray) -> FloatArray:
    """What the extractor gives for one sound, as (F, T)."""
    outputs = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="np")
    values = np.asarray(outputs["input_features" if "input_features" in outputs else "input_values"][0])
    if type(extractor).__name__ == "ClapFeatureExtractor":
        return values[0].T  # (1, T, F)
    if type(extractor).__name__ == "ASTFeatureExtractor":
        return values.T  # (T, F)
    return np.atleast_2d(values)
