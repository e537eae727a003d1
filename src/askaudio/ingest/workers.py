"""Encode many files at once, in this process or in workers; results come as they are ready, few are ever in flight.

A worker that dies (a decoder crashed on a hostile file, the system ran out of memory) costs the files in its hands a
second try, one at a time; the one that kills its worker again is reported as broken, the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from askaudio.encoders.encoder import Encoder
from askaudio.ingest.encode_file import Sound, encode_file, encode_in_worker, start_worker

Task = tuple[str, Sequence[str]]  # path, captions
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by a library when it is loaded


def encode_here(encoder: Encoder, tasks: Iterable[Task]) -> Iterator[Sound]:
    """One after the other in this process."""
    for path, captions in tasks:
        yield encode_file(encoder, path, captions)


def encode_in_pool(spec: str, tasks: Iterable[Task], workers: int) -> Iterator[Sound]:
    """In worker processes that each load the encoder ``spec``; at most four files a worker are in flight."""
    waiting = iter(tasks)
    doubtful: list[Task] = []
    while True:
        suspects = yield from _run(spec, waiting, workers)
        if not suspects:
            break
        doubtful += suspects
    for task in doubtful:
        if (yield from _run(spec, iter([task]), 1)):
            yield Sound(task[0], reason="reading it crashed the decoder; convert or remove the file")


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile give their linear algebra one thread.

    The processes are the parallel part. Threads of several processes that wait for each other spin: two workers on two
    cores, one of them busy, took 69 s of CPU time for what takes 20 s so.
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


def _run(spec: str, waiting: Iterator[Task], workers: int) -> Generator[Sound, None, list[Task]]:
    """Work until nothing waits (returns []) or a worker dies (returns the tasks that were in its hands)."""
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
    pool = ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(spec, os.getpid()))
    running: dict[Future[Sound], Task] = {}
    try:
        while True:
            while len(running) < 4 * workers and (task := next(waiting, None)) is not None:
                try:
                    with one_thread_each():  # a worker is started by what is submitted
                        future = pool.submit(encode_in_worker, *task)
                    running[future] = task
                except BrokenProcessPool:
                    return [task, *running.values()]
            if not running:
                return []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    sound = future.result()
                except BrokenProcessPool:
                    return list(running.values())
                del running[future]
                yield sound
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
