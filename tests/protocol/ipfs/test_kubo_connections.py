"""Who shares a connection to a node, and which way it goes."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.errors import IpfsUnavailable
from cohort_protocol.ipfs.kubo_rpc import Timeouts

from tests.protocol.ipfs.lying_node import counting_node, scripted_node

PATIENT = Timeouts(connect_s=20, silence_s=20, total_s=40)

# Run as a process of its own, where no other thread is forked halfway.
FORK = """
import os, sys
from cohort_protocol.ipfs.connect import connect_store
store = connect_store(sys.argv[1])
store.name_and_version()
child = os.fork()
if child == 0:
    os._exit(0 if store.name_and_version() == "kubo 0.39.0" else 1)
_, status = os.waitpid(child, 0)
store.name_and_version()
sys.exit(status)
"""


def test_one_thread_keeps_its_connection() -> None:
    with counting_node() as (url, ports), connect_store(url, PATIENT) as store:
        for _ in range(5):
            assert store.name_and_version() == "kubo 0.39.0"
        assert len(ports) == 1
        store.close()
        store.name_and_version()
        assert len(ports) == 2


def test_threads_have_a_connection_each() -> None:
    with counting_node() as (url, ports), connect_store(url, PATIENT) as store:
        together = Barrier(4, timeout=60)

        def twice(_: int) -> None:
            store.name_and_version()
            together.wait()
            store.name_and_version()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(twice, range(4)))
        assert len(ports) == 4


def test_a_forked_process_has_its_own_connection() -> None:
    # Two processes that write to one connection get each other's answers.
    with counting_node() as (url, ports):
        done = subprocess.run([sys.executable, "-c", FORK, url], timeout=60, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(ports) == 2


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_node_cannot_send_us_elsewhere(status: str) -> None:
    with counting_node() as (elsewhere, ports):

        def redirect(connection: socket.socket) -> None:
            head = f"HTTP/1.1 {status}\r\nLocation: {elsewhere}/api/v0/version\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())

        with scripted_node(redirect) as url, connect_store(url, PATIENT) as store, pytest.raises(IpfsUnavailable):
            store.name_and_version()
        assert ports == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting_node() as (proxy, ports), counting_node() as (url, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with connect_store(url, PATIENT) as store:
            store.name_and_version()
        assert ports == []
