"""ASK in the sentence-transformers trainer: the five added lines are marked with numbers.

    pip install 'askaudio[train,hf]'
    python examples/sentence_transformers_trainer.py      # about a minute of one core; synthesised tones with captions

The model is askaudio's own (a small CNN, and a frozen MiniLM). Any model that takes text and audio can replace it, for
example SentenceTransformer("laion/clap-htsat-unfused").
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)

from askaudio.ask.objective import ASK
from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.interop.sentence_transformers_loss import ASKLoss, row_encoder
from askaudio.interop.sentence_transformers_module import sentence_transformer
from askaudio.interop.transformers import ASKCallback
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.losses.ntxent import NTXent
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection

RATE_HZ = 16000


def make_pairs(folder: Path, n: int = 24) -> Dataset:
    """Tones as .wav files with two captions each; ``label`` is the number of the clip."""
    rows = []
    rng = np.random.default_rng(0)
    for clip in range(n):
        hertz = round(120 * 2 ** (clip / 5))
        path = folder / f"{clip}.wav"
        wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE_HZ) / RATE_HZ) + 0.01 * rng.standard_normal(RATE_HZ)
        soundfile.write(path, wave.astype(np.float32), RATE_HZ)
        rows += [{"caption": t.format(hertz), "audio": str(path), "label": clip} for t in ("a {} Hz tone", "{} hertz")]
    return Dataset.from_list(rows)


def make_model() -> SentenceTransformer:
    torch.manual_seed(0)
    front_end = FrontEnd(LogMel(RATE_HZ, n_mels=64, f_max_hz=7500.0), window_s=1.0, hop_s=1.0)
    heads = Projection(64, 64, dropout=0.0), Projection(384, 64, dropout=0.0)
    tower = CnnAudioTower(64, (8, 16, 16, 32, 32), 64)
    return sentence_transformer(DualEncoder(*heads, audio_tower=tower, front_end=front_end))


def make_trainer(
    model: SentenceTransformer, pairs: Dataset, out: Path, **options: object
) -> SentenceTransformerTrainer:
    encode = row_encoder(model, pairs)  # 1: rows -> fresh embeddings
    base = KnowledgeBase.encoded(pairs["label"], encode)  # 2: the pairs as knowledge
    ask = ASK(base, NTXent(0.1), encode=encode)  # 3
    settings = {"per_device_train_batch_size": 8, "num_train_epochs": 8, "learning_rate": 3e-3} | options
    return SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(str(out), report_to="none", save_strategy="no", **settings),
        train_dataset=pairs,
        loss=ASKLoss(model, ask),  # 4: instead of MultipleNegativesRankingLoss
        callbacks=[ASKCallback(ask)],  # 5: steps and epochs are counted, the base is encoded again
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        pairs, model = make_pairs(Path(place)), make_model()
        make_trainer(model, pairs, Path(place) / "out").train()
        text, audio = model.encode(pairs["caption"][::2]), model.encode(pairs["audio"][::2])
        print(f"R@1 {100 * float(np.mean((text @ audio.T).argmax(1) == np.arange(len(text)))):.1f}")
