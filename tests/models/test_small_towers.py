"""The towers of the model in the box: sizes, shapes, and a whole dual encoder of them through a folder and ONNX."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from askaudio.encoders.onnx import OnnxEncoder
from askaudio.export.dual_encoder import export
from askaudio.models.bridge import BridgeAudioProjection, BridgeTextProjection
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.small_audio import STAGES, SmallAudioTower
from askaudio.models.small_text import SmallTextTower


def small_tokenizer() -> str:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "barks", "rain"]
    tokenizer = Tokenizer(models.WordPiece({word: k for k, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(64)
    return tokenizer.to_str()


def test_audio_tower_has_at_most_four_million_parameters_and_halves_as_its_teacher_does():
    tower = SmallAudioTower().eval()
    assert sum(p.numel() for p in tower.parameters()) <= 4_000_000
    with torch.inference_mode():
        maps = tower.maps(torch.randn(2, 128, 320))
        assert tower(torch.randn(2, 128, 320)).shape == (2, tower.dim)
    sizes = [
        (channels, 128 // step, 320 // step) for (channels, _, _), step in zip(STAGES, (4, 8, 16, 32), strict=True)
    ]
    assert [tuple(m.shape[1:]) for m in maps] == [*sizes, (384, 4, 10)]


def test_text_tower_is_case_blind_and_padding_changes_nothing():
    tower = SmallTextTower(small_tokenizer()).eval()
    assert tower.token_ids(["A Dog BARKS"]) == tower.token_ids(["a dog barks"])
    ids = torch.tensor([[2, 4, 5, 3]])
    padded, mask = torch.tensor([[2, 4, 5, 3, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    with torch.inference_mode():
        torch.testing.assert_close(tower(ids, torch.ones_like(ids)), tower(padded, mask), atol=1e-5, rtol=0)


@pytest.mark.parametrize("precision", ["int8"])
def test_exported_model_hears_and_reads_as_torch_does(tmp_path, precision):
    torch.manual_seed(0)
    audio, text = BridgeAudioProjection(16, 32, 0.0), BridgeTextProjection(16)
    model = DualEncoder(audio, text, SmallAudioTower(), SmallTextTower(small_tokenizer()), text_source="small")
    model.save(tmp_path / "run")
    model = DualEncoder.load(tmp_path / "run")
    report = export(model, tmp_path / "encoder", name="small", precision=precision, audio_precision="fp16")
    assert max(report.audio_error, report.text_error) <= 1e-4
    encoder = OnnxEncoder(tmp_path / "encoder")
    sounds = [np.random.default_rng(k).standard_normal(32_000).astype(np.float32) / 9 for k in range(2)]
    vectors = encoder.encode_audio(sounds)
    assert vectors.shape == (2, model.embed_dim)
    np.testing.assert_array_equal(encoder.encode_audio(sounds[1:])[0], vectors[1])
