"""An httpx transport whose requests end at a deadline, whatever the server does.

httpx limits each read on its own: a server that sends one byte now and then keeps a request alive for ever. A trainer
must be back before its commit phase ends, so here every read and write of one request shares one deadline.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpcore
import httpx

DEADLINE = "cohort-deadline"
"""Key in `httpx.Request.extensions`: the `time.monotonic()` value at which the request is given up."""

_TRANSPORT_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol)


class DeadlineTransport(httpx.BaseTransport):
    """HTTP/1.1 over pooled connections; a request without `DEADLINE` among its extensions never times out.

    Raises `httpx.TimeoutException` at the deadline, `httpx.ConnectError` when no connection could be made, and
    `httpx.TransportError` for everything else that breaks on the way.
    """

    def __init__(self, max_connections: int = 8) -> None:
        self._clock = _Clock()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=max_connections,
            keepalive_expiry=30.0,
            network_backend=_Backend(httpcore.SyncBackend(), self._clock),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._clock.set(request.extensions.get(DEADLINE))
        raw = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": {"pool": self._clock.left(None)}},
        )
        with _mapped(request):
            response = self._pool.handle_request(raw)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response.stream, request), request=request
        )

    def close(self) -> None:
        self._pool.close()


class _Clock(threading.local):
    """The deadline of the request that this thread is working on."""

    deadline: float | None = None

    def set(self, deadline: float | None) -> None:
        self.deadline = deadline

    def left(self, timeout: float | None) -> float | None:
        """Seconds that the next operation may take. Raises `httpcore.ReadTimeout` when none are left."""
        if self.deadline is None:
            return timeout
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline of the request has passed")
        return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context, server_hostname: str | None = None, timeout: float | None = None):
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._clock.left(timeout)), self._clock)

    def get_extra_info(self, info: str):
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(
            host, port, self._clock.left(timeout), local_address=local_address, socket_options=socket_options
        )
        return _Stream(stream, self._clock)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable | None = None
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_unix_socket(path, self._clock.left(timeout), socket_options=socket_options)
        return _Stream(stream, self._clock)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _mapped(self._request):
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


@contextmanager
def _mapped(request: httpx.Request) -> Iterator[None]:
    """Turns httpcore's errors into httpx's."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error) or "no answer in time", request=request) from error
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except _TRANSPORT_ERRORS as error:
        raise httpx.ReadError(str(error) or type(error).__name__, request=request) from error
