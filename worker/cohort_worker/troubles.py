"""What only the operator can put right, said again now and then and not every second."""

from __future__ import annotations

import threading
import time

import structlog

log = structlog.get_logger(__name__)

REPEAT_SECONDS = 60.0


class Troubles:
    """Remembers what was said. Safe under threads."""

    def __init__(self, repeat_seconds: float = REPEAT_SECONDS) -> None:
        self._repeat_seconds = repeat_seconds
        self._said: dict[tuple[str, int], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def tell(self, code: str, project: int, detail: str) -> None:
        """Logs an error, unless the very same was logged for the project a moment ago."""
        now = time.monotonic()
        with self._lock:
            before, at = self._said.get((code, project), ("", now))
            if before == detail and now - at < self._repeat_seconds:
                return
            self._said[code, project] = (detail, now)
        log.error("project_stuck", code=code, project=project, detail=detail)
