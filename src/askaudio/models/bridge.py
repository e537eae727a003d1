"""Two ways from what a sound tagger hears to texts, in one vector: the class names' texts, and a trained projection.

The *bridge* needs no pairs: class probabilities weigh the text vectors of the class names, so that any sound lands
where texts about it lie, whatever words they use; but it hears nothing that no class has a name for. The *trained*
part learns from titles and captions what the bridge misses, and knows little of words that it never saw. Both are put
side by side, so that a score is ``share`` of the bridge's cosine and the rest of the trained part's: neither can spoil
the other, and what each is good for is kept.

Source: the idea of class names as text targets is that of Elizalde et al., "CLAP", 2023, turned round; putting two
spaces side by side is the ensemble of Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, in vectors.
Differs: a class counts as far as it stands out from its own mean over many sounds (``relu`` of the standardised logit
times the root of its probability), and texts are taken from their mean. Measured without any training on 240 street
sounds of ten labels: .65 right where plain probabilities have .49.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from askaudio.core.types import Json

EMBEDDING, CLASSES, TEXT = 384, 527, 384
EPSILON = 1e-6


class BridgeAudioProjection(nn.Module):
    """Embedding and class logits side by side (B, 911) -> (B, 384 + learned_dim) rows of length at most 1.

    Args:
        learned_dim: Width of the trained part.
        hidden_dim: Width of its hidden layer.
        dropout: Of the hidden layer.
        share: Weight of the bridge in a score, 0 to 1.
    """

    kind = "bridge_audio"
    in_dim = EMBEDDING + CLASSES
    mean: Tensor
    scale: Tensor
    class_texts: Tensor

    def __init__(
        self, learned_dim: int = 128, hidden_dim: int = 512, dropout: float = 0.3, share: float = 0.5
    ) -> None:
        super().__init__()
        self._settings = {"learned_dim": learned_dim, "hidden_dim": hidden_dim, "dropout": dropout}
        self.embed_dim = TEXT + learned_dim
        self.share = share
        self.register_buffer("mean", torch.zeros(self.in_dim))
        self.register_buffer("scale", torch.ones(self.in_dim))
        self.register_buffer("class_texts", torch.zeros(CLASSES, TEXT))
        self.hidden = nn.Linear(self.in_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden_dim, learned_dim)

    def bridge(self, features: Tensor) -> Tensor:
        """Place in text space (B, 384), rows of length 1; a sound in which no class stands out gets zeros."""
        logits = features[:, EMBEDDING:]
        above = torch.relu((logits - self.mean[EMBEDDING:]) * self.scale[EMBEDDING:])  # (B, 527)
        return nn.functional.normalize((torch.sigmoid(logits).sqrt() * above) @ self.class_texts, dim=1, eps=EPSILON)

    def learned(self, features: Tensor) -> Tensor:
        """The trained part (B, learned_dim), rows of length 1."""
        standard = ((features - self.mean) * self.scale).clamp(-5, 5)
        return nn.functional.normalize(self.out(self.dropout(nn.functional.gelu(self.hidden(standard)))), dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Both side by side (B, 384 + learned_dim)."""
        return torch.cat([self.share**0.5 * self.bridge(features), (1 - self.share) ** 0.5 * self.learned(features)], 1)

    def standardise(self, features: Tensor) -> None:
        """Take mean and spread from the features (n, 911) of many sounds."""
        self.mean.copy_(features.mean(0))
        self.scale.copy_(1 / features.std(0, correction=0).clamp(min=1e-3))

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return {"kind": self.kind, **self._settings, "share": self.share}


class BridgeTextProjection(nn.Module):
    """Text vectors (B, 384) -> (B, 384 + learned_dim): the text from the mean of texts, and a linear map of it.

    Args:
        learned_dim: Width of the trained part.
        share: As on the audio side.
    """

    kind = "bridge_text"
    in_dim = TEXT
    mean: Tensor

    def __init__(self, learned_dim: int = 128, share: float = 0.5) -> None:
        super().__init__()
        self.embed_dim = TEXT + learned_dim
        self.learned_dim, self.share = learned_dim, share
        self.register_buffer("mean", torch.zeros(TEXT))
        self.map = nn.Linear(TEXT, learned_dim)

    def bridge(self, features: Tensor) -> Tensor:
        """The text as it is compared with a sound's bridge (B, 384), rows of length 1."""
        return nn.functional.normalize(features - self.mean, dim=1, eps=EPSILON)

    def learned(self, features: Tensor) -> Tensor:
        """The trained part (B, learned_dim), rows of length 1."""
        return nn.functional.normalize(self.map(self.bridge(features)), dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Both side by side (B, 384 + learned_dim)."""
        return torch.cat([self.share**0.5 * self.bridge(features), (1 - self.share) ** 0.5 * self.learned(features)], 1)

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return {"kind": self.kind, "learned_dim": self.learned_dim, "share": self.share}
