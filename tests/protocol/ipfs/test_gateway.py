"""Reading through a gateway that may withhold, lie or babble."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import (
    ContentCorrupt,
    ContentNotFound,
    ContentTooLarge,
    IpfsUnavailable,
    StoreUrlInvalid,
)
from cohort_protocol.ipfs.gateway import RAW_BLOCK, GatewayStore
from cohort_protocol.ipfs.reader import MAX_BLOCK_BYTES

from tests.protocol.ipfs.lying_node import scripted_node

CONTENT = bytes(range(256)) * 3000
"""Three chunks and a node above them."""

CID = Cid(RAW, bytes(32))

Answer = Callable[[Cid], "tuple[int, bytes]"]


@contextmanager
def gateway(answer: Answer) -> Iterator[str]:
    """A gateway that answers each block so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = parse_qs(parts.query).get("format") == ["raw"] and self.headers["Accept"] == RAW_BLOCK
            status, content = answer(Cid.parse(parts.path.removeprefix("/ipfs/"))) if asked else (400, b"")
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


def from_store(store: EmbeddedStore) -> Answer:
    def answer(cid: Cid) -> tuple[int, bytes]:
        try:
            return 200, store._read_block(cid)
        except ContentNotFound:
            return 404, b"not here"

    return answer


def test_files_come_back_block_by_block(store: EmbeddedStore) -> None:
    large, small = store.put(CONTENT), store.put(b"small")
    with gateway(from_store(store)) as url, GatewayStore(url) as found:
        assert found.get(large, len(CONTENT)) == CONTENT
        assert found.get(small, 5) == b"small"
        assert found.name_and_version() == f"gateway {url}"
        assert found.has(large)
        assert not found.has(Cid.of_block(0x55, b"elsewhere"))
        with pytest.raises(ContentTooLarge):
            found.get(large, len(CONTENT) - 1)
        with pytest.raises(ContentNotFound):
            found.get(Cid.of_block(0x55, b"elsewhere"), 100)


def test_a_lie_is_seen(store: EmbeddedStore) -> None:
    cid = store.put(CONTENT)
    true = from_store(store)

    def flipped(asked: Cid) -> tuple[int, bytes]:
        status, content = true(asked)
        return status, content[:-1] + bytes([content[-1] ^ 1])

    with gateway(flipped) as url, GatewayStore(url) as found, pytest.raises(ContentCorrupt):
        found.get(cid, len(CONTENT))


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (404, b"", ContentNotFound),
        (410, b"", ContentNotFound),
        (500, b"", IpfsUnavailable),
        (429, b"slow down", IpfsUnavailable),
        (200, bytes(MAX_BLOCK_BYTES + 1), ContentTooLarge),
        (200, b"", ContentCorrupt),
    ],
)
def test_other_answers_are_errors_that_say_whose_fault_it_is(status: int, content: bytes, error: type) -> None:
    with gateway(lambda _: (status, content)) as url, GatewayStore(url) as found, pytest.raises(error):
        found.get(Cid.of_block(0x55, b"something"), 100)


def test_nobody_there_is_unavailable() -> None:
    with gateway(lambda _: (200, b"")) as url:
        pass
    with GatewayStore(url, timeout=1) as found, pytest.raises(IpfsUnavailable, match="does not answer"):
        found.get(Cid.of_block(0x55, b"something"), 100)


@pytest.mark.parametrize(
    "where",
    [
        b"http://" + b"a" * 70 + b".example/",  # no label of DNS is so long
        b"http://xn--a/",
        b"http://[::1",
        b"http://127.0.0.1:99999/",
        b"file:///etc/passwd",
        b"\xff\xfe",
        b"/",  # for ever
    ],
)
def test_a_redirect_to_nowhere_is_unavailable(where: bytes) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: " + where + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with (
        scripted_node(lambda connection: connection.sendall(answer)) as url,
        GatewayStore(url, 2) as found,
        pytest.raises(IpfsUnavailable),
    ):
        found.get(CID, 10)


def test_a_block_that_never_ends_is_given_up() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"a")
            time.sleep(0.02)

    with (
        scripted_node(drip) as url,
        GatewayStore(url, timeout=0.2) as found,
        pytest.raises(IpfsUnavailable, match="and no end"),
    ):
        found.get(CID, 10)


def test_a_gateway_is_only_read() -> None:
    store = GatewayStore("https://gateway.example")
    cid = Cid.of_block(0x55, b"x")
    for write in (lambda: store.put(b"x"), lambda: store.unpin(cid), lambda: store._add_pin(cid)):
        with pytest.raises(IpfsUnavailable, match="can only be read"):
            write()
    assert not store.pinned(cid)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x", "https://", "https://user:secret@x", "https://x/ipfs", "https://x?a=b", "x"),
        *(
            "http://[",
            "http://x:99999",
            "http://x:y",
            "http://\0",
            "http://xn--a",
            "http://\u202e",
            "http://a:secret@[",
        ),
    ],
)
def test_other_addresses_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(StoreUrlInvalid) as caught:
        GatewayStore(url)
    assert "secret" not in str(caught.value)
