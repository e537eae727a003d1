"""What askaudio's own trainer makes of a batch that another trainer has just scored."""

import sys
from pathlib import Path

from askaudio.training.collate import Batch
from askaudio.training.module import RetrievalModule
from askaudio.training.settings import Objective, TrainSettings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))


def own_loss(model, ask, audio, text, ids):
    """Loss of ``RetrievalModule`` for ``model(audio, text)``."""
    module = RetrievalModule(model, Objective(ask), TrainSettings())
    return module.training_step(Batch(audio, text, ids, None), 0).detach()
