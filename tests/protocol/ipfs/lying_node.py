"""IPFS nodes that misbehave, as real servers on loopback ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import requests


@contextmanager
def flipping_node(real: str, cid: str) -> Iterator[str]:
    """A node that passes everything on to `real`, but flips a byte of the block `cid`. Gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = requests.post(real + self.path, data=body, timeout=30)
            content = bytearray(answer.content)
            parts = urlsplit(self.path)
            if parts.path.endswith("/block/get") and parse_qs(parts.query)["arg"] == [cid]:
                content[len(content) // 2] ^= 0x10
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with _serving(Handler) as url:
        yield url


@contextmanager
def counting_node() -> Iterator[tuple[str, list[int]]]:
    """A node that only knows its version. Gives its address and the client's port of every connection made."""
    ports: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            ports.append(self.client_address[1])
            super().setup()

        def do_POST(self) -> None:
            content = b'{"Version":"0.39.0"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with _serving(Handler) as url:
        yield url, ports


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def scripted_node(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request's head and body as far as they come at once, then does `answer` and closes."""
    with recording_node(answer, []) as url:
        yield url


@contextmanager
def recording_node(answer: Callable[[socket.socket], None], seen: list[bytes]) -> Iterator[str]:
    """As `scripted_node`; keeps what it reads in `seen`."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_one, args=(connection, answer, seen, stopping), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _one(
    connection: socket.socket, answer: Callable[[socket.socket], None], seen: list[bytes], stopping: threading.Event
) -> None:
    with connection:
        connection.settimeout(10)
        try:
            seen.append(connection.recv(1_000_000))
            answer(connection)
            connection.shutdown(socket.SHUT_WR)
            # Closing with unread bytes would reset the connection before the answer is read.
            connection.settimeout(0.2)
            while not stopping.is_set() and connection.recv(1_000_000):
                continue
        except OSError:
            return
