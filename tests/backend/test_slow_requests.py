"""A few at once, a bounded queue, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from cohort_backend.errors import Busy
from cohort_backend.slow_requests import SlowRequests


def test_few_at_once_and_a_bounded_queue() -> None:
    running, most = 0, 0
    lock, go = threading.Lock(), threading.Event()

    def work() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return 7

    async def scenario() -> None:
        slow = SlowRequests(at_once=2, most_waiting=3)
        tasks = [asyncio.create_task(slow.run(work)) for _ in range(5)]
        await asyncio.sleep(0.2)
        started = time.monotonic()
        with pytest.raises(Busy, match="3 requests"):
            await slow.run(work)
        assert time.monotonic() - started < 0.5
        go.set()
        assert await asyncio.gather(*tasks) == [7] * 5

    asyncio.run(scenario())
    assert most == 2
