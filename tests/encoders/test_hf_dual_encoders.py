"""PE-AV and GLAP-class models by name, on tiny random configurations: vectors are the library's own, search runs."""

import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="pip install 'askaudio[hf]'")

from askaudio.audio.mel import MelSpectrogram
from askaudio.core.errors import ModelError
from askaudio.encoders.load import load
from askaudio.models.ced import CedTower
from askaudio.search.engine import SearchEngine
from hf_models import write_audio, write_glap
from layouts import tone


def unit(x):
    return (x / np.linalg.norm(x)).astype(np.float32)


def test_pe_audio_gives_what_the_library_gives(tmp_path):
    from transformers import AutoTokenizer, PeAudioFeatureExtractor, PeAudioModel

    folder = write_audio(tmp_path / "pe", "pe_audio")
    encoder = load(f"hf:{folder}")
    assert (encoder.sample_rate_hz, encoder.window_s) == (8000, 10.0)
    model, sound = PeAudioModel.from_pretrained(folder).eval(), tone(440, 0)[:8000]
    inputs = PeAudioFeatureExtractor.from_pretrained(folder)(sound, sampling_rate=8000, return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(folder)("a dog", return_tensors="pt")
    with torch.inference_mode():
        out = model(**tokens, **inputs)
    np.testing.assert_allclose(encoder.encode_audio([sound])[0], unit(out.audio_embeds[0].numpy()), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_text(["a dog"])[0], unit(out.text_audio_embeds[0].numpy()), atol=1e-5)


@pytest.mark.parametrize("fairseq", [True, False])
def test_glap_gives_what_its_parts_give(tmp_path, fairseq):
    from transformers import AutoTokenizer
    from transformers.models.m2m_100.modeling_m2m_100 import M2M100Encoder  # noqa: F401 - the class of the text side

    folder = write_glap(tmp_path / "glap", fairseq)
    encoder = load(f"hf:{folder}")
    sound = tone(440, 0)
    tower = CedTower.from_file(_audio_side(folder, tmp_path / "audio"))
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")

    def head(x, side):
        for layer in (0, 2):
            x = x @ tensors[f"{side}_proj.{layer}.weight"].T + tensors[f"{side}_proj.{layer}.bias"]
            x = x.relu() if layer == 0 else x
        return unit(x[0].numpy())

    with torch.inference_mode():
        audio = tower(torch.from_numpy(MelSpectrogram(depth=120.0)(sound))[None])
    np.testing.assert_allclose(encoder.encode_audio([sound])[0], head(audio, "audio"), atol=1e-4)
    assert AutoTokenizer.from_pretrained(folder)("a dog").input_ids == [2, 4, 5, 3]
    vectors = encoder.encode_text(["a dog", "rain"])
    assert vectors.shape == (2, 12) and abs(vectors[0] @ vectors[1]) < 0.9999


def test_both_naming_schemes_are_one_model(tmp_path):
    one, other = (load(f"hf:{write_glap(tmp_path / str(kind), kind)}") for kind in (True, False))
    np.testing.assert_allclose(one.encode_text(["a dog barks"]), other.encode_text(["a dog barks"]), atol=1e-6)


def _audio_side(folder, out):
    from safetensors.torch import load_file, save_file

    out.mkdir()
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k.startswith("audio_encoder.")}, out / "model.safetensors")
    return out


@pytest.mark.parametrize("write", [lambda folder: write_audio(folder, "pe_audio"), write_glap])
def test_index_and_search(write, tmp_path):
    import soundfile

    model = write(tmp_path / "model")
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number, pitch in enumerate((220.0, 1760.0)):
        soundfile.write(sounds / f"{number}.wav", tone(pitch, number), 16000)
    with SearchEngine.build(sounds, model=f"hf:{model}", collection=tmp_path / "collection") as engine:
        assert len(engine.search("a low tone", top_k=2)) >= 1


def test_damaged_and_unknown_folders(tmp_path):
    folder = write_glap(tmp_path / "glap")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match="no tokenizer"):
        load(f"hf:{folder}")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no GLAP"):
        load(f"hf:{folder}")
    pe = write_audio(tmp_path / "pe", "pe_audio")
    shutil.rmtree(tmp_path / "glap")
    (pe / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no PE-AV"):
        load(f"hf:{pe}")
