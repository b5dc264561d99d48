"""Requests that end, whatever a real server on a loopback port does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cohort_protocol.deadlines import bounded_session, ends_by

from tests.protocol.ipfs.lying_node import scripted_node

OK = b"HTTP/1.1 200 OK\r\n"
BODY = OK + b"Content-Length: 100000\r\n\r\n"
CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def drips(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """`head`, then `piece` every 50 ms for 20 s: well within any read timeout."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(400):
            connection.sendall(piece)
            time.sleep(0.05)

    return answer


DRIPPING = {
    "status line": drips(b"HTTP/1.1 200 ", b"O"),
    "a header": drips(OK + b"X: ", b"y"),
    "headers": drips(OK, b"X: y\r\n"),
    "interim answers": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drips(BODY, b"z"),
    "chunks": drips(CHUNKS, b"1\r\nz\r\n"),
    "a chunk's extension": drips(CHUNKS + b"1;", b"x"),
    "trailers": drips(CHUNKS + b"0\r\n", b"X: y\r\n"),
    "body until the connection closes": drips(OK + b"\r\n", b"z"),
}


@pytest.mark.parametrize("part", DRIPPING)
def test_a_server_that_drips_is_given_up_at_the_deadline(part: str) -> None:
    with scripted_node(DRIPPING[part]) as url, bounded_session() as session:
        began = time.monotonic()
        with ends_by(began + 0.5), pytest.raises((requests.ReadTimeout, requests.ConnectionError)):
            session.post(url, data=b"?", timeout=5)
        assert 0.4 < time.monotonic() - began < 5


def test_what_ends_before_the_deadline_comes_whole() -> None:
    def slow(connection: socket.socket) -> None:
        for byte in OK + b"Content-Length: 3\r\n\r\nabc":
            connection.sendall(bytes([byte]))
            time.sleep(0.005)

    with scripted_node(slow) as url, bounded_session() as session, ends_by(time.monotonic() + 30):
        assert session.get(url, timeout=5).content == b"abc"


def test_silence_ends_by_the_timeout_of_reads_though_the_deadline_is_far() -> None:
    with scripted_node(lambda _: time.sleep(3)) as url, bounded_session() as session, ends_by(time.monotonic() + 60):
        began = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            session.get(url, timeout=0.2)
        assert time.monotonic() - began < 2.5


def test_deadlines_are_of_their_block_and_of_their_thread() -> None:
    def quick(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 1\r\n\r\na")

    found: list[bytes] = []
    with scripted_node(quick) as url, bounded_session() as session:
        with ends_by(time.monotonic() + 30):
            with ends_by(time.monotonic() - 1), pytest.raises(requests.RequestException):
                session.get(url, timeout=5)
            assert session.get(url, timeout=5).content == b"a"
        with ends_by(time.monotonic() - 1):
            other = threading.Thread(target=lambda: found.append(bounded_session().get(url, timeout=5).content))
            other.start()
            other.join(20)
        assert found == [b"a"]
        assert session.get(url, timeout=5).content == b"a"


def test_a_deadline_may_be_moved() -> None:
    def late(connection: socket.socket) -> None:
        time.sleep(0.4)
        connection.sendall(OK + b"Content-Length: 1\r\n\r\na")

    with scripted_node(late) as url, bounded_session() as session, ends_by(time.monotonic() + 0.1) as deadline:
        deadline.until += 30
        assert session.get(url, timeout=5).content == b"a"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "307 Temporary Redirect"])
def test_a_redirect_is_not_followed_and_its_body_not_read(status: str) -> None:
    """`requests` reads the body of a redirect before it looks whether it may follow it."""
    size = 100_000_000

    def redirect(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\nLocation: /x\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // 100_000):
            connection.sendall(bytes(100_000))

    with scripted_node(redirect) as url, bounded_session() as session, ends_by(time.monotonic() + 60):
        tracemalloc.start()
        try:
            with session.post(url, data=b"?", stream=True, timeout=5) as answer:
                assert answer.is_redirect
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2_000_000


# --- over TLS ---------------------------------------------------------------------------------------------------------


CERTIFICATE = Path(__file__).with_name("loopback.pem")


@pytest.fixture
def tls_url() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(answer: Callable[[socket.socket], None]) -> None:
        try:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(100_000)
                answer(secure)
        except OSError:
            return

    def start(answer: Callable[[socket.socket], None]) -> str:
        threading.Thread(target=serve, args=(answer,), daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.close()


@pytest.mark.parametrize("part", ["a header", "body"])
def test_the_same_over_tls(tls_url: Callable, part: str) -> None:
    url = tls_url(DRIPPING[part])
    with bounded_session() as session:
        began = time.monotonic()
        with ends_by(began + 0.5), pytest.raises((requests.ReadTimeout, requests.ConnectionError)):
            session.get(url, timeout=5, verify=str(CERTIFICATE))
        assert 0.4 < time.monotonic() - began < 5


def test_tls_that_answers_is_read(tls_url: Callable) -> None:
    url = tls_url(lambda connection: connection.sendall(OK + b"Content-Length: 3\r\n\r\nabc"))
    with bounded_session() as session, ends_by(time.monotonic() + 30):
        assert session.get(url, timeout=5, verify=str(CERTIFICATE)).content == b"abc"


def test_a_proxy_that_drips_is_given_up_too() -> None:
    with scripted_node(drips(OK, b"X: y\r\n")) as proxy, bounded_session() as session:
        session.trust_env = False
        for scheme in ("http", "https"):
            began = time.monotonic()
            with ends_by(began + 0.5), pytest.raises(requests.RequestException):
                session.get(f"{scheme}://host.example/", timeout=5, proxies={scheme: proxy})
            assert time.monotonic() - began < 5
