"""A loss that is not finite stops the training at its step, by name; the state on disk stays the last good one."""

import pytest
import torch
from safetensors.torch import load_file

from askaudio.core.errors import AskAudioError, ModelError
from askaudio.training.datamodule import PairDataModule
from askaudio.training.finite import EVERY_STEPS, FiniteLoss
from askaudio.training.fit import fit
from askaudio.training.module import RetrievalModule
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_model, make_objective, make_pairs, make_queries

SETTINGS = TrainSettings(epochs=3, batch_size=8, lr=0.01, device="cpu", save_every_steps=1, clip_grad=0.0)
STEPS = 5  # of an epoch


class Poison(torch.autograd.Function):
    """Passes its input on; the gradient is NaN."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("nan")


def train(folder, spoil, at, kind="none"):
    """Train; ``spoil`` changes the embeddings of step ``at``."""
    pairs, model = make_pairs(), make_model()
    objective = make_objective(kind, model, pairs)
    plain, steps = objective.forward, []

    def forward(audio, text, *args, **kwargs):
        steps.append(1)
        return plain(spoil(audio) if len(steps) == at else audio, text, *args, **kwargs)

    objective.forward = forward
    fit(model, Objective(objective), pairs, make_queries(), folder, SETTINGS)


def batch_ids(step):
    data = PairDataModule(make_pairs(), 8, SETTINGS.seed)
    data.start_epoch((step - 1) // STEPS)
    return data.clip_ids((step - 1) % STEPS)


@pytest.mark.parametrize("kind", ["none", "ask"])
@pytest.mark.parametrize(("value", "name"), [(float("nan"), "nan"), (float("inf"), "(nan|inf)")])
def test_a_bad_loss_stops_at_its_step(tmp_path, kind, value, name):
    at = STEPS + 3
    with pytest.raises(ModelError) as caught:
        train(tmp_path, lambda audio: audio * value, at, kind)
    assert isinstance(caught.value, AskAudioError)  # exit code 2
    rate = 0.01 * RetrievalModule(
        make_model(), Objective(make_objective("none", None, None)), SETTINGS, total_steps=3 * STEPS
    ).rate_at(at - 1)
    caught.match(rf"the loss is {name} at step {at}, learning rate {rate:.3g}; clips of the batch: ")
    assert f"clips of the batch: {', '.join(batch_ids(at))}." in str(caught.value)
    state = load_file(tmp_path / "state" / "last.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in state.values() if tensor.is_floating_point())


def test_gradients_that_are_not_finite_stop_before_a_state_is_written(tmp_path):
    with pytest.raises(ModelError, match="weights are not finite after step 8, learning rate"):
        train(tmp_path, Poison.apply, STEPS + 3)
    state = load_file(tmp_path / "state" / "last.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in state.values() if tensor.is_floating_point())


def test_elsewhere_than_on_the_cpu_losses_are_read_now_and_then_and_the_right_step_is_named(monkeypatch):
    data = PairDataModule(make_pairs(), 8)
    data.start_epoch(0)
    module = RetrievalModule(make_model(), Objective(make_objective("none", None, None)), SETTINGS)
    guard, loss = FiniteLoss(data), torch.tensor(float("nan"), device="meta")

    class Trainer:
        global_step = 0

    trainer = Trainer()
    for step in range(1, EVERY_STEPS):
        trainer.global_step = step
        guard.on_train_batch_end(trainer, module, {"loss": loss}, None, step % STEPS)  # not read
    assert len(guard._steps) == EVERY_STEPS - 1
    values = iter([1.0] * 6 + [float("inf")] + [1.0] * EVERY_STEPS)
    guard._steps = [type(s)(s.number, s.batch, torch.tensor(next(values))) for s in guard._steps]
    with pytest.raises(ModelError) as caught:
        guard.on_train_epoch_end(trainer, module)
    caught.match("the loss is inf at step 7, ")
    assert ", ".join(data.clip_ids(7 % STEPS)) in str(caught.value)
