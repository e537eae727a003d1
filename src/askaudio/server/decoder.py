"""Sandboxed decoding: worker processes with time and memory limits, restarted when they crash.

A thread that hangs in a C library cannot be stopped; a process can. Starting one takes about half a second, so they
are kept alive. A job costs about a millisecond on top of the decoding.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from typing import Any

from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import Json

_MAX_REPLY_BYTES = 1 << 20


class _Process:
    """One decoder process."""

    def __init__(self, memory_bytes: int) -> None:
        # one thread each: the processes are the parallel part, and threads would only take memory
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment.pop("ASKAUDIO_TOKEN", None)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "askaudio.server.decode_worker", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C goes to the service, which stops its decoders itself
        )

    def ask(self, job: Json, timeout_s: float) -> Json:
        """Send a job and wait for its answer.

        Raises:
            TimeoutError: No answer in time; the process must be ended.
            EOFError: The process died.
        """
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None:
            raise EOFError
        try:
            stdin.write(json.dumps(job).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise EOFError from error
        deadline, reply = time.monotonic() + timeout_s, b""
        while not reply.endswith(b"\n"):
            readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise TimeoutError
            piece = os.read(stdout.fileno(), 1 << 16)
            if not piece or len(reply) > _MAX_REPLY_BYTES:
                raise EOFError
            reply += piece
        return json.loads(reply)

    def end(self) -> None:
        """Stop the process at once."""
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._child.wait()


class Decoder:
    """Runs the jobs of ``decode_worker`` in at most ``workers`` processes. Safe to call from several threads.

    Args:
        workers: Processes at most; started when first needed.
        timeout_s: Longest time of one job.
        memory_bytes: Address space of one process.
    """

    # A process that is just starting may take longer than a job on a busy machine.
    START_S = 20.0

    def __init__(self, workers: int, timeout_s: float, memory_bytes: int) -> None:
        self._timeout_s, self._memory = timeout_s, memory_bytes
        self._places = threading.Semaphore(workers)
        self._idle: list[_Process] = []
        self._lock = threading.Lock()
        self._closed = False

    def run(self, job: str, source: str, **arguments: Any) -> Json:
        """Do one job.

        Args:
            job: Name of a function in ``decode_worker.JOBS``.
            source: The file.
            **arguments: Its other arguments.

        Raises:
            AudioDecodeError: The file cannot be decoded, takes too long or takes the decoder down.
        """
        with self._places:
            process = self._take()
            try:
                reply = process.ask({"job": job, "source": source, **arguments}, self._timeout_s)
            except TimeoutError as error:
                process.end()
                raise AudioDecodeError(source, f"decoding took longer than {self._timeout_s:g} s") from error
            except EOFError as error:
                process.end()
                raise AudioDecodeError(source, "the decoder crashed on it") from error
            except BaseException:
                process.end()
                raise
            self._give_back(process)
        if "error" in reply:
            raise AudioDecodeError(source, str(reply["error"]))
        return reply

    def close(self) -> None:
        """Stop all idle processes; busy ones stop after their job."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take(self) -> _Process:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        process = _Process(self._memory)
        try:
            process.ask({"job": "ready"}, self.START_S)
        except (TimeoutError, EOFError) as error:
            process.end()
            raise AudioDecodeError("the file", "the decoder process does not start") from error
        return process

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(process)
                return
        process.end()
