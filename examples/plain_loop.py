"""ASK in a plain PyTorch loop: the five added lines are marked with numbers.

    python examples/plain_loop.py            # about 12 s of one core; prints the plain loss and ASK side by side

The pairs are random (two noisy views of a hidden vector, 1,500 pairs, a batch of 8), so the file needs no data and only
shows how to use ASK. benchmarks/knowledge measures it on real recordings.
"""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.ask.objective import ASK
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.losses.ntxent import NTXent

PAIRS, HELD_OUT, BATCH, EPOCHS = 1500, 300, 8, 4


def make_pairs() -> tuple[Tensor, Tensor]:
    """Features (PAIRS + HELD_OUT, 64) of two views of one hidden cause."""
    g = torch.Generator().manual_seed(0)
    cause = torch.randn(PAIRS + HELD_OUT, 24, generator=g)
    views = [torch.tanh(cause @ torch.randn(24, 64, generator=g)) for _ in range(2)]
    return tuple(v + 0.7 * torch.randn(v.shape, generator=g) for v in views)  # type: ignore[return-value]


def train(with_knowledge: bool, seed: int = 0) -> float:
    """Train two heads and return the share of held-out texts whose audio comes first, in percent."""
    torch.manual_seed(seed)
    audio_features, text_features = make_pairs()
    audio_head, text_head = nn.Linear(64, 32), nn.Linear(64, 32)

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Any rows -> embeddings (n, D) of length 1; the loop and the refresh of the base both use it."""
        return F.normalize(audio_head(audio_features[rows]), dim=1), F.normalize(text_head(text_features[rows]), dim=1)

    ids = list(range(PAIRS))
    base = KnowledgeBase.encoded(ids, encode) if with_knowledge else None  # 1: the pairs as knowledge
    ask = ASK(base, NTXent(temperature=0.1), encode=encode)  # 2: any base loss; refreshed after every epoch
    optimizer = torch.optim.AdamW([*audio_head.parameters(), *text_head.parameters()], lr=3e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(PAIRS).split(BATCH):
            out = ask(*encode(rows), rows.tolist())  # 3: out.total, and out.parts by name
            optimizer.zero_grad()
            out.total.backward()
            optimizer.step()
            ask.step_ended()  # 4: for policies that count steps or watch drift
        drift = ask.epoch_ended()  # 5: here the base is encoded again
        if drift is not None:
            print(f"    drift since the last refresh {drift.mean:.3f}, neighbors kept {drift.overlap:.2f}")
    with torch.no_grad():
        audio, text = encode(torch.arange(PAIRS, PAIRS + HELD_OUT))
        score = text @ audio.T
        return float((score.argmax(dim=1) == torch.arange(HELD_OUT)).float().mean()) * 100


if __name__ == "__main__":
    for name, with_knowledge in (("plain NT-Xent", False), ("ASK", True)):
        print(name)
        print(f"    R@1 {train(with_knowledge):.1f}")
    sys.exit(0)
