"""Several processes at one training: start them on this machine, or join those that torchrun has started.

Each process is one device: a GPU, or a share of the CPU's cores. They find each other by the variables that torchrun
sets: ``askaudio train ... train.devices=2`` and ``torchrun --nproc-per-node 2 -m askaudio.cli train ...`` are the same.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from askaudio.core.processes import barrier, is_first

PATIENCE = timedelta(hours=24)  # the others wait while the first computes features or scores


def started() -> bool:
    """Was this process started as one of several?"""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def devices_here() -> tuple[int, int]:
    """Processes on this machine, and machines."""
    if not started():
        return 1, 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return here, int(os.environ["WORLD_SIZE"]) // here


def training_device(wanted: str) -> torch.device:
    """Where a training of this process will run, before its trainer has moved anything there.

    Args:
        wanted: ``train.device`` of a recipe.
    """
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def joined() -> Iterator[None]:
    """Join the process group, where there are several processes and this one has not joined yet."""
    mine = started() and not dist.is_initialized()
    if mine:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        if mine:
            dist.destroy_process_group()


@contextmanager
def first_then_others() -> Iterator[None]:
    """The block runs in the first process, then in all others: they find its work on disk."""
    if not is_first():
        barrier()
    yield
    if is_first():
        barrier()


def launch(devices: int, arguments: Sequence[str]) -> int:
    """Run ``askaudio ARGUMENTS`` in several processes on this machine; when one fails, the others are terminated.

    Returns:
        0, or the exit status of the first that failed.
    """
    threads = max(1, (os.cpu_count() or 1) // devices)
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(devices),
        "LOCAL_WORLD_SIZE": str(devices), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "askaudio",
    }  # fmt: skip
    defaults = {"OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}
    command = [sys.executable, "-m", "askaudio.cli", *arguments]
    running = [
        subprocess.Popen(command, env={**defaults, **os.environ, **shared, "RANK": str(n), "LOCAL_RANK": str(n)})
        for n in range(devices)
    ]
    try:
        while running:
            codes = [process.poll() for process in running]
            failed = next((code for code in codes if code), None)
            if failed is not None:
                return failed
            running = [process for process, code in zip(running, codes, strict=True) if code is None]
            time.sleep(0.2)
        return 0
    finally:
        _end(running)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
