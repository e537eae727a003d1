"""The text tower of the model in the box: a transformer of four layers of 256, 6.3 M parameters, own WordPiece.

Cost: 1 ms of one core for a query. Its vectors (B, 384) live in the space of the MiniLM it was distilled from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import nn

from askaudio.core.extras import require
from askaudio.core.types import Json

FEATURE_DIM = 384
MAX_TOKENS = 64
WIDTH, LAYERS, HEADS, INNER = 256, 4, 4, 1024


class SmallTextTower(nn.Module):
    """Token ids and mask (B, L) int64 -> (B, 384) rows of length 1.

    Args:
        tokenizer: The tokenizer's JSON, as ``tokenizers`` writes it.

    Raises:
        MissingExtraError: transformers is not installed.
    """

    kind = "small_text"
    dim = FEATURE_DIM

    def __init__(self, tokenizer: str) -> None:
        super().__init__()
        transformers = require("transformers", "train")
        self._json = tokenizer
        self._tokenizer = Tokenizer.from_str(tokenizer)
        config = transformers.BertConfig(
            vocab_size=self._tokenizer.get_vocab_size(),
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=INNER,
            max_position_embeddings=MAX_TOKENS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        config._attn_implementation = "eager"  # plain matrix products: the same everywhere, and exportable
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        self.out = nn.Linear(WIDTH, FEATURE_DIM)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encode B token rows (B, L); ``mask`` is 1 on tokens and 0 on padding."""
        hidden = self.bert(input_ids=ids, attention_mask=mask, return_dict=False)[0]  # (B, L, 256)
        weight = mask.unsqueeze(-1).to(hidden.dtype)  # (B, L, 1)
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)  # (B, 256)
        return nn.functional.normalize(self.out(mean), dim=-1)

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return {"tokenizer": self._json}

    def tokenizer_json(self) -> str:
        """The tokenizer as ``tokenizers`` serialises it."""
        return self._json

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with both end marks, without padding."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
