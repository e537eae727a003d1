"""Files to vectors: one row per file, equal to encoding by hand; errors name the file."""

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import Waveform
from askaudio.core.errors import AudioDecodeError, ModelError
from askaudio.encoders.load import load, load_encoder
from askaudio.encoders.recording import FileEncoder, encode_recording


def write_tone(path, hz, duration_s):
    wave = (0.3 * np.sin(2 * np.pi * hz * np.arange(round(duration_s * 16000)) / 16000)).astype(np.float32)
    soundfile.write(path, wave, 16000, subtype="FLOAT")
    return path, wave


def test_one_row_per_file(tmp_path):
    encoder = load_encoder("toy")
    short, wave = write_tone(tmp_path / "a.wav", 440, 2.0)
    long, long_wave = write_tone(tmp_path / "b.wav", 880, 15.0)
    rows = encoder.encode_files([short, str(long), short])
    assert rows.shape == (3, 32) and rows.dtype == np.float32
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_array_equal(rows[0], encoder.encode_audio([wave])[0])
    windows = encoder.encode_audio([long_wave[:160000], long_wave[80000:]])
    mean = windows.mean(axis=0)
    np.testing.assert_allclose(rows[1], mean / np.linalg.norm(mean), rtol=1e-6)
    assert encoder.encode_files([]).shape == (0, 32)


def test_a_waveform_is_a_source(tmp_path):
    path, wave = write_tone(tmp_path / "a.wav", 440, 12.0)
    from_file = encode_recording(load_encoder("toy"), path)
    from_memory = encode_recording(load_encoder("toy"), Waveform(wave, 16000))
    np.testing.assert_array_equal(from_file.vectors, from_memory.vectors)
    assert from_file.times.tolist() == [[0.0, 10.0], [2.0, 12.0]]


def test_errors_name_the_file(tmp_path):
    encoder = load_encoder("toy")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, dtype=np.float32), 16000)
    with pytest.raises(AudioDecodeError, match=r"empty\.wav: holds no samples"):
        encoder.encode_files([tmp_path / "empty.wav"])
    with pytest.raises(AudioDecodeError, match=r"none\.wav: no such file"):
        encoder.encode_files([tmp_path / "none.wav"])
    with pytest.raises(ModelError, match=r"a list of paths, got one path"):
        encoder.encode_files("a.wav")


def test_an_encoder_that_returns_nan_is_refused(tmp_path):
    class Faulty(FileEncoder):
        name, fingerprint, embed_dim = "faulty", "0", 2
        sample_rate_hz, window_s, hop_s = 16000, 10.0, 10.0

        def encode_audio(self, waveforms):
            return np.full((len(waveforms), 2), np.nan, dtype=np.float32)

        def encode_text(self, texts):
            return np.ones((len(texts), 2), dtype=np.float32)

    path, _ = write_tone(tmp_path / "a.wav", 440, 1.0)
    with pytest.raises(ModelError, match=r"a\.wav.*faulty returned NaN"):
        Faulty().encode_files([path])


def test_the_older_name_opens_the_same():
    assert load is load_encoder
    assert load_encoder().name == "small"
