"""Waiting for news of a project: any number of long-polls, one query per process and interval, no database connection
and no thread held while waiting."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from cohort_backend.database import Database, DatabaseUnavailable
from cohort_backend.projects.repository import versions

_log = structlog.get_logger(__name__)


class VersionWatch:
    """Looks at the versions of those projects that somebody waits for. Lives on one event loop; idle when nobody
    waits."""

    def __init__(self, database: Database, poll_seconds: float, max_waiters: int) -> None:
        self._database = database
        self._poll_seconds = poll_seconds
        self._max_waiters = max_waiters
        self._waiting: dict[int, set[tuple[int, asyncio.Future[None]]]] = defaultdict(set)
        self._poller: asyncio.Task[None] | None = None
        self._closed = False

    async def changed(self, project: int, known: int, seconds: float) -> None:
        """Returns when the project's version is another than `known`, after `seconds`, or at once if too many wait
        already or the process is about to end."""
        if self._closed or seconds <= 0 or self.waiters >= self._max_waiters:
            return
        future = asyncio.get_running_loop().create_future()
        entry = (known, future)
        self._waiting[project].add(entry)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting[project].discard(entry)
            if not self._waiting[project]:
                del self._waiting[project]

    @property
    def waiters(self) -> int:
        """Long-polls under way."""
        return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Lets everybody go and nobody wait any more. On the event loop's thread."""
        self._closed = True
        for entries in self._waiting.values():
            for _, future in entries:
                _wake(future)

    async def _poll(self) -> None:
        while self._waiting:
            try:
                found = await asyncio.to_thread(self._read, list(self._waiting))
            except DatabaseUnavailable as error:
                _log.warning("version-poll-failed", error=str(error))  # those who wait time out or are woken later
                await asyncio.sleep(1.0)
                continue
            for project, entries in list(self._waiting.items()):
                for known, future in entries:
                    if found.get(project, 0) != known:
                        _wake(future)
            await asyncio.sleep(self._poll_seconds)

    def _read(self, projects: list[int]) -> dict[int, int]:
        with self._database.read() as session:
            return versions(session, projects)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
