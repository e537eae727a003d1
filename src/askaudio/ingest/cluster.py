"""Encode many files on many machines: the worker function of ``pool.py`` under Ray Data; this process alone writes.

Vectors are small (a kilobyte a window), so they come back to the process that was started, which commits them exactly
as a local run does: what holds for a local run (nothing twice, nothing lost, any store) holds here. A worker or machine
that dies costs its files a second try elsewhere; a file that has cost two workers is tried once more here, alone, and
is reported as broken when it kills that worker too.

All machines must see the files, and the model where it is a folder, under the same paths (a network disk), and have
this package installed. Costs: some seconds to start; one core of the cluster is left for Ray's own tasks, which
otherwise wait for ever behind a pool that holds all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.core.extras import require
from askaudio.encoders.load import load
from askaudio.ingest.encode_file import Sound, encode_file
from askaudio.ingest.workers import Task, encode_in_pool

_FILES_A_TASK = 16  # what a dying worker can cost
_RETRIES = 1  # of a task whose worker died


def encode_on_cluster(spec: str, tasks: Iterable[Task], address: str) -> Iterator[Sound]:
    """Encode on a Ray cluster; results come as they are ready.

    Args:
        spec: How the workers load the encoder.
        tasks: Path and captions of each file.
        address: ``local`` starts a cluster of this machine; else what ``ray.init`` takes, such as ``auto``,
            ``HOST:6379`` or ``ray://HOST:10001``.

    Returns:
        One result a file, in any order.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: No cluster answers at the address.
    """
    waiting = {path: captions for path, captions in tasks}
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
    yield from encode_in_pool(spec, list(waiting.items()), 1)  # what has cost two workers


def _join(ray: Any, address: str) -> None:
    place = {"include_dashboard": False} if address == "local" else {"address": address}
    try:
        ray.init(**place, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster at {address} ({str(error).splitlines()[0]}); start one (ray start --head, and on every "
            "other machine ray start --address HOST:6379), or take --ray local"
        ) from error


def _encode(ray: Any, spec: str, waiting: dict[str, Any]) -> Iterator[Sound]:
    cores = int(ray.cluster_resources().get("CPU", 1))
    workers = max(1, cores - 1)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a task that fails for good is left over, and done here
    rows = [{"path": path, "captions": json.dumps(list(captions))} for path, captions in waiting.items()]
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
        self.encoder = load(spec)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Encode the files of a batch; every fault of a file is in its result."""
        tasks = zip(batch["path"], batch["captions"], strict=True)
        found = [_pack(encode_file(self.encoder, str(path), json.loads(captions))) for path, captions in tasks]
        return {key: [row[key] for row in found] for key in found[0]}


def _pack(sound: Sound) -> dict[str, Any]:
    """A result as texts and bytes, which every version of Ray and Arrow passes on unchanged."""
    about = [sound.path, sound.stamp, sound.content_hash, dict(sound.metadata), list(sound.times), sound.reason]
    return {
        "about": json.dumps([*about, list(sound.vectors.shape)]),
        "vectors": np.ascontiguousarray(sound.vectors, dtype=np.float32).tobytes(),
    }


def _unpack(row: dict[str, Any]) -> Sound:
    path, stamp, content_hash, metadata, times, reason, shape = json.loads(row["about"])
    vectors = np.frombuffer(row["vectors"], np.float32).reshape(shape)
    return Sound(path, stamp, content_hash, metadata, tuple((a, b) for a, b in times), vectors, reason)
