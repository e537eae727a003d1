"""ASK in a Lightning module: the five added lines are marked with numbers.

python examples/lightning_module.py       # about 20 s of one core; the random pairs of plain_loop.py
"""

from __future__ import annotations

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from plain_loop import BATCH, EPOCHS, HELD_OUT, PAIRS, make_pairs
from torch import Tensor, nn
from torch.utils.data import DataLoader

from askaudio.ask.objective import ASK
from askaudio.interop.lightning import ASKCallback
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.losses.ntxent import NTXent


class TwoHeads(pl.LightningModule):
    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.audio_features, self.text_features = make_pairs()
        self.audio_head, self.text_head = nn.Linear(64, 32), nn.Linear(64, 32)
        base = KnowledgeBase.encoded(list(range(PAIRS)), self.forward)  # 1: the pairs as knowledge
        self.ask = ASK(base, NTXent(temperature), encode=self.forward)  # 2: in the module, so in its checkpoints too

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (n,) -> embeddings (n, D) of length 1; the step and the refresh of the base both use it."""
        audio, text = self.audio_head(self.audio_features[rows]), self.text_head(self.text_features[rows])
        return F.normalize(audio, dim=1), F.normalize(text, dim=1)

    def training_step(self, rows: Tensor, number: int) -> Tensor:
        return self.ask(*self(rows), rows).total  # 3

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def train(epochs: int = EPOCHS, **options: object) -> TwoHeads:
    torch.manual_seed(0)
    module = TwoHeads()
    loader = DataLoader(torch.arange(PAIRS), batch_size=BATCH, shuffle=True)  # type: ignore[arg-type]
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[ASKCallback()],  # 4 and 5: steps and epochs are counted, the base is encoded again
        logger=False,
        enable_checkpointing=False,
        **options,  # type: ignore[arg-type]
    )
    trainer.fit(module, loader)
    return module


if __name__ == "__main__":
    module = train().eval()
    with torch.no_grad():
        audio, text = module(torch.arange(PAIRS, PAIRS + HELD_OUT))
    found = (text @ audio.T).argmax(dim=1) == torch.arange(HELD_OUT)
    print(f"R@1 {100 * float(found.float().mean()):.1f}")
