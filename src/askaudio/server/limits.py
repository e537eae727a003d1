"""Limits of the service: requests per address, bytes that are being sent, and searches at a time.

All decide at once and keep a few numbers per caller, so excess requests are rejected cheaply.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio.to_thread

from askaudio.server.problems import Problem

T = TypeVar("T")


class RateLimit:
    """A token bucket an address: ``rate_per_s`` on average, ``burst`` at once.

    At most ``max_addresses`` are remembered; the one unseen for longest is forgotten first.
    """

    def __init__(
        self,
        rate_per_s: float,
        burst: int,
        max_addresses: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._max, self._clock = rate_per_s, float(burst), max_addresses, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Count one request of an address: 0.0 if it may pass, else the seconds after which it may."""
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        level, seen = self._buckets.pop(address, (self._burst, now))
        level = min(self._burst, level + (now - seen) * self._rate)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate
        self._buckets[address] = (level - 1 if wait == 0 else level, now)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
        return wait


class ByteBudget:
    """Bytes that several requests may hold together."""

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, n_bytes: int) -> bool:
        """Take bytes; False when fewer are left, and then none are taken."""
        if n_bytes > self.left:
            return False
        self.left -= n_bytes
        return True

    def release(self, n_bytes: int) -> None:
        """Return bytes that were taken."""
        self.left += n_bytes


class Gate:
    """A queue: at most ``running`` pieces of work at once in threads, and at most ``waiting`` in line."""

    def __init__(self, running: int, waiting: int, wait_timeout_s: float) -> None:
        self._free = asyncio.Semaphore(running)
        self._threads = anyio.CapacityLimiter(running)
        self._max_waiting, self._timeout_s = waiting, wait_timeout_s
        self.waiting = 0
        self.refused = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free place.

        Raises:
            Problem: 503 when the line is full or the wait was too long.
        """
        if self._free.locked() and self.waiting >= self._max_waiting:
            self._refuse()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            self._refuse()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking ``work`` in a thread when it is its turn."""
        async with self.turn():
            return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def _refuse(self) -> None:
        self.refused += 1
        raise Problem(503, "The server is busy; try again in a moment.", {"Retry-After": "1"})


def retry_after(wait_s: float) -> dict[str, str]:
    """The Retry-After header, in whole seconds."""
    return {"Retry-After": str(max(1, math.ceil(wait_s)))}
