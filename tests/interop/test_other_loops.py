"""ASK in a plain loop and in a Lightning module: the loss of our own trainer on the same batch, and events in time."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError
from askaudio.interop.lightning import ASKCallback
from own_loss import own_loss


class Heads(nn.Module):
    def __init__(self, audio_head, text_head):
        super().__init__()
        self.audio_head, self.text_head = audio_head, text_head

    def forward(self, audio, text):
        return F.normalize(self.audio_head(audio), dim=1), F.normalize(self.text_head(text), dim=1)


class Seen(Exception):
    pass


def test_plain_loop(monkeypatch):
    import plain_loop

    seen = {}

    class Recorder(ASK):
        def forward(self, audio, text, ids):
            seen.update(ask=self, ids=torch.tensor(ids), loss=super().forward(audio, text, ids).total.detach())
            raise Seen

    monkeypatch.setattr(plain_loop, "ASK", Recorder)
    with pytest.raises(Seen):
        plain_loop.train(with_knowledge=True)
    torch.manual_seed(0)
    heads, (audio, text) = Heads(nn.Linear(64, 32), nn.Linear(64, 32)), plain_loop.make_pairs()
    rows = seen["ids"]
    assert len(rows) == plain_loop.BATCH
    seen["ask"].forward = lambda *args, **kwargs: ASK.forward(seen["ask"], *args, **kwargs)
    own = own_loss(heads, seen["ask"], audio[rows], text[rows], rows)
    torch.testing.assert_close(seen["loss"], own, rtol=0, atol=1e-6)


def test_lightning_module():
    import lightning_module

    torch.manual_seed(0)
    module = lightning_module.TwoHeads()
    rows = torch.arange(40, 56)
    loss = module.training_step(rows, 0).detach()
    heads = Heads(module.audio_head, module.text_head)
    own = own_loss(heads, module.ask, module.audio_features[rows], module.text_features[rows], rows)
    torch.testing.assert_close(loss, own, rtol=0, atol=1e-6)


QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "limit_train_batches": 4}


def test_lightning_steps_and_epochs_are_counted_and_the_base_is_encoded_again():
    import lightning_module

    module = lightning_module.train(epochs=2, **QUIET)
    state = module.ask.state
    assert (state.step, state.epoch) == (8, 2)
    assert (state.refreshed_step, state.refreshed_epoch, state.version) == (8, 2, 2)
    assert "ask.state.audio" in module.state_dict()


def test_accumulated_batches_are_one_step():
    import lightning_module

    state = lightning_module.train(epochs=1, accumulate_grad_batches=2, **QUIET).ask.state
    assert (state.step, state.epoch) == (2, 1)


def test_a_module_without_ask_is_told():
    import lightning.pytorch as pl
    import lightning_module

    class Other(lightning_module.TwoHeads):
        def __init__(self):
            super().__init__()
            self.objective = self.ask
            del self.ask

    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[ASKCallback()], logger=False, **QUIET)
    with pytest.raises(ConfigError, match=r"ASKCallback\(ask\)"):
        trainer.fit(Other(), DataLoader(torch.arange(8), batch_size=4))
