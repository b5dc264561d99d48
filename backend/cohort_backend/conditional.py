"""Conditional reads (RFC 9110, section 13): an ETag with every answer to a GET, 304 to who has it already."""

from __future__ import annotations

from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EntityTags:
    """Tags what GET answers with status 200 by its bytes. An answer goes out when it is whole; ours are bounded."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()
        known = Headers(scope=scope).get("if-none-match", "")

        async def holding(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                if message["status"] != 200:
                    await send(message)
                return
            if start is None or start["status"] != 200 or message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await _answer(start, bytes(body), known, send)

        await self.app(scope, receive, holding)


async def _answer(start: Message, body: bytes, known: str, send: Send) -> None:
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = MutableHeaders(raw=start["headers"])
    headers["etag"] = tag
    headers.setdefault("cache-control", "no-cache")
    if _names(known, tag):
        for name in ("content-length", "content-type"):
            del headers[name]
        start, body = {**start, "status": 304}, b""
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _names(known: str, tag: str) -> bool:
    """Whether If-None-Match names the tag: weak comparison, as the RFC wants it here."""
    return any(one.strip() in ("*", tag, f"W/{tag}") for one in known.split(","))
