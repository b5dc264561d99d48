"""Connections that nobody can hold for nothing.

uvicorn waits for the head of a request, and for somebody to take an answer, as long as it takes. Both are bounded here;
the body of a request is bounded by `middleware.BodyLimit`, the pause between two requests by uvicorn.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Longest time that the head of a request may take to arrive, from its first byte or, for the first request, from the
connection."""
STALL_SECONDS = 20.0
"""How often it is looked at whether an answer that is too long for the buffers is taken."""
LEAST_TAKEN = 20 * 1024
"""Bytes that have to be taken in that time: 1 KiB a second."""


class OrderlyConnection(H11Protocol):
    """A connection whose head comes in time and whose answers are taken, or that is cut."""

    head_seconds = HEAD_SECONDS
    stall_seconds = STALL_SECONDS
    least_taken = LEAST_TAKEN

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._stall = _cancelled(self._head), _cancelled(self._stall)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stall = _cancelled(self._stall)
        super().resume_writing()

    def _watch_head(self) -> None:
        """A request is under way from the end of its head to the end of its answer; else a head is waited for."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._head = _cancelled(self._head)
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _watch_stall(self, size: int) -> None:
        self._stall = self.loop.call_later(self.stall_seconds, self._look, size)

    def _look(self, before: int) -> None:
        size = self.transport.get_write_buffer_size()
        if before - size < self.least_taken:
            self.transport.abort()
        else:
            self._watch_stall(size)


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
