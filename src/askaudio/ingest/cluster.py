"""Encode many files on many machines with Ray Data; only the process that was started writes to the store.

Vectors are small (about a kilobyte per window), so they are sent to the process that was started, which commits them
exactly as a local run does: no file is encoded twice or lost, and every store works. If a worker or machine dies, its
files are encoded again on another one; a file that has crashed two workers is tried once more on this machine, alone,
and is reported as broken if it crashes that worker too.

All machines must have the files, and the model if it is a folder, under the same paths (a network disk), and have
this package installed. Starting takes some seconds. One core of the cluster is left for Ray's own tasks, which
would otherwise wait for ever for an actor pool that holds all cores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.core.extras import require
from askaudio.encoders.load import load_encoder
from askaudio.encoders.workers import map_in_workers
from askaudio.ingest.encode_file import Sound, Task, crashed, encode_task

_FILES_A_TASK = 16  # files to encode again after a worker has died
_RETRIES = 1  # per task whose worker died


def encode_on_cluster(spec: str, tasks: Iterable[Task], address: str) -> Iterator[Sound]:
    """Encode on a Ray cluster; results arrive in the order in which they are finished.

    Args:
        spec: Spec by which the workers load the encoder.
        tasks: The files.
        address: ``local`` starts a cluster of this machine; else what ``ray.init`` takes, such as ``auto``,
            ``HOST:6379`` or ``ray://HOST:10001``.

    Returns:
        One result per file, in any order.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: No cluster answers at the address.
    """
    waiting = {task.path: task for task in tasks}
    if not waiting:
        return
    ray = require("ray", "ray")
    require("ray.data", "ray")
    _join(ray, address)
    try:
        for sound in _encode(ray, spec, waiting):
            if waiting.pop(sound.path, None) is not None:
                yield sound
    finally:
        ray.shutdown()
    yield from map_in_workers(encode_task, waiting.values(), spec, 1, crashed)  # files that crashed two workers


def _join(ray: Any, address: str) -> None:
    place = {"include_dashboard": False} if address == "local" else {"address": address}
    try:
        ray.init(**place, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster at {address} ({str(error).splitlines()[0]}); start one (ray start --head, and on every "
            "other machine ray start --address HOST:6379), or take --ray local"
        ) from error


def _encode(ray: Any, spec: str, waiting: dict[str, Task]) -> Iterator[Sound]:
    cores = int(ray.cluster_resources().get("CPU", 1))
    workers = max(1, cores - 1)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a task that fails again is left to this process
    # as JSON, since names of files that are not UTF-8 are no strings for Arrow
    rows = [{"task": json.dumps(asdict(task))} for task in waiting.values()]
    results = ray.data.from_items(rows, override_num_blocks=math.ceil(len(rows) / _FILES_A_TASK)).map_batches(
        _Worker,
        fn_constructor_args=(spec,),
        batch_size=_FILES_A_TASK,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1 if cores > 1 else 0.5,
        max_restarts=-1,
        max_task_retries=_RETRIES,
    )
    for row in results.iter_rows():
        yield _unpack(row)


class _Worker:
    """One worker of the cluster: loads the encoder once."""

    def __init__(self, spec: str) -> None:
        self.encoder = load_encoder(spec)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Encode the files of a batch; a fault of a file becomes the reason in its result."""
        found = [_pack(encode_task(self.encoder, Task(**json.loads(task)))) for task in batch["task"]]
        return {key: [row[key] for row in found] for key in found[0]}


def _pack(sound: Sound) -> dict[str, Any]:
    """A result as strings and bytes, which every version of Ray and Arrow transports unchanged."""
    about = {f.name: getattr(sound, f.name) for f in fields(sound) if f.name != "vectors"}
    return {
        "about": json.dumps({**about, "shape": list(sound.vectors.shape)}),
        "vectors": np.ascontiguousarray(sound.vectors, dtype=np.float32).tobytes(),
    }


def _unpack(row: dict[str, Any]) -> Sound:
    about = json.loads(row["about"])
    vectors = np.frombuffer(row["vectors"], np.float32).reshape(about.pop("shape"))
    about |= {"times": tuple((a, b) for a, b in about["times"]), "notes": tuple(about["notes"])}
    return Sound(**about, vectors=vectors)
