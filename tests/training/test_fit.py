"""The loop: learns, repeats itself bit for bit, and goes on after a kill as if nothing had been."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError
from askaudio.core.types import silent
from askaudio.knowledge.injection.queue import MomentumEncoder, QueueMemory
from askaudio.losses.ntxent import NTXent
from askaudio.models.dual_encoder import DualEncoder
from askaudio.training.callbacks import PRIMARY
from askaudio.training.fit import fit
from askaudio.training.retrieval import score
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_model, make_objective, make_pairs, make_queries

STEPS = 5  # 40 clips in batches of 8


def train(folder, kind="none", epochs=4, resume=False, progress=silent, **options):
    pairs = make_pairs()
    model = make_model()
    objective = Objective(make_objective(kind, model, pairs))
    settings = {"batch_size": 8, "lr": 0.01, "device": "cpu", "seed": 3, "feature_dropout": 0.1} | options
    settings = TrainSettings(epochs=epochs, **settings)
    return fit(model, objective, pairs, make_queries(), folder, settings, resume=resume, progress=progress)


class Killed(Exception):
    pass


def killer(at):
    def progress(done, total, note=""):
        if done == at:
            raise Killed

    return progress


def weights(folder):
    return load_file(Path(folder) / "weights.safetensors")


def assert_equal(mine, its):
    assert mine.keys() == its.keys()
    assert all(torch.equal(mine[name], its[name]) for name in mine)


def without_seconds(result):
    return [{k: v for k, v in entry.items() if k not in ("seconds", "waited")} for entry in result.history]


def test_it_learns_and_keeps_the_best_epoch(tmp_path):
    untrained = score(make_model().eval(), make_queries())[PRIMARY]
    result = train(tmp_path, epochs=8)
    assert result.validation[PRIMARY] > max(0.5, untrained + 0.3)
    assert result.best_epoch == 1 + max(range(8), key=lambda e: result.history[e]["validation"][PRIMARY])
    again = score(result.model, make_queries())
    assert again.values == result.validation  # the weights in the folder are those of the best epoch
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["validation"] == result.validation and written["best_epoch"] == result.best_epoch
    assert written["validation_clips"] == 20 and written["validation_captions"] == 40
    assert result.model.logit_scale.item() == pytest.approx(
        1 / result.history[result.best_epoch - 1]["temperature"], rel=1e-5
    )


def test_the_run_folder_holds_no_pickle_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tmp_path / "run", epochs=1)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "run/dual_encoder.json",
        "run/metrics.json",
        "run/state/last.safetensors",
        "run/weights.safetensors",
    ]


@pytest.mark.parametrize("kind", ["none", "ask"])
def test_same_seed_same_numbers_and_another_seed_others(tmp_path, kind):
    first, second = train(tmp_path / "a", kind, epochs=2), train(tmp_path / "b", kind, epochs=2)
    assert without_seconds(first) == without_seconds(second)
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    other = train(tmp_path / "c", kind, epochs=2, seed=4)
    assert other.history[-1]["losses"] != first.history[-1]["losses"]


@pytest.mark.parametrize("kind", ["none", "ask"])
@pytest.mark.parametrize("at", [STEPS + 1, 2 * STEPS + 4, 3 * STEPS])
def test_resumed_equals_uninterrupted(tmp_path, kind, at):
    whole = train(tmp_path / "whole", kind, save_every_steps=2)
    with pytest.raises(Killed):
        train(tmp_path / "cut", kind, save_every_steps=2, progress=killer(at))
    resumed = train(tmp_path / "cut", kind, save_every_steps=2, resume=True)
    assert without_seconds(resumed) == without_seconds(whole)
    assert_equal(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    state_a, state_b = (load_file(tmp_path / name / "state" / "last.safetensors") for name in ("cut", "whole"))
    assert_equal(state_a, state_b)


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    done = train(tmp_path, epochs=2)
    before = weights(tmp_path)
    again = train(tmp_path, epochs=2, resume=True)
    assert without_seconds(again) == without_seconds(done) and again.best_epoch == done.best_epoch
    assert_equal(weights(tmp_path), before)


def test_early_stop_and_its_resume(tmp_path):
    stopped = train(tmp_path, epochs=30, lr=1e-9, patience=2)
    assert len(stopped.history) == stopped.best_epoch + 2 < 30
    again = train(tmp_path, epochs=30, lr=1e-9, patience=2, resume=True)
    assert len(again.history) == len(stopped.history)


def test_an_old_run_is_never_overwritten(tmp_path):
    train(tmp_path, epochs=1)
    with pytest.raises(ConfigError, match=r"already holds a run.*--resume"):
        train(tmp_path, epochs=1)


def test_momentum_queue_trains_and_follows(tmp_path):
    pairs, model = make_pairs(), make_model()
    momentum = MomentumEncoder(model, 0.9)
    before = [p.clone() for p in momentum.copy.parameters()]
    queue = QueueMemory(16, 8)
    objective = Objective(ASK(None, NTXent(0.1), queue=queue), momentum)
    settings = TrainSettings(epochs=1, batch_size=8, device="cpu")
    fit(model, objective, pairs, make_queries(), tmp_path, settings)
    assert len(queue) == 16
    assert any(not torch.equal(a, b) for a, b in zip(before, momentum.copy.parameters(), strict=True))


def test_killed_with_signal_9_and_resumed(tmp_path):
    whole = train(tmp_path / "whole", "ask", epochs=3, save_every_steps=2)
    code = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]!r}
from test_fit import train
def progress(done, total, note=""):
    if done == {2 * STEPS + 4}:
        os.kill(os.getpid(), signal.SIGKILL)
train({str(tmp_path / "cut")!r}, "ask", epochs=3, save_every_steps=2, progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL
    resumed = train(tmp_path / "cut", "ask", epochs=3, save_every_steps=2, resume=True)
    assert without_seconds(resumed) == without_seconds(whole)
    assert_equal(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert isinstance(resumed.model, DualEncoder)
