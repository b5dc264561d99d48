"""Around every request: an access log line, a bound on the body, and an answer when something breaks."""

from __future__ import annotations

import asyncio
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cohort_backend.errors import BodyTooLarge
from cohort_backend.problems import internal_error, problem_response

BODY_SECONDS = 10.0
"""Longest time that a request body may take to arrive."""

_log = structlog.get_logger("cohort_backend.access")


class AccessLog:
    """One line per request: method, path, status, milliseconds. No query values, headers or bodies, so no secrets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:  # the boundary of the process: logged with its trace, answered without
            _log.exception("request-broke", method=scope["method"], path=scope["path"])
            if status == 0:
                await internal_error()(scope, receive, noting)
        finally:
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                client=(scope.get("client") or ("",))[0],
            )


class BodyLimit:
    """Reads the body before the application does, and refuses one that is too long or too slow. Counts bytes as they
    come: a Content-Length header may lie or be missing."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds):
                body = await self._read(receive)
        except TimeoutError:
            answer = problem_response(408, "body-too-slow", f"the body did not arrive within {self.seconds:g} s")
            await answer(scope, receive, send)
        except BodyTooLarge as error:
            await problem_response(413, error.code, str(error))(scope, receive, send)
        else:
            if body is not None:  # else the client left in the middle: nobody waits for an answer
                await self.app(scope, _replaying(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None if the client left. Raises `BodyTooLarge`."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.max_bytes:
                raise BodyTooLarge(f"a request body may have {self.max_bytes} bytes, this one has more")
            if not message.get("more_body", False):
                return b"".join(parts)


def _replaying(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
