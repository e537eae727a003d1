"""Apply one function to many items in several processes: results in order, few of them in memory at a time."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

from askaudio.core.types import Progress, silent

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4  # items in flight per process: bounds memory when the consumer is slower than the workers
_function: Callable[[Any], Any] | None = None  # set once in each worker, so that it is not pickled with every item


def in_order(
    function: Callable[[T], R], items: Sequence[T], workers: int = 1, progress: Progress = silent
) -> Iterator[R]:
    """``function(item)`` for each item, in the order of the items.

    Args:
        function: Picklable if ``workers`` is above 1.
        items: What to work on.
        workers: Processes; 1 works in this process.
        progress: Called after each item.
    """
    results = map(function, items) if workers <= 1 else _pooled(function, items, workers)
    for done, result in enumerate(results, start=1):
        progress(done, len(items))
        yield result


def _pooled(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    # "spawn": a fork of a process that runs threads (onnxruntime, torch) can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_remember, initargs=(function,)) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(_call, item))
                if len(waiting) >= workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _remember(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function


def _call(item: Any) -> Any:
    if _function is None:
        raise RuntimeError("worker was not initialised")
    return _function(item)
