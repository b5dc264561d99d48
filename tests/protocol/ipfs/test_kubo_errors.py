"""Every way a node can fail is one of our errors, in bounded time and memory."""

from __future__ import annotations

import gzip
import http.client
import io
import socket
import time
import tracemalloc
import warnings
from collections.abc import Callable
from types import ModuleType

import ipfshttpclient.exceptions
import multiaddr.exceptions
import pytest
import requests
import urllib3.exceptions
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.errors import (
    ContentCorrupt,
    ContentNotFound,
    ContentTooLarge,
    IpfsError,
    IpfsUnavailable,
)
from cohort_protocol.ipfs.kubo_rpc import NodeRefused, Timeouts
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, cid_of

from tests.protocol.ipfs.lying_node import scripted_node
from tests.protocol.ipfs.trees import blocks_of, content

BRIEF = Timeouts(connect_s=0.5, silence_s=0.3, total_s=0.4, find_s=0.2, min_rate=1e6)
# For nodes whose answer matters: a busy machine must not turn it into a timeout.
PATIENT = Timeouts(connect_s=20, silence_s=20, total_s=40, find_s=0.2)
TWO_CHUNKS = content(2 * CHUNK_BYTES)
ROOT = blocks_of(TWO_CHUNKS)[-1]
SINGLE = cid_of(b"single")

CALLS: dict[str, Callable[[IpfsStore], object]] = {
    "put": lambda store: store.put(TWO_CHUNKS),
    "get": lambda store: store.get(SINGLE, 10**9),
    "get file": lambda store: store.get(ROOT.cid, 10**9),
    "has": lambda store: store.has(SINGLE),
    "has file": lambda store: store.has(ROOT.cid),
    "pin": lambda store: store.pin(ROOT.cid),
    "unpin": lambda store: store.unpin(ROOT.cid),
    "pinned": lambda store: store.pinned(ROOT.cid),
    "name_and_version": lambda store: store.name_and_version(),
}


def reply(status: str, body: bytes, *headers: str) -> Callable[[socket.socket], None]:
    """An HTTP answer in one piece, with its length unless headers are given."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *(headers or (f"Content-Length: {len(body)}",))]) + "\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + body)


def endless(head: str) -> Callable[[socket.socket], None]:
    """An answer that does not end."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head.encode())
        while True:
            connection.sendall(b"1000\r\n" + b"[" * 0x1000 + b"\r\n")

    return answer


def dripping(connection: socket.socket) -> None:
    """An answer that keeps the line just busy enough."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(400):
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.05)


def dripping_head(connection: socket.socket) -> None:
    """An answer whose headers never end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(400):
        connection.sendall(b"y")
        time.sleep(0.05)


def dripping_error(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n{")
    for _ in range(400):
        connection.sendall(b" ")
        time.sleep(0.05)


def sipping(connection: socket.socket) -> None:
    """Takes what is sent, if it is much, in small sips."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(400):
        connection.recv(1024)
        time.sleep(0.05)


CHUNKED = "Transfer-Encoding: chunked"
BROKEN_NODES: dict[str, Callable[[socket.socket], None]] = {
    "closes": lambda connection: None,
    "resets": lambda connection: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"),
    "silent": lambda connection: time.sleep(1.5),
    "silent after its head": lambda connection: (
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        time.sleep(1.5),
    ),
    "drips": dripping,
    "drips headers": dripping_head,
    "drips an error": dripping_error,
    "sips": sipping,
    "not http": lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "bad status": reply("999999 ???", b""),
    "bad header": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
    "endless header": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000),
    "many headers": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n"),
    "redirect": reply("302 Found", b"", "Location: http://127.0.0.1:9/", "Content-Length: 0"),
    "redirect for posts": reply("307 Temporary Redirect", b"", "Location: /elsewhere", "Content-Length: 0"),
    "not found": reply("404 Not Found", b"404 page not found"),
    "forbidden": reply("403 Forbidden", b"403 - Forbidden"),
    "error": reply("500 Internal Server Error", b'{"Message":"no space left on device","Code":0,"Type":"error"}'),
    "error of another shape": reply("500 Internal Server Error", b'["Message"]'),
    "error that is a number": reply("500 Internal Server Error", b'{"Message":7}'),
    "error with control characters": reply("500 Internal Server Error", b'{"Message":"\\u001b[2J\\n"}'),
    "error nested deeply": reply("500 Internal Server Error", b"[" * 15_000),
    "endless error": endless(f"HTTP/1.1 500 Internal Server Error\r\n{CHUNKED}\r\n\r\n"),
    "endless answer": endless(f"HTTP/1.1 200 OK\r\n{CHUNKED}\r\n\r\n"),
    "truncated": reply("200 OK", b"{", "Content-Length: 500"),
    "truncated chunk": reply("200 OK", b"ff\r\n{", CHUNKED),
    "bad chunk": reply("200 OK", b"zz\r\n{}\r\n0\r\n\r\n", CHUNKED),
    "bad gzip": reply("200 OK", b"not gzip", "Content-Encoding: gzip", "Content-Length: 8"),
    "empty": reply("200 OK", b""),
    "no content": reply("204 No Content", b"", "X: y"),
    "not json": reply("200 OK", b"<html>"),
    "not text": reply("200 OK", b'{"Version": "\xff\xfe"}'),
    "array": reply("200 OK", b"[]"),
    "number": reply("200 OK", b"5"),
    "null": reply("200 OK", b"null"),
    "nested deeply": reply("200 OK", b"[" * 15_000),
    "many objects": reply("200 OK", b'{"Hash":"x"}\n' * 100),
    "late error": reply("200 OK", b'{"Message":"out of disk","Code":0,"Type":"error"}'),
}
# An object without the fields asked for: for these calls no field matters.
NO_FIELD_NEEDED = {"unpin", "pinned"}


@pytest.mark.parametrize("node", BROKEN_NODES)
def test_broken_nodes_are_our_fault_and_take_bounded_time(node: str) -> None:
    with scripted_node(BROKEN_NODES[node]) as url, warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, call in CALLS.items():
            with connect_store(url, BRIEF) as store:
                began = time.monotonic()
                with pytest.raises(IpfsError) as failed:
                    call(store)
                assert time.monotonic() - began < 15, name
            # ContentTooLarge: a block answer that does not end before 2 MiB. Everything else is the node's fault.
            allowed = ContentTooLarge if node == "endless answer" else (IpfsUnavailable, ContentCorrupt)
            assert isinstance(failed.value, (allowed, IpfsUnavailable)), name
            assert len(str(failed.value)) < 1500
            assert "\x1b" not in str(failed.value)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for call in CALLS.values():
        with pytest.raises(IpfsUnavailable, match="Check that it runs"):
            call(connect_store(f"http://127.0.0.1:{port}", PATIENT))


@pytest.mark.parametrize("name", sorted(set(CALLS) - NO_FIELD_NEEDED - {"has"}))
@pytest.mark.parametrize(
    "body", [b"{}", b'{"Hash":5,"Version":5}', b'{"Hash":"","Version":""}', b'{"Version":"\\u001b"}']
)
def test_answers_without_the_fields_asked_for(name: str, body: bytes) -> None:
    with (
        scripted_node(reply("200 OK", body)) as url,
        connect_store(url, PATIENT) as store,
        pytest.raises((IpfsUnavailable, ContentCorrupt)),
    ):
        CALLS[name](store)


def test_unexpected_objects_mean_not_pinned() -> None:
    for body in (b"{}", b'{"Keys":5}', b'{"Keys":{}}', b'{"Keys":["%s"]}' % str(ROOT.cid).encode()):
        with scripted_node(reply("200 OK", body)) as url, connect_store(url, PATIENT) as store:
            assert not store.pinned(ROOT.cid)


def test_a_node_that_runs_out_of_time_to_find_a_block() -> None:
    body = b'{"Message":"context deadline exceeded","Code":0,"Type":"error"}'
    with (
        scripted_node(reply("500 Internal Server Error", body)) as url,
        connect_store(url, PATIENT) as store,
        pytest.raises(ContentNotFound, match=r"did not find it in 0\.2 s"),
    ):
        store.get(SINGLE, 10)


def test_a_refusal_tells_what_the_node_said() -> None:
    with (
        scripted_node(BROKEN_NODES["error"]) as url,
        connect_store(url, PATIENT) as store,
        pytest.raises(NodeRefused, match="no space left on device") as refused,
    ):
        store.put(b"x")
    assert refused.value.message == "no space left on device"


def test_a_node_that_answers_with_another_cid() -> None:
    body = b'{"Hash":"%s"}' % str(SINGLE).encode()
    with (
        scripted_node(reply("200 OK", body)) as url,
        connect_store(url, PATIENT) as store,
        pytest.raises(ContentCorrupt, match=str(cid_of(b"double"))),
    ):
        store.put(b"double")


def test_a_node_that_adds_only_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    # urllib3 takes an answer that comes before the request is through. The CIDs of the beginning would agree.
    def send(_: requests.Session, request: requests.PreparedRequest, **__: object) -> requests.Response:
        sent = b""
        while TWO_CHUNKS[:CHUNK_BYTES] not in sent:
            sent += next(request.body)
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO(b'{"Hash":"%s"}' % str(cid_of(TWO_CHUNKS[:CHUNK_BYTES])).encode())
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    with connect_store("http://127.0.0.1:9", PATIENT) as store, pytest.raises(IpfsUnavailable, match="whole file"):
        store.put(TWO_CHUNKS)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("framing", ["length", "chunk"])
def test_a_block_that_does_not_end_is_not_read_to_its_end(encoding: str, framing: str) -> None:
    size = 200_000_000
    body = bytes(100_000) if encoding == "identity" else gzip.compress(bytes(size), 1)
    repeats = size // len(body) if encoding == "identity" else 1
    length = repeats * len(body)
    head = f"Content-Length: {length}\r\n\r\n" if framing == "length" else f"{CHUNKED}\r\n\r\n{length:x}\r\n"

    def node(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n{head}".encode())
        for _ in range(repeats):
            connection.sendall(body)

    with scripted_node(node) as url, connect_store(url, PATIENT) as store:
        tracemalloc.start()
        try:
            with pytest.raises((ContentTooLarge, IpfsUnavailable)):
                store.get(SINGLE, 10**9)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


def exceptions_in(module: ModuleType) -> list[type[Exception]]:
    return [
        found
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, Exception) and not issubclass(found, Warning)
        if name not in INTERNAL
    ]


LIBRARIES = [ipfshttpclient.exceptions, multiaddr.exceptions, requests.exceptions, urllib3.exceptions, http.client]
# Names that a library imports for its own use and never raises at its callers by themselves.
INTERNAL = {"CompatJSONDecodeError", "MessageDefect"}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=f"{library.__name__}.{kind.__name__}")
        for library in LIBRARIES
        for kind in exceptions_in(library)
    ],
)
@pytest.mark.parametrize("when", ["request", "answer"])
def test_every_exception_of_the_libraries_is_mapped(
    kind: type[Exception], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a constructor of our own: theirs differ, and only the type matters here.
    spelt = {"__init__": lambda self: None, "__str__": lambda self: "from the library"}
    error = type(kind.__name__, (kind,), spelt)()
    error.args = ("from the library",)

    def fail(*_: object, **__: object) -> object:
        raise error

    target = (requests.Session, "send") if when == "request" else (requests.Response, "iter_content")
    with scripted_node(reply("200 OK", b"{}")) as url, connect_store(url, PATIENT) as store:
        monkeypatch.setattr(*target, fail)
        with pytest.raises(IpfsUnavailable) as failed:
            store.name_and_version()
        assert failed.value.__cause__ is not None
