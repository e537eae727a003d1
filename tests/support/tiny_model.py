"""A dual encoder small enough to export in a second, and its encoder folder."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.export.dual_encoder import export
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import TOWERS, DualEncoder
from askaudio.models.projection import Projection

WORDS = ("[unknown]", "a", "dog", "barks", "rain", "door", "slams", "in", "hall", "low", "high", "hum", "loud", "quiet")
LOG_MEL = LogMel(sample_rate_hz=8000, n_mels=32, n_fft=256, window=200, hop=80, f_max_hz=3800.0)
FRONT_END = FrontEnd(LOG_MEL, window_s=2.0, hop_s=2.0, short="repeat", short_s=0.5)


class TinyTextTower(nn.Module):
    """Mean of word vectors; a text without words has the zero vector."""

    kind = "tiny"
    dim = 12

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), self.dim)

    def forward(self, ids, mask):
        weight = mask.unsqueeze(-1).float()
        return (self.embedding(ids) * weight).sum(1) / weight.sum(1).clamp(min=1)

    def settings(self):
        return {}

    @staticmethod
    def token_ids(texts):
        return [encoding.ids or [0] for encoding in _tokenizer().encode_batch(list(texts))]

    @staticmethod
    def tokenizer_json():
        return _tokenizer().to_str()


def _tokenizer():
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[unknown]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture(autouse=True, scope="session")
def tiny_tower_is_known():
    TOWERS["tiny"] = TinyTextTower
    yield
    TOWERS.pop("tiny", None)


def make_tiny(seed: int = 0) -> DualEncoder:
    torch.manual_seed(seed)
    audio_tower = CnnAudioTower(n_mels=32, channels=(4, 6, 6, 8, 8), dim=16)
    model = DualEncoder(
        Projection(16, 8, hidden_dim=12, residual=True, layer_norm=True),
        Projection(12, 8, hidden_dim=12),
        audio_tower=audio_tower,
        text_tower=TinyTextTower(),
        front_end=FRONT_END,
    )
    audio_tower.train()(torch.randn(8, 32, 100))  # batch-norm statistics that are not 0 and 1
    return model.eval()


@pytest.fixture
def tiny_model() -> DualEncoder:
    return make_tiny()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, tiny_tower_is_known) -> Path:
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    export(make_tiny(), folder, name="tiny")
    return folder
