"""Ctrl-C ends an indexing run at once, with its workers; what was committed stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from askaudio.core.errors import IndexStoreError
from askaudio.engines.open import open_store
from tones import write_tone

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

_SLOW_INDEX = """
import os, signal, sys, time
import askaudio.ingest.encode_file as encoding
import askaudio.ingest.update as ingesting
from pathlib import Path

ingesting._COMMIT_S = 0.0
encode = encoding.encode_file

def slow(encoder, path, *rest):
    if "slow" in path:
        Path(path + ".pid").write_text(str(os.getpid()))
        time.sleep(600)
    return encode(encoder, path, *rest)

encoding.encode_file = slow  # workers import this file too

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
    from askaudio.cli import main
    sys.exit(main(["index", sys.argv[1], "--collection", sys.argv[2], "--model", "toy", "--workers", "2"]))
"""


@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_index_ends_at_once_with_its_workers(tmp_path: Path, whole_group: bool, times: int) -> None:
    folder, collection, script = tmp_path / "sounds", tmp_path / "collection", tmp_path / "slow_index.py"
    script.write_text(_SLOW_INDEX)
    for name in ("a.wav", "slow_1.wav", "slow_2.wav", "slow_3.wav"):
        write_tone(folder / name, 440)
    child = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(collection)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while len(pids := list(folder.glob("*.pid"))) < 2 or names_in(collection) != ["a.wav"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = time.monotonic()
        for _ in range(times):
            os.killpg(child.pid, signal.SIGINT) if whole_group else child.send_signal(signal.SIGINT)
            time.sleep(0.2)
        out, _ = child.communicate(timeout=60)
        assert time.monotonic() - started < 20, "a busy machine takes a second"
    finally:
        child.kill()
    assert child.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in out
    deadline = time.monotonic() + 10
    while (alive := [p for p in pids if is_running(int(p.read_text()))]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == []
    assert names_in(collection) == ["a.wav"]


def names_in(collection: Path) -> list[str]:
    try:
        with open_store(collection) as store:
            return [Path(clip.path).name for clip in store.clips()]
    except IndexStoreError:  # not there yet
        return []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False
