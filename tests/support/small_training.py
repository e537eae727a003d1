"""A training of a few milliseconds a step: random features that can be learned, small projections."""

import numpy as np
import torch

from askaudio.ask.objective import ASK
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.evaluation.relevance import Relevance
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.losses.ntxent import NTXent
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection
from askaudio.training.dataset import PairDataset
from askaudio.training.retrieval import RetrievalSet, entry_encoder


def _clips(name, n):
    return tuple(
        Clip(f"{name}{i}", f"{name}{i}.wav", tuple(Caption(f"{name}{i}#{k}", f"{name}{i} {k}") for k in range(2)))
        for i in range(n)
    )


def make_pairs(n=40, seed=0):
    """Clips with two windows and two captions; audio and text features are two noisy views of one hidden vector."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 6))
    to_audio, to_text = np.random.default_rng(1).standard_normal((2, 6, 12))
    audio = [(h @ to_audio + 0.1 * rng.standard_normal((2, 12))).astype(np.float32) for h in hidden]
    texts = (np.repeat(hidden, 2, axis=0) @ to_text + 0.1 * rng.standard_normal((2 * n, 12))).astype(np.float32)
    wordings = [[[2 * i], [2 * i + 1]] for i in range(n)]
    return PairDataset(Manifest("train", _clips("t", n)), audio, texts, wordings, seed=seed)


def make_queries(n=20, seed=5):
    """A set to score, of the same kind."""
    pairs = make_pairs(n, seed)
    return RetrievalSet(pairs.audio, pairs.texts, Relevance.from_clips(_clips("v", n)))


def make_model(seed=0):
    """Projections from 12 features to 8."""
    torch.manual_seed(seed)
    return DualEncoder(Projection(12, 8, 16, 0.1), Projection(12, 8, 16, 0.1), learn_temperature=False)


def make_cnn_pairs(n=16, seed=0):
    """Clips whose windows are log-mels (32, 12), for a convolutional tower."""
    pairs = make_pairs(n, seed)
    rng = np.random.default_rng(seed)
    pairs.audio = [rng.standard_normal((2, 32, 12)).astype(np.float32) for _ in range(n)]
    return pairs


def make_cnn_model(seed=0):
    """Five strided convolutions, channels last in memory, under projections to 8."""
    torch.manual_seed(seed)
    tower = CnnAudioTower(32, channels=(4, 6, 8, 8, 8), dim=12)
    return DualEncoder(Projection(12, 8, 16, 0.1), Projection(12, 8, 16, 0.1), tower, learn_temperature=False)


def make_objective(kind, model, pairs):
    """Plain loss, or ASK over the training pairs."""
    loss = NTXent(0.1, learn_temperature=True)
    if kind == "none":
        return ASK(None, loss)
    encode = entry_encoder(model, pairs)
    base = KnowledgeBase.encoded(pairs.identities[pairs.entry_clips].tolist(), encode)
    return ASK(base, loss, encode=encode)
