"""Every encoder keeps the contract: unit rows, same input same bits, batch = single, odd inputs defined."""

import dataclasses

import numpy as np
import pytest
import torch

from askaudio.core.errors import ModelError
from askaudio.encoders.encoder import Encoder, pool_windows
from askaudio.encoders.load import load
from askaudio.export.dual_encoder import export
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection


@pytest.fixture(scope="session")
def real_folder(shared, tmp_path_factory):
    """EfficientAT and MiniLM under random projections, exported."""
    torch.manual_seed(0)
    source = f"efficientat:{shared / 'models/efficientat_mn04/mn04_as.onnx'}"
    model = DualEncoder(Projection(384, 64), Projection(384, 64), audio_source=source)
    folder = tmp_path_factory.mktemp("real") / "encoder"
    report = export(model, folder)
    assert max(report.audio_error, report.text_error) <= 1e-4
    return folder


@pytest.fixture(params=["toy", "toy:dim=16", "tiny", pytest.param("real", marks=pytest.mark.shared)])
def spec(request):
    folders = {"tiny": "tiny_folder", "real": "real_folder"}
    return str(request.getfixturevalue(folders[request.param])) if request.param in folders else request.param


@pytest.fixture
def encoder(spec):
    return load(spec)


def sounds(encoder: Encoder) -> list[np.ndarray]:
    """Different lengths, a full window, silence, one sample, a loud step."""
    rng = np.random.default_rng(0)
    rate, longest = encoder.sample_rate_hz, round(encoder.window_s * encoder.sample_rate_hz)
    lengths = (longest, rate // 2, rate, 1, 2, 700)
    noise = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in lengths]
    return [*noise, np.zeros(rate, dtype=np.float32), np.ones(3000, dtype=np.float32)]


TEXTS = ["a dog barks", "low hum", "", " ", "дождь по крыше", "rain " * 300, "\x00\n", "🔔", "440 Hz tone"]


def assert_rows(vectors: np.ndarray, n: int, dim: int) -> None:
    assert vectors.shape == (n, dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_it_is_an_encoder(encoder):
    assert isinstance(encoder, Encoder)
    assert encoder.name
    assert encoder.fingerprint
    assert 0 < encoder.hop_s <= encoder.window_s


def test_rows_have_length_one_whatever_comes_in(encoder):
    assert_rows(encoder.encode_audio(sounds(encoder)), 8, encoder.embed_dim)
    assert_rows(encoder.encode_text(TEXTS), len(TEXTS), encoder.embed_dim)


def test_nothing_in_nothing_out(encoder):
    assert encoder.encode_audio([]).shape == (0, encoder.embed_dim)
    assert encoder.encode_text([]).shape == (0, encoder.embed_dim)


def test_same_input_same_bits_alone_in_a_batch_and_after_reopening(encoder, spec):
    inputs = sounds(encoder)
    batch, texts = encoder.encode_audio(inputs), encoder.encode_text(TEXTS)
    again = load(spec)
    assert again.fingerprint == encoder.fingerprint
    assert np.array_equal(batch, again.encode_audio(inputs))
    assert np.array_equal(batch, np.concatenate([encoder.encode_audio([sound]) for sound in inputs]))
    assert np.array_equal(batch[::-1], encoder.encode_audio(inputs[::-1]))
    assert np.array_equal(texts, np.concatenate([again.encode_text([text]) for text in TEXTS]))


def test_inputs_are_not_changed(encoder):
    inputs = sounds(encoder)
    copies = [sound.copy() for sound in inputs]
    encoder.encode_audio(inputs)
    assert all(np.array_equal(a, b) for a, b in zip(inputs, copies, strict=True))


def test_different_inputs_differ(encoder):
    rate = encoder.sample_rate_hz
    time_s = np.arange(rate) / rate
    low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32) * 0.3 for hz in (150, 3000))
    a, b = encoder.encode_audio([low, high])
    assert np.abs(a - b).max() > 1e-4  # untrained weights hardly tell them apart
    a, b = encoder.encode_text(["low hum", "high"])
    assert np.abs(a - b).max() > 1e-4


def test_windows_pool_to_length_one(encoder):
    pooled = pool_windows(encoder.encode_audio(sounds(encoder)[:3]))
    assert np.linalg.norm(pooled) == pytest.approx(1.0, abs=1e-5)


def test_threads_change_nothing(tiny_folder):
    encoder = load(tiny_folder)
    inputs = sounds(encoder)
    encoder.threads = 1
    one = encoder.encode_audio(inputs)
    encoder.threads = 4
    assert np.array_equal(one, encoder.encode_audio(inputs))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sound_that_is_no_sound_is_refused(tiny_folder, value):
    with pytest.raises(ModelError, match="NaN or infinite"):
        load(tiny_folder).encode_audio([np.zeros(8000, np.float32), np.full(8000, value, np.float32)])


def test_too_long_sound_says_how_to_cut_it(tiny_folder):
    with pytest.raises(ModelError, match="fixed_windows"):
        load(tiny_folder).encode_audio([np.zeros(16001, dtype=np.float32)])


def test_one_text_in_place_of_a_list_is_refused(tiny_folder):
    with pytest.raises(ModelError, match=r"write \[text\]"):
        load(tiny_folder).encode_text("rain")


@pytest.mark.shared
def test_one_sound_at_any_rate_has_one_vector(shared, real_folder, tmp_path):
    """The same recording stored at other rates, formats and channel counts comes back as almost the same vector."""
    import soundfile
    import soxr

    from askaudio.audio.decode import decode

    encoder = load(real_folder)
    original = decode(shared / "data/sounds/urbansound8k/fold1/101415-3-0-2.opus", 48000)  # a dog
    vectors = []
    for suffix, rate_hz, channels in (("wav", 48000, 1), ("flac", 44100, 2), ("ogg", 32000, 2), ("mp3", 48000, 1)):
        samples = soxr.resample(original, 48000, rate_hz)
        path = tmp_path / f"dog.{suffix}"
        soundfile.write(path, np.stack([samples] * channels, 1), rate_hz)
        vectors.append(encoder.encode_audio([decode(path, encoder.sample_rate_hz)])[0])
    assert np.min(vectors @ np.stack(vectors).T) > 0.99


@pytest.mark.shared
def test_exported_sound_and_text_equal_the_features_they_come_from(shared, real_folder):
    """The front end is stored: a folder with another rule for short sounds gives other vectors and another name."""
    encoder = load(real_folder)
    short = np.sin(np.arange(8000, dtype=np.float32) / 7)
    before = encoder.encode_audio([short])
    encoder.front_end = dataclasses.replace(encoder.front_end, short="repeat")
    assert (before @ encoder.encode_audio([short]).T).item() < 0.9999
