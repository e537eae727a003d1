"""Indexing that the page starts: one job at a time, in a process of its own, with a state that any request can read."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

from askaudio.core.types import Json

_STOP_S = 10.0  # time in which a job may finish the file it reads
_IDLE: Json = {
    "status": "idle", "folders": [], "done": 0, "total": None, "note": "", "report": None, "error": "",
}  # fmt: skip


class IndexJobs:
    """The job that runs, or the last one; safe to use by several threads."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._state: Json = dict(_IDLE)
        self._lock = threading.Lock()

    def state(self) -> Json:
        """What the page shows: status, folders, done, total, note, report, error.

        Status is one of idle, running, stopping, done, stopped, failed.
        """
        with self._lock:
            return dict(self._state)

    def start(self, folders: Sequence[str], collection: str, workers: int) -> bool:
        """Start a job; False if one is running.

        Args:
            folders: Absolute paths.
            collection: Address.
            workers: Processes that encode.
        """
        job = json.dumps({"folders": list(folders), "collection": collection, "workers": workers})
        with self._lock:
            if self._child is not None:
                return False
            self._state = {**_IDLE, "status": "running", "folders": list(folders)}
            environment = {name: value for name, value in os.environ.items() if name != "ASKAUDIO_TOKEN"}
            self._child = child = subprocess.Popen(
                [sys.executable, "-m", "askaudio.server.index_worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                start_new_session=True,  # Ctrl-C goes to the service, which stops its job itself
            )  # fmt: skip
        if child.stdin is not None:
            with contextlib.suppress(OSError):  # it ended at once: the reader finds out
                child.stdin.write(job.encode() + b"\n")
                child.stdin.flush()
        threading.Thread(target=self._follow, args=(child,), daemon=True).start()
        return True

    def stop(self) -> None:
        """Ask the job to stop after the files that it reads; returns at once."""
        with self._lock:
            child = self._child
            if child is None or self._state["status"] != "running":
                return
            self._state["status"] = "stopping"
        if child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        threading.Thread(target=_end, args=(child,), daemon=True).start()

    def close(self) -> None:
        """Stop the job and wait for it."""
        self.stop()
        with self._lock:
            child = self._child
        if child is not None:
            _end(child)

    def _follow(self, child: subprocess.Popen[bytes]) -> None:
        last: Json = {}
        for line in child.stdout or ():
            with contextlib.suppress(ValueError):
                last = json.loads(line)
                self._take(last)
        child.wait()
        with self._lock:
            stopping = self._state["status"] == "stopping"
            if "report" in last:
                self._state["status"] = "done"
            elif stopping or "stopped" in last:
                self._state["status"] = "stopped"
            else:
                self._state["status"] = "failed"
                self._state["error"] = self._state["error"] or "The process that indexes ended without a report."
            self._child = None

    def _take(self, line: Json) -> None:
        with self._lock:
            self._state.update({key: line[key] for key in ("done", "total", "note", "report", "error") if key in line})


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
