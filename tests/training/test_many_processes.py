"""One, two and four processes are one training: the same losses, gradients, refreshed base and weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from askaudio.core import processes
from askaudio.core.errors import ConfigError
from askaudio.training.datamodule import PairDataModule
from askaudio.training.processes import launch

HERE = Path(__file__).parent


@pytest.mark.slow
def test_groups_of_one_two_and_four_agree(tmp_path):
    # in a process of its own, which forks the groups: torch is imported once, and this process stays free of threads
    paths = os.pathsep.join([str(HERE), str(HERE.parent / "support"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(HERE / "many_processes.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"checked": True}


def test_processes_are_started_with_their_numbers_and_the_first_failure_ends_all(capfd):
    assert launch(2, ["train", "--keys"]) == 0
    assert capfd.readouterr().out.count("precision: 32-true") == 2
    assert launch(2, ["train", "no-such-recipe"]) == 2


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr("askaudio.training.datamodule.world_size", lambda: 3)
    with pytest.raises(ConfigError, match="multiple of 3"):
        PairDataModule(None, 8)


def test_alone_everything_is_given_back():
    assert (processes.world_size(), processes.rank(), processes.is_first()) == (1, 0, True)
    assert (
        processes.all_gather_object("x") == ["x"]
        and processes.all_gather("x") == ["x"]
        and processes.all_reduce_sum(3) == 3
    )
