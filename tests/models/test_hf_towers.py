"""Towers of the transformers library: front end and features equal the library's, padding changes nothing."""

import copy

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="pip install 'askaudio[hf]'")

from askaudio.core.errors import ModelError
from askaudio.models.hf_audio import HfAudioTower
from askaudio.models.hf_text import HfTextTower
from hf_models import AUDIO, TEXT, write_audio, write_text, write_tokenizer

TEXTS = ["a dog barks", "rain", "a low tone a high tone a beep"]


@pytest.fixture(scope="module", params=AUDIO)
def loaded(request, tmp_path_factory):
    folder = write_audio(tmp_path_factory.mktemp("audio") / request.param, request.param)
    return request.param, folder, *HfAudioTower.from_folder(folder, window_s=1.0)


def sounds(front_end):
    rng = np.random.default_rng(0)
    lengths = (front_end.window_s, 0.6 * front_end.window_s)
    return [(0.1 * rng.standard_normal(round(s * front_end.sample_rate_hz))).astype(np.float32) for s in lengths]


def batch_of(arrays):
    frames = torch.tensor([a.shape[1] for a in arrays])
    batch = torch.zeros(len(arrays), arrays[0].shape[0], int(frames.max()))
    for row, array in enumerate(arrays):
        batch[row, :, : array.shape[1]] = torch.from_numpy(array)
    return batch, frames


def test_features_are_those_of_the_library(loaded):
    import transformers

    kind, folder, tower, front_end = loaded
    sound = sounds(front_end)[0]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    inputs = {k: v for k, v in inputs.items() if k in ("input_features", "input_values")}
    with torch.inference_mode():
        if kind == "clap":
            expected = model.audio_model(**inputs).pooler_output
        elif kind == "pe_audio":
            expected = model.audio_encoder(**inputs).pooler_output
        elif kind == "ast":
            expected = model(**inputs).pooler_output
        else:
            expected = (model.encoder if kind == "whisper" else model)(**inputs).last_hidden_state.mean(1)
        found = tower(torch.from_numpy(front_end(sound))[None])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_padding_changes_neither_frames_nor_vectors(loaded):
    _, _, tower, front_end = loaded
    arrays = [front_end(sound) for sound in sounds(front_end)]
    with torch.inference_mode():
        together, (states, mask) = tower(*batch_of(arrays)), tower.frame_states(*batch_of(arrays))
        assert states.shape[2] == tower.frame_dim and together.shape == (2, tower.dim)
        for row, array in enumerate(arrays):
            alone = torch.from_numpy(array)[None]
            torch.testing.assert_close(together[row], tower(alone)[0], atol=1e-4, rtol=1e-3)
            own, _ = tower.frame_states(alone)
            assert (states.shape[1] if mask is None else int(mask[row].sum())) == own.shape[1]
            torch.testing.assert_close(states[row, : own.shape[1]], own[0], atol=1e-4, rtol=1e-3)


def test_settings_rebuild_the_tower_and_layers_are_known(loaded):
    kind, _, tower, _ = loaded
    again = HfAudioTower(**tower.settings())
    again.load_state_dict(tower.state_dict())
    layers, after = tower.layer_stack()
    assert len(layers) == 2 and (kind == "hubert" or after)


def test_checkpointing_gives_the_same_gradients(loaded):
    kind, _, tower, front_end = loaded
    if kind == "clap":
        with pytest.raises(ModelError, match=r"train\.gradient_cache_chunk"):
            tower.checkpointing = True
        return
    grads = []
    for on in (False, True):
        one = copy.deepcopy(tower).train()
        for module in one.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        one.checkpointing = on
        assert one.checkpointing == on
        torch.manual_seed(0)
        one(*batch_of([front_end(sound) for sound in sounds(front_end)])).square().sum().backward()
        grads.append({name: p.grad for name, p in one.named_parameters()})
    plain, again = grads
    assert any(g is not None and g.abs().sum() > 0 for g in plain.values())
    for name, grad in plain.items():
        assert (grad is None) == (again[name] is None), name
        if grad is not None:
            torch.testing.assert_close(grad, again[name], msg=name)


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize("pooling", ["mean", "cls", "attention"])
def test_text_towers(kind, pooling, tmp_path):
    folder = write_text(tmp_path / kind, kind)
    tower = HfTextTower.from_folder(folder, pooling).eval()
    rows = tower.token_ids(TEXTS)
    assert rows[1] == [2, 7, 3]
    ids = torch.zeros(3, max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
    with torch.inference_mode():
        together = tower(ids, mask)
        for row, tokens in enumerate(rows):
            one = torch.tensor([tokens])
            states = tower.token_states(one, torch.ones_like(one))[0]
            expected = states[0] if pooling == "cls" else states.mean(0)  # a fresh attention weighs all alike
            torch.testing.assert_close(together[row], expected, atol=1e-5, rtol=1e-4)
    again = HfTextTower(**tower.settings())
    again.load_state_dict(tower.state_dict())
    assert again.token_ids(TEXTS) == rows
    layers, _ = tower.layer_stack()
    assert len(layers) == 2
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert tower(ids, mask).isfinite().all()


def test_a_prefix_is_part_of_the_tokenizer(tmp_path):
    tower = HfTextTower.from_folder(write_text(tmp_path, "bert"), prefix="a ")
    assert tower.token_ids(["rain"]) == [[2, 4, 7, 3]]


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"model_type ''.*takes audio-spectrogram-transformer"):
        HfAudioTower.from_folder(tmp_path)
    write_text(tmp_path / "bert", "bert")
    with pytest.raises(ModelError, match="model_type 'bert'"):
        HfAudioTower.from_folder(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="holds no bert that can be read"):
        HfTextTower.from_folder(tmp_path / "bert")
    write_text(tmp_path / "bare", "bert")
    (tmp_path / "bare" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="no fast tokenizer"):
        HfTextTower.from_folder(tmp_path / "bare")
    write_tokenizer(tmp_path / "bare")
