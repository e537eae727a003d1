"""Killed with kill -9 and resumed, a training ends with the bits of one that was not killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from askaudio.evaluation.relevance import Relevance
from askaudio.training.checkpoint import load_tree, save_tree
from askaudio.training.fit import fit
from askaudio.training.retrieval import RetrievalSet
from askaudio.training.settings import Objective, TrainSettings
from small_training import make_cnn_model, make_cnn_pairs, make_objective

KILLS = Path(__file__).parents[2] / "benchmarks" / "training" / "kills.py"


@pytest.mark.parametrize(
    ("options", "kills"), [(["--kinds", "plain", "ask", "queue"], 6), (["--kinds", "ask", "--processes", "2"], 2)]
)
def test_killed_at_the_end_of_an_epoch_and_inside_one(options, kills):
    done = subprocess.run(
        [sys.executable, str(KILLS), "--moments", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.stdout == f"{kills} of {kills} bit-equal\n", done.stderr[-3000:]


class Stopped(Exception):
    pass


def train(folder, stop_at=0):
    pairs, model, queries = make_cnn_pairs(), make_cnn_model(), make_cnn_pairs(8, seed=5)
    validation = RetrievalSet(queries.audio, queries.texts, Relevance.from_clips(queries.clips))

    def progress(done, total, note=""):
        if done == stop_at:
            raise Stopped

    settings = TrainSettings(epochs=2, batch_size=4, lr=0.01, device="cpu", save_every_steps=2)
    objective = Objective(make_objective("none", model, pairs))
    found = fit(model, objective, pairs, validation, folder, settings, resume=True, progress=progress)
    return [entry["losses"] for entry in found.history]


@pytest.mark.parametrize("strides", [True, False])
def test_a_state_resumes_exactly_also_without_the_strides_that_early_versions_lack(tmp_path, strides):
    whole = train(tmp_path / "whole")
    with pytest.raises(Stopped):
        train(tmp_path / "cut", stop_at=6)
    state = tmp_path / "cut" / "state" / "last.safetensors"
    assert '"strided"' in _tree(state)
    if not strides:
        save_tree(_contiguous(load_tree(state)), state)
        tree = _tree(state)
        assert '"strided"' not in tree
        save_file(load_file(state), state, metadata={"format": "askaudio-state-1", "tree": tree})
    assert train(tmp_path / "cut") == whole
    ours, theirs = (load_file(tmp_path / name / "weights.safetensors") for name in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def _tree(state):
    with safe_open(state, framework="pt") as file:
        return file.metadata()["tree"]


def _contiguous(tree):
    if isinstance(tree, torch.Tensor):
        return tree.clone(memory_format=torch.contiguous_format)
    if isinstance(tree, dict):
        return {key: _contiguous(value) for key, value in tree.items()}
    return type(tree)(map(_contiguous, tree)) if isinstance(tree, (list, tuple)) else tree
