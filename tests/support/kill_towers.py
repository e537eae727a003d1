"""Run by test_towers.py in a process of its own: trains each row whole, and killed with kill -9 and resumed.

    python kill_towers.py ROWS.json FOLDER       prints: 10 of 10 bit-equal

Every run is a fork of this process, which imports torch once and computes nothing itself.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import torch
from safetensors.torch import load_file

from askaudio.config.load import load_recipe
from askaudio.pipeline.assemble import train
from askaudio.training.callbacks import RunFolder

KILLED_AT = 3  # of four steps; the state of the step before is on disk


def forked(keys: list[str], out: Path, kill: bool) -> int:
    """Train in a fork; its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        torch.set_num_threads(1)
        if kill:
            RunFolder.on_train_batch_start = _kill  # type: ignore[method-assign]
        train(load_recipe("demo", keys), out, resume=True, export_encoder=False)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _kill(self, trainer, *_rest):
    if trainer.global_step == KILLED_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    rows, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    equal = 0
    for kind, keys in rows.items():
        whole, cut = folder / kind / "whole", folder / kind / "cut"
        codes = [forked(keys, whole, False), forked(keys, cut, True), forked(keys, cut, False)]
        if codes != [0, signal.SIGKILL, 0]:
            print(f"{kind}: wait statuses {codes}", file=sys.stderr)
            continue
        ours, theirs = (load_file(place / "weights.safetensors") for place in (cut, whole))
        same = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)
        print(f"{kind}: {'equal' if same else 'NOT equal'}", file=sys.stderr)
        equal += same
    print(f"{equal} of {len(rows)} bit-equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
