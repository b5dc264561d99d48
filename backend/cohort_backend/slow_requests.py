"""Requests that wait for IPFS or need much memory: a few at once, on threads of their own, so that they never keep the
threads of the short ones busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from cohort_backend.errors import Busy

AT_ONCE = 4
MOST_WAITING = 64

T = TypeVar("T")


class SlowRequests:
    """A small pool with a bounded queue. Lives on one event loop."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._limiter = anyio.CapacityLimiter(at_once)
        self._most_waiting = most_waiting

    async def run(self, work: Callable[[], T]) -> T:
        """`work` on a thread, when it is its turn. Raises what it raises; `Busy` if too many wait already."""
        if self._limiter.statistics().tasks_waiting >= self._most_waiting:
            raise Busy(f"{self._most_waiting} requests of this kind wait already: try again in a moment")
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)
