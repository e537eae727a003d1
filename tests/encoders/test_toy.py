"""The toy encoder is foreseeable: sounds meet the words that name them."""

import numpy as np
import pytest

from askaudio.core.errors import ConfigError
from askaudio.encoders.toy import ToyEncoder


def tone(hz, duration_s=1.0):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(16000 * duration_s)) / 16000)).astype(np.float32)


def test_tones_find_their_words_and_words_their_tones(rng):
    sounds = [tone(100), tone(440), tone(3000), np.zeros(16000, np.float32), 0.1 * rng.standard_normal(16000)]
    texts = ["a low hum", "440 Hz tone", "a high beep", "silence", "noise"]
    for dim in (16, 32, 64):
        encoder = ToyEncoder(dim)
        scores = encoder.encode_audio(sounds) @ encoder.encode_text(texts).T
        assert scores.argmax(0).tolist() == [0, 1, 2, 3, 4]
        assert scores.argmax(1).tolist() == [0, 1, 2, 3, 4]


def test_loudness_and_length_do_not_matter():
    a, b, c = ToyEncoder().encode_audio([tone(440), 0.01 * tone(440), tone(440, 3.0)])
    assert a @ b > 0.999
    assert a @ c > 0.99


def test_unknown_texts_are_apart_from_each_other():
    vectors = ToyEncoder(256).encode_text([f"word{k}x" for k in range(20)])
    off_diagonal = (vectors @ vectors.T)[~np.eye(20, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.5


def test_too_few_numbers_are_refused():
    with pytest.raises(ConfigError, match="at least 3"):
        ToyEncoder(2)
