"""Connections that are held for nothing, against a real uvicorn on a loopback port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from cohort_backend.connections import OrderlyConnection
from starlette.types import Receive, Scope, Send

LONG = 32 << 20
"""Bytes: more than the kernel's buffers hold."""


class Hasty(OrderlyConnection):
    head_seconds = 0.5
    stall_seconds = 0.5
    least_taken = 64 * 1024


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    body = bytes(LONG) if scope["path"] == "/long" else b"short"
    if scope["path"] == "/late":
        await asyncio.sleep(1.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_config=None, timeout_keep_alive=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    listener.close()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(15)
    return connection


def answered(connection: socket.socket) -> bool:
    """Whether a short answer comes."""
    found = b""
    while not found.endswith(b"short") and (part := connection.recv(10_000)):
        found += part
    return found.startswith(b"HTTP/1.1 200") and found.endswith(b"short")


def seconds_until_cut(connection: socket.socket, piece: bytes, limit: float = 10.0) -> float:
    """Sends `piece` every 50 ms until the connection is cut."""
    began = time.monotonic()
    connection.settimeout(0.05)
    while time.monotonic() - began < limit:
        try:
            if piece:
                connection.sendall(piece)
            if not connection.recv(1):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b""),
        (b"G", b""),
        (b"\r\n", b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"y"),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    ],
)
def test_a_head_that_does_not_come_ends_the_connection(port: int, start: bytes, piece: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(start)
        assert seconds_until_cut(connection, piece) < 5


def test_the_second_head_has_to_come_in_time_too(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered(connection)
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert seconds_until_cut(connection, b"y") < 4


def test_an_answer_may_take_longer_than_a_head(port: int) -> None:
    with connect(port) as connection:
        for _ in range(2):
            connection.sendall(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answered(connection)
        time.sleep(1)  # between two requests
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered(connection)


def test_an_answer_that_nobody_takes_ends_the_connection(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(3)
        found = 0
        try:
            while part := connection.recv(1 << 20):
                found += len(part)
        except ConnectionResetError:
            pass
        assert found < LONG


def test_an_answer_that_is_taken_slowly_comes_whole(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = 0
        while part := connection.recv(1 << 20):
            found += len(part)
            time.sleep(0.03)
        assert found > LONG
