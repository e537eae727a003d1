"""Start a server process on a collection of generated sounds, for both benchmarks of the server."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import soundfile

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.update import ingest

RATE_HZ = 16_000
# as `askaudio serve`, with the limits that a benchmark has to change
CHILD = """
import json, sys
from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.run import bind, make_server
from askaudio.server.settings import ServerSettings
settings = ServerSettings(**json.loads(sys.argv[2]))
with bind("127.0.0.1", 0) as listener, SearchEngine.open(sys.argv[1]) as engine:
    print(listener.getsockname()[1], flush=True)
    make_server(create_app(engine, settings), settings).run(sockets=[listener])
"""


def make_collection(folder: Path, n_clips: int, seed: int = 0, long_s: int = 0) -> Path:
    """Tones in noise with names that words can find, and one long silence, indexed with the toy encoder."""
    sounds, collection, encoder = folder / "sounds", folder / "collection", ToyEncoder()
    sounds.mkdir(parents=True, exist_ok=True)
    os.environ["ASKAUDIO_STATE"] = str(folder / "state")  # the record of indexed folders; the server inherits it
    rng = np.random.default_rng(seed)
    for k in range(n_clips):
        hz, length = 80 * 2 ** rng.uniform(0, 6.5), int(RATE_HZ * rng.uniform(0.5, 6))
        tone = 0.4 * np.sin(2 * np.pi * hz * np.arange(length) / RATE_HZ) + 0.05 * rng.standard_normal(length)
        soundfile.write(sounds / f"tone {hz:.0f} Hz {k:04d}.wav", tone.clip(-1, 1), RATE_HZ)
    if long_s:
        soundfile.write(sounds / "long silence.wav", np.zeros(RATE_HZ * long_s, np.int16), RATE_HZ)
    with open_store(collection, "w", Identity.of(encoder, "toy")) as store:
        ingest([sounds], store, encoder)
    return collection


@contextlib.contextmanager
def served(collection: Path | str, **settings: object) -> Iterator[tuple[int, psutil.Process]]:
    """The service in another process; yields its port and the process."""
    command = [sys.executable, "-c", CHILD, str(collection), json.dumps(settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline()), psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(30)


def resident_mb(process: psutil.Process) -> float:
    """Memory of a process and its decoders, in MiB."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 2**20
