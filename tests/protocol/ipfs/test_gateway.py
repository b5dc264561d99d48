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

from tests.protocol.ipfs.lying_node import recording_node, scripted_node

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


def test_headers_that_never_end_are_given_up() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(1000):
            connection.sendall(b"a")
            time.sleep(0.02)

    began = time.monotonic()
    with (
        scripted_node(drip) as url,
        GatewayStore(url, timeout=0.2) as found,
        pytest.raises(IpfsUnavailable, match="and no end"),
    ):
        found.get(CID, 10)
    assert time.monotonic() - began < 10


def test_a_file_whose_every_block_comes_late_is_given_up(store: EmbeddedStore) -> None:
    """No single block breaks a limit: the time of all of them together has to fit their size."""
    content = bytes(range(256)) * 12_000
    cid, held = store.put(content), from_store(store)

    def late(asked: Cid) -> tuple[int, bytes]:
        time.sleep(0.3)
        return held(asked)

    with gateway(late) as url, GatewayStore(url, timeout=0.6, min_rate=100_000) as slow:
        assert slow.get(cid, len(content)) == content
    with (
        gateway(late) as url,
        GatewayStore(url, timeout=0.6, min_rate=10_000_000) as found,
        pytest.raises(IpfsUnavailable, match="too slow"),
    ):
        found.get(cid, len(content))


def redirecting(where: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def test_a_local_gateway_may_redirect_to_another(store: EmbeddedStore) -> None:
    cid = store.put(b"small")
    with gateway(from_store(store)) as there:
        answer = redirecting(f"{there}/ipfs/{cid}?format=raw")
        with scripted_node(lambda connection: connection.sendall(answer)) as url, GatewayStore(url) as found:
            assert found.get(cid, 5) == b"small"


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:5001/", "https://10.0.0.1/", "https://[::1]/", "https://localhost./", "https://169.254.169.254/"]
)  # fmt: skip
def test_a_gateway_elsewhere_sends_nobody_into_their_own_network(where: str) -> None:
    for gateway_url in ("https://gateway.example", "http://gateway.example"):
        found = GatewayStore(gateway_url)
        with pytest.raises(IpfsUnavailable, match="not followed"):
            found._redirected(CID, f"{gateway_url}/ipfs/{CID}", where)


def test_https_stays_https() -> None:
    found = GatewayStore("https://gateway.example")
    assert found._redirected(CID, "https://gateway.example/ipfs/x", "https://a.example/y") == "https://a.example/y"
    assert found._redirected(CID, "https://gateway.example/ipfs/x", "/y") == "https://gateway.example/y"
    with pytest.raises(IpfsUnavailable, match="not followed"):
        found._redirected(CID, "https://gateway.example/ipfs/x", "http://a.example/y")


def test_no_password_of_the_machine_goes_to_a_gateway(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` sends what ~/.netrc has for a host unless it is told otherwise."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[bytes] = []

    def watch(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with recording_node(watch, seen) as url, GatewayStore(url) as found:
        found._local = False  # as of a gateway elsewhere, for which the environment counts
        with pytest.raises(ContentNotFound):
            found.get(CID, 10)
    assert seen
    assert b"authorization" not in seen[0].lower()


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
