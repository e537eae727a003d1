"""What the benchmarks that train on stored scenes share: text features, ranks, where a run comes from, progress."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from askaudio.data.cache import FeatureCache
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frozen_encoder import text_features
from askaudio.training.retrieval import RetrievalSet, embed_clips, embed_texts


def minilm_rows(texts: Sequence[str], folder: Path) -> np.ndarray:
    """MiniLM embeddings (U, 384), each text encoded once for the folder."""
    tower = text_features("minilm")
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    cache = FeatureCache(folder, {"tower": tower.fingerprint})
    rows = cache.collect(keys, lambda at: list(tower.features([texts[k] for k in at])), pack=8192, chunk=512)
    return np.stack(rows)


@torch.no_grad()
def ranks(model: DualEncoder, part: RetrievalSet) -> tuple[np.ndarray, np.ndarray]:
    """Ranks in both directions; equal scores count against the model."""
    audio, text = embed_clips(model, part.audio), embed_texts(model, part.texts)
    n, k = len(audio), len(text) // len(audio)
    scores = text @ audio.T  # (kN, N)
    right = scores[torch.arange(n * k), torch.arange(n).repeat_interleave(k)]
    best = right.view(n, k).max(1).values
    return (scores >= right[:, None]).sum(1).numpy(), (best[:, None] <= scores.T).sum(1).numpy()


def provenance() -> dict[str, str]:
    """Commit and machine of a run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    machine = f"{platform.machine()}, {torch.get_num_threads()} thread, torch {torch.__version__}"
    return {"commit": commit, "machine": machine}


def show(done: int, total: int | None, note: str = "") -> None:
    """Progress on one line."""
    if done % 100 == 0 or done == total:
        print(f"\r{done}/{total} scenes", end="", file=sys.stderr, flush=True)
