"""Ingestion on a Ray cluster of two machines (on loopback) into object storage and PostgreSQL; skipped without Ray."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.encoders.load import load
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.cluster import _pack, _unpack
from askaudio.ingest.encode_file import Sound, encode_file
from askaudio.ingest.update import ingest

FILES = 120


def write_tones(folder: Path, first: int, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for n in range(first, first + count):
        wave = 0.4 * np.sin(2 * np.pi * (100 + 40 * n) * np.arange(16_000 * 2) / 16_000)
        soundfile.write(folder / f"tone_{n:03d}.wav", wave, 16_000)


def test_results_pass_unchanged_between_machines(tmp_path):
    write_tones(tmp_path / "a", 0, 1)
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    encoder = load("toy")
    for path in (tmp_path / "a" / "tone_000.wav", tmp_path / "broken.wav"):
        sound = encode_file(encoder, str(path), ["a tone"])
        again = _unpack(_pack(sound))
        assert np.array_equal(again.vectors, sound.vectors)
        for name in Sound.__slots__:
            if name != "vectors":
                assert getattr(again, name) == getattr(sound, name), name


def ports() -> dict[str, int]:
    """Ports of a machine's agents: given ones need not be waited for, and a busy machine is too slow for that wait."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    sockets = [socket.socket() for _ in names]
    for one in sockets:
        one.bind(("", 0))
    found = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    for one in sockets:
        one.close()
    return found


@pytest.fixture(scope="module")
def two_machines():
    """The address of a head and two workers of one core each (and one for Ray's own tasks)."""
    pytest.importorskip("ray", reason="many machines: pip install 'askaudio[ray]'")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **ports()})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **ports())
    yield cluster.address
    cluster.shutdown()


def kill_a_worker(stop: threading.Event, killed: list[int]) -> None:
    """Wait until workers encode, then end one with -9."""
    import psutil

    while not stop.is_set():
        for process in psutil.process_iter(["name", "cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if "MapWorker" in words and "ray::" in words:
                time.sleep(1.0)
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
                return
        time.sleep(0.1)


@pytest.mark.parametrize("engine", ["s3", "postgresql"])
def test_a_killed_worker_loses_nothing(engine, two_machines, request, tmp_path):
    url = f"{request.getfixturevalue('bucket')}/cluster" if engine == "s3" else ""
    if engine == "postgresql":
        address = request.getfixturevalue("database")
        url = f"{address}{'&' if '?' in address else '?'}collection=cluster"
    folder = tmp_path / "sounds"
    write_tones(folder, 0, FILES)
    (folder / "broken.wav").write_bytes(b"no sound")
    encoder = load("toy")
    identity = Identity.of(encoder, "toy")
    stop, killed = threading.Event(), []
    killer = threading.Thread(target=kill_a_worker, args=(stop, killed), daemon=True)
    killer.start()
    with open_store(url, "w", identity) as store:
        report = ingest([folder], store, encoder, spec="toy", cluster=two_machines)
        stop.set()
        assert killed, "no worker was there to be killed"
        assert report.added == FILES and len(report.broken) == 1
        names = sorted(Path(clip.path).name for clip in store.clips())
        assert names == sorted(path.name for path in folder.glob("tone_*.wav"))
        here = encode_file(encoder, str(folder / "tone_007.wav"))
        stored = store.get([here.entries()[0].entry_id])[0]
        assert np.allclose(stored.vector, here.vectors[0] / np.linalg.norm(here.vectors[0]), atol=1e-6)
        write_tones(folder, FILES, 1)
        again = ingest([folder], store, encoder, spec="toy", cluster=two_machines, known_broken=report.broken)
        assert (again.added, again.unchanged) == (1, FILES)
        assert store.count() == FILES + 1
