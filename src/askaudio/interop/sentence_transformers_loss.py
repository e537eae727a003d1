"""ASK as a loss of the sentence-transformers trainer (6.x), for any model with text and audio.

Example::

    encode = row_encoder(model, pairs)                       # columns: caption, audio, label (the clip's number)
    ask = ASK(KnowledgeBase.encoded(pairs["label"], encode), encode=encode)
    trainer = SentenceTransformerTrainer(
        model, args, pairs, loss=ASKLoss(model, ask), callbacks=[ASKCallback(ask)]  # of interop.transformers
    )

Parameters of ``ask`` (a learned temperature) are trained with the model's, because the trainer looks into the loss.
``examples/sentence_transformers_trainer.py`` runs it. Nothing is imported from sentence-transformers here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import Encode


class ASKLoss(nn.Module):
    """A loss for ``SentenceTransformerTrainer(loss=...)``.

    Args:
        model: The model that is trained.
        ask: The objective.
    """

    def __init__(self, model: nn.Module, ask: ASK) -> None:
        super().__init__()
        self.model = model
        self.ask = ask

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None) -> Tensor:
        """Loss of a batch.

        Args:
            sentence_features: One column of texts and one of sounds, in any order.
            labels: (B,) numbers of the clips.

        Raises:
            ConfigError: Not these two columns, or no column ``label``.
        """
        columns = list(sentence_features)
        texts = [column for column in columns if "input_ids" in column]
        sounds = [column for column in columns if "input_ids" not in column]
        if len(texts) != 1 or len(sounds) != 1:
            raise ConfigError(f"ASK takes one column of texts and one of sounds, got {len(texts)} and {len(sounds)}")
        if labels is None:
            raise ConfigError("ASK needs the number of each pair's clip: give the data set a column 'label'")
        return self.ask(self._embed(sounds[0]), self._embed(texts[0]), labels).total

    def _embed(self, column: dict[str, Tensor]) -> Tensor:
        return F.normalize(self.model(column)["sentence_embedding"], dim=-1)  # (B, D)


def row_encoder(model: Any, pairs: Any, audio: str = "audio", text: str = "caption", batch_size: int = 32) -> Encode:
    """The function by which a knowledge base asks for fresh embeddings of the rows of a data set.

    Args:
        model: A ``SentenceTransformer``.
        pairs: A ``datasets.Dataset``.
        audio: Its column of sounds.
        text: Its column of captions.
        batch_size: Inputs encoded at once.

    Returns:
        ``encode(rows (n,)) -> (audio (n, D), text (n, D))``, without gradient, in evaluation mode.
    """

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        was_training = model.training
        chosen = pairs.select(rows.tolist())
        found = [_encode_distinct(model, chosen[column], batch_size) for column in (audio, text)]
        model.train(was_training)
        return found[0], found[1]

    return encode


def _encode_distinct(model: Any, inputs: Iterable[Any], batch_size: int) -> Tensor:
    """Rows (n, D); a sound with five captions, or a caption of five sounds, is encoded once."""
    inputs = list(inputs)
    keys = [value if isinstance(value, str) else id(value) for value in inputs]
    place = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    distinct = dict(zip(keys, inputs, strict=True))
    rows = model.encode(
        [distinct[key] for key in place], batch_size=batch_size, convert_to_tensor=True, normalize_embeddings=True,
        show_progress_bar=False,
    )  # fmt: skip
    return rows[torch.tensor([place[key] for key in keys], device=rows.device)].clone()
