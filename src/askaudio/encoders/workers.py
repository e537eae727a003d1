"""Run a function of an encoder and a task over many tasks in worker processes, and survive workers that crash.

Each worker loads the encoder once. Results arrive in the order in which they are finished, and at most four tasks per
worker are submitted at a time, so memory does not grow with the number of tasks.

A worker process dies when a decoder crashes on a hostile file or when the system runs out of memory. The tasks that
were submitted at that moment are then run again, one at a time; a task that crashes its worker a second time is
reported as crashed, and the other tasks are not affected.

Ctrl-C reaches every process of a terminal. Workers ignore it; the process that started them ends them at once when it
is interrupted, because a task may take minutes. They also end when that process is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load_encoder

Task = TypeVar("Task")
Result = TypeVar("Result")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by a library when it is loaded
TASKS_PER_WORKER = 4  # submitted at a time

_encoder: Encoder | None = None  # of this worker process


def map_in_workers(
    function: Callable[[Encoder, Task], Result],
    tasks: Iterable[Task],
    spec: str,
    workers: int,
    crashed: Callable[[Task], Result],
) -> Iterator[Result]:
    """Apply a function to every task in worker processes.

    Args:
        function: Called with the worker's encoder and a task. It must be importable (no lambda, no closure), and its
            results must be picklable. An exception that it raises ends the iteration.
        tasks: Read as they are needed; each must be picklable.
        spec: Name or folder of the encoder, for ``load_encoder``.
        workers: Number of processes.
        crashed: Called in this process with a task that crashed its worker twice; makes the result of that task.

    Yields:
        One result per task, in the order in which they are finished.
    """
    pool = _Pool(function, spec)
    waiting = iter(tasks)
    doubtful: list[Task] = []  # one of them crashed a worker; which one is not known
    while suspects := (yield from pool.run(waiting, workers)):
        doubtful += suspects
    for task in doubtful:
        if (yield from pool.run(iter([task]), 1)):
            yield crashed(task)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started inside this context use one thread for linear algebra.

    The processes already use all cores, and threads of several processes that wait for each other spin: two workers on
    two cores, one of them busy, took 69 s of CPU time for work that takes 20 s with one thread each.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Pool(Generic[Task, Result]):
    """Starts a new set of processes for every ``run``: a process pool cannot be used after one process has died."""

    def __init__(self, function: Callable[[Encoder, Task], Result], spec: str) -> None:
        self.function, self.spec = function, spec
        self.processes: set[BaseProcess] = set()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Remember the processes that are started inside this context."""
        before = set(multiprocessing.active_children())
        yield
        self.processes |= set(multiprocessing.active_children()) - before

    def run(self, waiting: Iterator[Task], workers: int) -> Generator[Result, None, list[Task]]:
        """Work until no task is left (returns []) or a worker dies (returns the tasks that were submitted then)."""
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
        initargs = (self.spec, os.getpid())
        executor = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=initargs)
        try:
            return (yield from self._work(executor, waiting, workers))
        except BaseException:  # an interrupt, or a caller that stops early, does not wait for tasks that are running
            for process in self.processes:
                process.kill()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)

    def _work(
        self, executor: ProcessPoolExecutor, waiting: Iterator[Task], workers: int
    ) -> Generator[Result, None, list[Task]]:
        running: dict[Future[Result], Task] = {}
        while True:
            while len(running) < TASKS_PER_WORKER * workers and (task := next(waiting, None)) is not None:
                try:
                    with one_thread_each(), _interrupts_held(), self._watching():  # submit() starts the processes
                        future = executor.submit(_run_task, self.function, task)
                    running[future] = task
                except BrokenProcessPool:
                    return [task, *running.values()]
            if not running:
                return []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    return list(running.values())
                del running[future]
                yield result


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started inside this context never see Ctrl-C; this process sees it at the end of the context."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it inside would end the context's effect
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in a worker process ---------------------------------------------------------------------------------------


def _start_worker(spec: str, parent: int) -> None:
    """Load the encoder, once per worker."""
    global _encoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _encoder = load_encoder(spec)
    if hasattr(_encoder, "threads"):  # the processes already use all cores; threads inside them would only compete
        _encoder.threads = 1


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, also after kill -9."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _run_task(function: Callable[[Any, Task], Result], task: Task) -> Result:
    return function(_encoder, task)
