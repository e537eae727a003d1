"""Run by test_towers.py in a process of its own: trains each row whole, and killed with kill -9 and resumed.

    python kill_towers.py ROWS.json FOLDER                  prints: 10 of 10 bit-equal
    python kill_towers.py ROWS.json FOLDER --processes      each row in two processes; prints: 10 of 10 trained

Every run is a fork of this process, which imports torch once and computes nothing itself.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file

from askaudio.config.load import load_recipe
from askaudio.models.dual_encoder import WEIGHTS_FILE
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


def in_two_processes(keys: list[str], out: Path) -> bool:
    """Train in a group of two forks; whether both ended well, with finite weights."""
    out.mkdir(parents=True)
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            try:
                torch.set_num_threads(1)
                os.environ |= {
                    "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "GROUP_RANK": "0",
                    "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": "1", "GLOO_SOCKET_IFNAME": "lo",
                }  # fmt: skip
                store = f"file://{out}/store"
                dist.init_process_group("gloo", init_method=store, rank=number, world_size=2)
                train(load_recipe("demo", keys), out / "run", export_encoder=False)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    return not any(codes) and all(bool(v.isfinite().all()) for v in load_file(out / "run" / WEIGHTS_FILE).values())


def main() -> int:
    rows, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    if "--processes" in sys.argv:
        done = {kind: in_two_processes(keys, folder / kind) for kind, keys in rows.items()}
        print([kind for kind, good in done.items() if not good], file=sys.stderr)
        print(f"{sum(done.values())} of {len(rows)} trained")
        return 0
    equal = 0
    for kind, keys in rows.items():
        whole, cut = folder / kind / "whole", folder / kind / "cut"
        codes = [forked(keys, whole, False), forked(keys, cut, True), forked(keys, cut, False)]
        if codes != [0, signal.SIGKILL, 0]:
            print(f"{kind}: wait statuses {codes}", file=sys.stderr)
            continue
        ours, theirs = (load_file(place / WEIGHTS_FILE) for place in (cut, whole))
        same = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)
        print(f"{kind}: {'equal' if same else 'NOT equal'}", file=sys.stderr)
        equal += same
    print(f"{equal} of {len(rows)} bit-equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
