"""Text towers of the transformers library: BERT, RoBERTa, E5, MPNet, ModernBERT, the encoder of M2M100 (SONAR), T5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, normalizers
from torch import Tensor, nn

from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.types import Json
from askaudio.models.hf_part import (
    EXTRA,
    TEXT,
    build_part,
    is_checkpointing,
    layers_of,
    load_part,
    set_checkpointing,
    settings_of,
)
from askaudio.models.tower import masked_mean

MAX_TOKENS = 128  # captions have about 12; what is beyond is cut
Pooling = Literal["mean", "cls", "attention"]


class HfTextTower(nn.Module):
    """Token ids and mask (B, L) int64 -> token states (B, L, C) and a vector (B, C).

    Args:
        tower: Class of the library.
        config: Its configuration.
        tokenizer: The tokenizer's JSON, as ``tokenizers`` writes it.
        pooling: ``"mean"`` over the tokens, the first token (``"cls"``), or a learned weight for each token
            (``"attention"``).
        model: The loaded tower; None builds one with random weights.

    Raises:
        MissingExtraError: transformers is not installed.
    """

    kind = "hf_text"

    def __init__(
        self, tower: str, config: Json, tokenizer: str, pooling: Pooling = "mean", model: nn.Module | None = None
    ) -> None:
        super().__init__()
        built: Any = build_part(tower, config) if model is None else model
        self.model = built
        self._settings = {"tower": tower, "config": config, "tokenizer": tokenizer, "pooling": pooling}
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self.dim = int(getattr(built.config, "hidden_size", None) or built.config.d_model)
        self.pooling = pooling
        self.attend = nn.Linear(self.dim, 1, bias=False) if pooling == "attention" else None
        if self.attend is not None:
            nn.init.zeros_(self.attend.weight)  # training begins with the mean

    def token_states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The last layer's states (B, L, C); ``mask`` is 1 on tokens and 0 on padding."""
        ids = ids.masked_fill(mask == 0, self.model.config.pad_token_id or 0)
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Vectors (B, C) of B token rows."""
        states = self.token_states(ids, mask)
        if self.pooling == "cls":
            return states[:, 0]
        if self.attend is None:
            return masked_mean(states, mask)
        scores = self.attend(states)[..., 0]  # (B, L), in half precision where the trainer works in it
        weight = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min).softmax(1)
        return (states * weight.unsqueeze(-1)).sum(1)

    @property
    def checkpointing(self) -> bool:
        """Whether layers are computed again in the backward pass."""
        return is_checkpointing(self.model)

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        set_checkpointing(self.model, on)

    def layer_stack(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers, and the modules after them."""
        layers, after = layers_of(self.model)
        return layers, [*after, *([self.attend] if self.attend is not None else [])]

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return dict(self._settings)

    def tokenizer_json(self) -> str:
        """The tokenizer as ``tokenizers`` serialises it."""
        return str(self._settings["tokenizer"])

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the model's marks, without padding."""
        return [encoding.ids or [0] for encoding in self._tokenizer.encode_batch(list(texts))]

    @classmethod
    def from_folder(cls, folder: Path, pooling: Pooling = "mean", prefix: str = "") -> HfTextTower:
        """The tower of a saved model.

        Args:
            folder: Of the model.
            pooling: See the class.
            prefix: Put before every text, as E5 needs it (``"query: "``).

        Raises:
            ModelError: Another architecture, damaged weights, or no tokenizer that can be read.
        """
        model = load_part(folder, TEXT)
        return cls(**settings_of(model), tokenizer=read_tokenizer(folder, model, prefix), pooling=pooling, model=model)


def read_tokenizer(folder: Path, model: Any, prefix: str = "") -> str:
    """A model's tokenizer as JSON of ``tokenizers``, which cuts at the tower's length or ``MAX_TOKENS``.

    Args:
        folder: Of the model.
        model: The tower.
        prefix: Put before every text.

    Raises:
        ModelError: The folder has no tokenizer that ``tokenizers`` runs.
    """
    auto = require("transformers", EXTRA).AutoTokenizer
    try:
        tokenizer = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder} has no fast tokenizer that can be read: {str(error).splitlines()[0]}") from error
    places = getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS
    backend.enable_truncation(min(tokenizer.model_max_length, places - 2, MAX_TOKENS))
    backend.no_padding()
    if prefix:
        before = normalizers.Prepend(prefix)
        backend.normalizer = normalizers.Sequence([before, *([backend.normalizer] if backend.normalizer else [])])
    return str(backend.to_str())
