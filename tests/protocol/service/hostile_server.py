"""A real HTTP server on a loopback port that answers whatever a test tells it, byte by byte if need be."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class HostileServer:
    """Every connection is handed to `behave(connection, request)`; `requests` keeps the raw requests."""

    def __init__(self, behave: Callable[[socket.socket, bytes], None]) -> None:
        self._behave = behave
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        self._ending.set()
        self._acceptor.join(5)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            request = _read_request(connection)
            if request:
                self.requests.append(request)
                self._behave(connection, request)

    @property
    def ending(self) -> threading.Event:
        return self._ending


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return head + b"\r\n\r\n" + body


def http_answer(status: int, body: bytes, kind: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
    return f"{head}{extra}\r\n".encode() + body


def answering(*answers: bytes) -> Callable[[socket.socket, bytes], None]:
    """The n-th request gets the n-th answer; the last one repeats."""
    left = list(answers)
    lock = threading.Lock()

    def behave(connection: socket.socket, request: bytes) -> None:
        with lock:
            answer = left.pop(0) if len(left) > 1 else left[0]
        connection.sendall(answer)

    return behave


def dripping(data: bytes, pause: float, ending: Callable[[], bool]) -> Callable[[socket.socket, bytes], None]:
    """One byte per `pause` seconds."""

    def behave(connection: socket.socket, request: bytes) -> None:
        for i in range(len(data)):
            if ending():
                return
            connection.sendall(data[i : i + 1])
            time.sleep(pause)

    return behave


def problem(status: int, code: str, detail: str, extra: str = "") -> bytes:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "code": code}
    return http_answer(status, json.dumps(body).encode(), "application/problem+json", extra)


@contextmanager
def serving(behave: Callable[[socket.socket, bytes], None]) -> Iterator[HostileServer]:
    server = HostileServer(behave)
    try:
        yield server
    finally:
        server.close()
