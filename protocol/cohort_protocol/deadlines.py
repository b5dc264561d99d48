"""An end for requests of `requests`: one deadline over status line, headers and body, whatever the server does.

`requests` limits each read from the socket on its own, so a server that sends a byte now and then, in its headers or in
its body, keeps whoever asked for as long as it likes. Here every read of a response also ends at the deadline of the
thread that asks. (`service.transport` is the same for httpx.)

    session = bounded_session()
    with ends_by(time.monotonic() + 60):
        session.get(url, stream=True, timeout=(5, 20)).content      # raises as if a read had timed out
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager


@dataclass(slots=True)
class Deadline:
    """`until`: a value of `time.monotonic()`. May be moved while requests run."""

    until: float

    def left(self) -> float:
        """Seconds. Raises `TimeoutError` if there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return left


class _Thread(threading.local):
    deadline: Deadline | None = None


_thread = _Thread()


@contextmanager
def ends_by(until: float) -> Iterator[Deadline]:
    """What this thread asks through a `bounded_session` in the block ends by `until` (`time.monotonic()`)."""
    before, deadline = _thread.deadline, Deadline(until)
    _thread.deadline = deadline
    try:
        yield deadline
    finally:
        _thread.deadline = before


def bounded_session() -> requests.Session:
    """A session whose responses end at the deadline of `ends_by`. Without one they are like those of any session, but
    for redirects: they are never followed, and come back as they are."""
    session = _Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: no answer is a redirect here. Of one that is, `requests` would read the whole body first, however long,
        whether it then follows it or not."""


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: object, **options: object) -> None:
        super().init_poolmanager(*args, **options)
        _bind(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: object) -> PoolManager:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if not known:
            _bind(manager)
        return manager


def _bind(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {
        scheme: _bounded_pool(kind) for scheme, kind in manager.pool_classes_by_scheme.items()
    }


@cache
def _bounded_pool(kind: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    connection = type(f"Bounded{kind.ConnectionCls.__name__}", (kind.ConnectionCls,), {"response_class": _Response})
    return type(f"Bounded{kind.__name__}", (kind,), {"ConnectionCls": connection})


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: object, **options: object) -> None:
        super().__init__(_Source(sock), *args, **options)  # type: ignore[arg-type]


class _Source:
    """What `http.client.HTTPResponse` asks of a socket: a file to read from."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self._sock, self._sock.makefile(mode, buffering=0)))


class _Reads(io.RawIOBase):
    """Each read waits as long as the socket would, and no longer than until the deadline of this thread."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._timeout = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:
        if _thread.deadline is not None:
            left = _thread.deadline.left()
            self._sock.settimeout(left if self._timeout is None else min(left, self._timeout))
        return self._raw.readinto(buffer)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow something of many parts may be: `grace_s` seconds, and one more for each `min_rate` bytes."""

    grace_s: float
    min_rate: float

    def seconds(self, count: int) -> float:
        """Most that `count` bytes may take."""
        return self.grace_s + count / self.min_rate
